"""Whether the files of a study are what its store would give: then they are not written again.

An export leaves a mark beside its files: what of the store they were made from, and how each file
was left. A file that was edited, moved or deleted since then, a release of another version, a
result more or a text that was purged: each makes another mark, and all files are written again.
What is looked at is small or stands in an index; no result is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from penstock._base.atomic_files import set_aside
from penstock._base.json import encode
from penstock.store.files.directory import EXPORTED
from penstock.store.reader import StoreReader
from penstock.store.schema import SCHEMA_VERSION

__all__ = ["are_up_to_date", "forget_files", "made_from", "note_files"]

_DECLARED = (
    "SELECT definition, fingerprint FROM study",
    "SELECT * FROM condition ORDER BY position",
    "SELECT * FROM problem ORDER BY id",
    "SELECT * FROM agent ORDER BY id",
    "SELECT * FROM evaluator ORDER BY id",
    "SELECT * FROM scoring ORDER BY id",
)
# A session that has begun no attempt and scored no answer has changed no result.
_DONE = (
    "SELECT max(id) FROM attempt",
    "SELECT max(id) FROM turn",
    "SELECT max(id) FROM content",
    "SELECT max(id) FROM action",
    "SELECT id, started, attempts, rescored FROM session WHERE started + attempts + rescored > 0",
)


def made_from(store: StoreReader, provenance: Mapping[str, Any]) -> str:
    """Return a mark of all that the files of a study are made from; empty for an older layout.

    Args:
        store: Where the study is.
        provenance: What made them: versions, and the machine.
    """
    if store.layout != SCHEMA_VERSION:
        return ""

    digest = sha256(encode(provenance).encode())
    for query in (*_DECLARED, *_DONE):
        digest.update(query.encode())
        for row in store.table(query):
            digest.update(repr(row).encode(errors="surrogatepass"))

    digest.update(repr((store.count(), store.status_counts())).encode())
    return digest.hexdigest()


def are_up_to_date(directory: Path, mark: str, names: Iterable[str]) -> bool:
    """Return whether the files of a directory are there as an export from the same mark left them.

    Args:
        directory: Where they are.
        mark: What they would be made from (see `made_from`).
        names: Their names, as paths in the directory.
    """
    try:
        noted = json.loads((directory / EXPORTED).read_text(encoding="utf-8"))
        return bool(mark and noted == {"made_from": mark, "files": _left_as(directory, names)})
    except (OSError, ValueError):
        return False


def forget_files(directory: Path) -> None:
    """Delete the mark, before anything is written."""
    (directory / EXPORTED).unlink(missing_ok=True)


def note_files(directory: Path, mark: str, names: Iterable[str]) -> None:
    """Leave a mark beside files that were written; the arguments are those of `are_up_to_date`."""
    noted = {"made_from": mark, "files": _left_as(directory, names)}
    with set_aside(directory / EXPORTED) as aside:
        aside.write_text(json.dumps(noted, indent=1) + "\n", encoding="utf-8")


def _left_as(directory: Path, names: Iterable[str]) -> dict[str, list[int]]:
    """Return the size of each file, and when it was changed last, in nanoseconds."""
    found = {name: (directory / name).lstat() for name in sorted(names)}
    return {name: [each.st_size, each.st_mtime_ns] for name, each in found.items()}
