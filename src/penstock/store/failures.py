"""What a store that cannot be written says: which file, how much space is left, what to do."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from penstock.errors import StoreError

__all__ = ["store_failure"]


def store_failure(path: Path, error: sqlite3.Error) -> StoreError:
    """Make the error for a store that SQLite cannot write."""
    free_mb = shutil.disk_usage(path.parent).free / 1e6
    return StoreError(
        f"{path}: {error} ({free_mb:,.1f} MB are free on its disk); what was saved before is "
        "kept: see to the disk and run the study again, it goes on from there"
    )
