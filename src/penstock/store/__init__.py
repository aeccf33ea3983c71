"""The store: one ``study.sqlite`` per study; checkpoint, log and result in one (floor 5)."""
