"""Whether the files of a study say what its store says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from filecmp import cmp
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from penstock.export.artifacts import export_artifacts
from penstock.export.parquet import PARQUET_FILES
from penstock.store.doctor import Finding

__all__ = ["examine_artifacts"]

_STAMPS = frozenset({"generated_at", "provenance"})
"""What the manifest says of the moment and the place of its making."""


def examine_artifacts(directory: Path) -> Iterator[Finding]:
    """Hold the files of a directory against those that its store would give; nothing is changed.

    Raises:
        StoreError: the directory holds no store.
    """
    with TemporaryDirectory(prefix="penstock-doctor-") as scratch:
        fresh = export_artifacts(directory, Path(scratch))
        names = sorted(str(each.relative_to(fresh)) for each in fresh.rglob("*") if each.is_file())
        missing = [name for name in names if not (directory / name).is_file()]
        differing = [
            name
            for name in names
            if name not in missing and not _is_same(directory / name, fresh / name)
        ]

    again = "penstock export DIR writes the files anew from the store"
    if missing:
        yield Finding(is_wrong=True, what=f"missing: {', '.join(missing)}", advice=again)

    if differing:
        yield Finding(
            is_wrong=True,
            what=f"not as the store has it (edited, or written before): {', '.join(differing)}",
            advice=again,
        )

    stale = [name for name in PARQUET_FILES if _is_stale(directory / name)]
    if stale:
        yield Finding(
            is_wrong=False,
            what=f"older than the tables beside them: {', '.join(stale)}",
            advice="penstock export DIR --parquet writes them anew",
        )

    left = [each.name for each in directory.rglob(".*.new")]
    if left:
        yield Finding(
            is_wrong=False,
            what=f"left by an export that was killed: {', '.join(left)}",
            advice="they may be deleted",
        )


def _is_stale(parquet: Path) -> bool:
    table = parquet.with_suffix(".csv")
    both_there = parquet.is_file() and table.is_file()
    return both_there and parquet.stat().st_mtime_ns < table.stat().st_mtime_ns


def _is_same(file: Path, fresh: Path) -> bool:
    if file.name != "manifest.json":
        return cmp(file, fresh, shallow=False)

    try:
        return _unstamped(file) == _unstamped(fresh)
    except (ValueError, AttributeError):
        return False


def _unstamped(manifest: Path) -> dict[str, Any]:
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    return {name: fact for name, fact in facts.items() if name not in _STAMPS}
