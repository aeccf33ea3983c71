from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.export.artifacts import export_artifacts
from tests.builders import make_study

pytestmark = pytest.mark.anyio


async def agent(_: ps.RunContext) -> str:
    return "42"


async def run(folder: Path, **fields: Any) -> None:
    study = make_study(("a", "b"), **fields)
    runner = ps.StudyRunner(
        study, agent_bindings={"agent-a": agent}, output_dir=folder, show_progress=False
    )
    assert (await runner.run()).remaining == 0


def files(folder: Path) -> Mapping[str, tuple[int, int]]:
    """Which file each name stands for, and when it was changed last."""
    found = {
        str(path.relative_to(folder)): path.stat()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in {".csv", ".json", ".jsonl", ".yaml"}
        if not path.name.startswith(".")
    }
    return {name: (each.st_ino, each.st_mtime_ns) for name, each in found.items()}


async def test_a_study_that_is_done_writes_none_of_its_files_again(tmp_path: Path) -> None:
    await run(tmp_path)
    written = files(tmp_path)
    assert "runs.csv" in written
    await run(tmp_path)
    assert files(tmp_path) == written


async def test_an_export_that_a_person_asks_for_writes_them_all(tmp_path: Path) -> None:
    await run(tmp_path)
    written = files(tmp_path)
    export_artifacts(tmp_path)
    again = files(tmp_path)
    assert again.keys() == written.keys()
    assert not any(again[name] == written[name] for name in again)


@pytest.mark.parametrize("name", ["runs.csv", "analysis/manifest.json", "study.yaml"])
async def test_a_file_that_was_deleted_is_written_again(tmp_path: Path, name: str) -> None:
    await run(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    await run(tmp_path)
    if name != "analysis/manifest.json":  # which says when
        assert (tmp_path / name).read_bytes() == content

    assert (tmp_path / name).stat().st_size == len(content)


async def test_a_file_that_was_edited_is_written_again(tmp_path: Path) -> None:
    await run(tmp_path)
    path = tmp_path / "runs.csv"
    content, seen = path.read_bytes(), path.stat()
    path.write_bytes(content.swapcase())
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns + 1))
    await run(tmp_path)
    assert path.read_bytes() == content


async def test_what_is_declared_otherwise_or_made_since_is_written(tmp_path: Path) -> None:
    await run(tmp_path)
    await run(tmp_path, title="Another title")
    assert "Another title" in (tmp_path / "study.yaml").read_text()
    await run(tmp_path, title="Another title", replicates=3)
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == 1 + 2 * 3


async def test_an_export_that_was_cut_off_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run(tmp_path)
    written = files(tmp_path)
    monkeypatch.setattr("penstock.export.artifacts.write_analysis", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_artifacts(tmp_path)

    monkeypatch.undo()
    await run(tmp_path)
    again = files(tmp_path)
    assert not any(again[name] == written[name] for name in again)


async def test_results_that_another_program_took_out_are_missed(tmp_path: Path) -> None:
    await run(tmp_path)
    with closing(sqlite3.connect(tmp_path / "study.sqlite", isolation_level=None)) as store:
        store.execute("DELETE FROM attempt WHERE id = 1")

    await run(tmp_path)
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == 1 + 2
