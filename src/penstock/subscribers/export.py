"""Export: the files of a study from its store, streamed in plan order, each replaced at once."""

from __future__ import annotations

import csv
import json
import os
import platform
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import anyio.to_thread

from penstock.bus import EventStream, Subscriber
from penstock.encoding import decode
from penstock.events import StudyFinished
from penstock.results import timestamp
from penstock.store.reader import StoreReader
from penstock.store.schema import EVALUATION_COLUMNS, EVENT_COLUMNS, RUN_COLUMNS
from penstock.study.files import dump_yaml
from penstock.study.frozen import frozen_json
from penstock.study.model import SCHEMA_VERSION

__all__ = ["EVENTS", "export", "export_artifacts"]

EVENTS = (StudyFinished,)

_CONDITION_COLUMNS = (
    "study_id",
    "condition_id",
    "admissible",
    "constraint_messages",
    "assignment_meta_json",
)


def export(directory: Path) -> Subscriber:
    """Make the subscriber that writes the files when every result is durable.

    Args:
        directory: The study's output directory.
    """

    async def subscriber(stream: EventStream) -> None:
        async for _ in stream:
            await anyio.to_thread.run_sync(partial(export_artifacts, directory))

    return subscriber


def export_artifacts(directory: Path, to: Path | None = None, *, sqlite: bool = False) -> Path:
    """Write the files of a study from the store in its directory.

    Each file is written aside, synced and renamed into place, so that a reader never sees half a
    file and an export that fails leaves the files of the last one.

    Args:
        directory: The study's output directory.
        to: Where the files go; the same directory where not given.
        sqlite: Whether a copy of ``study.sqlite`` goes there too.

    Returns:
        Where the files are.

    Raises:
        StoreError: the directory holds no store.
        OSError: a file cannot be written.
    """
    to = to or directory
    to.mkdir(parents=True, exist_ok=True)
    with StoreReader(directory) as store, store.snapshot():
        _write_json(to / "manifest.json", _manifest(store))
        _write_text(to / "study.yaml", _study_yaml(store))
        _write_lines(to / "problems.jsonl", store.problems())
        _write_json(to / "hypotheses.json", store.definition()["hypotheses"])
        _write_json(to / "analysis_plan.json", store.definition()["analysis_plans"])
        _write_conditions(to / "conditions.csv", store)
        for name, columns in (
            ("runs", RUN_COLUMNS),
            ("events", EVENT_COLUMNS),
            ("evaluations", EVALUATION_COLUMNS),
        ):
            selected = store.rows(f"SELECT {', '.join(columns)} FROM {name}")  # noqa: S608
            _write_csv(to / f"{name}.csv", columns, selected)

        if sqlite and to != directory:
            store.copy_to(to / "study.sqlite")

    return to


def _manifest(store: StoreReader) -> dict[str, Any]:
    definition = store.definition()
    counts = store.status_counts()
    models = store.rows("SELECT DISTINCT model_name FROM runs WHERE model_name <> 'unknown'")
    return {
        "schema_version": SCHEMA_VERSION,
        "study_id": definition["study_id"],
        "generated_at": timestamp(),
        "status_counts": counts,
        "model_ids": sorted(row["model_name"] for row in models),
        "run_count": sum(counts.values()),
        "provenance": definition["provenance_metadata"] or _captured_provenance(),
    }


def _captured_provenance() -> dict[str, Any]:
    packages = ("penstock", "numpy", "pydantic", "anyio")
    return {
        "captured_at": timestamp(),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python_version": platform.python_version(),
        "package_versions": {name: version(name) for name in packages},
        "git_sha": os.environ.get("GITHUB_SHA") or os.environ.get("CI_COMMIT_SHA"),
        "extra": {},
    }


def _study_yaml(store: StoreReader) -> str:
    definition = dict(store.definition())
    if any(store.problems()):
        definition["problems"] = {"file": "problems.jsonl"}

    return dump_yaml(frozen_json(definition))


def _write_conditions(path: Path, store: StoreReader) -> None:
    definition = store.definition()
    factors = [factor["name"] for factor in definition["factors"]]
    blocks = [block["name"] for block in definition["blocks"]]

    def cells() -> Iterator[list[Any]]:
        for row in store.rows("SELECT * FROM conditions"):
            assigned, blocked = decode(row["factors"]), decode(row["blocks"])
            yield [
                row["study_id"],
                row["condition_id"],
                bool(row["admissible"]),
                row["constraint_messages"],
                row["assignment_meta_json"],
                *(_cell(assigned.get(name)) for name in factors),
                *(_cell(blocked.get(name)) for name in blocks),
            ]

    header = [*_CONDITION_COLUMNS, *factors, *(f"block_{name}" for name in blocks)]
    _write_csv(path, header, cells())


def _cell(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, (dict, list)) else value


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    with _replaced(path) as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _write_json(path: Path, value: Any) -> None:
    _write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    with _replaced(path) as file:
        file.write(text)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with _replaced(path) as file:
        file.writelines(f"{line}\n" for line in lines)


@contextmanager
def _replaced(path: Path) -> Iterator[IO[str]]:
    """Write a file aside, sync it, and put it in the place of the old one."""
    aside = path.with_name(f".{path.name}.new")
    try:
        with aside.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())

        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
