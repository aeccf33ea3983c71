"""The store: one ``study.sqlite`` per study; checkpoint, log and result in one (floor 5)."""

__all__ = ["STORE_FILE"]

STORE_FILE = "study.sqlite"
"""The store of a study, in its output directory."""
