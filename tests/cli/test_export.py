from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq

from tests.command_line import StudyFolder


def test_export_writes_the_files_anew_or_elsewhere(folder: StudyFolder, cli: Any) -> None:
    assert cli("run", folder.file).exit_code == 0
    runs = (folder.results / "runs.csv").read_bytes()
    (folder.results / "runs.csv").unlink()
    assert cli("export", folder.results).exit_code == 0
    assert (folder.results / "runs.csv").read_bytes() == runs
    copy = folder.path / "copy"
    assert cli("export", folder.results, "--to", copy, "--sqlite").exit_code == 0
    assert (copy / "runs.csv").read_bytes() == runs
    assert cli("status", copy).exit_code == 0


def test_export_writes_parquet_where_it_is_asked_for(folder: StudyFolder, cli: Any) -> None:
    assert cli("run", folder.file).exit_code == 0
    assert not [*folder.results.glob("*.parquet")]
    assert cli("export", folder.results, "--parquet").exit_code == 0
    runs = pq.read_table(folder.results / "runs.parquet")
    assert runs.num_rows == len((folder.results / "runs.csv").read_text().splitlines()) - 1
