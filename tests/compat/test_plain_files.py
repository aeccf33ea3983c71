"""Small files of plain values."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock import compat

ROWS: list[dict[str, Any]] = [{"a": 1, "b": "x", "about": {"of": "first"}}, {"b": None, "c": True}]


def test_a_table_comes_back_as_text_with_the_columns_of_all_rows(tmp_path: Path) -> None:
    path = compat.write_csv(tmp_path / "new" / "table.csv", ROWS)
    assert compat.read_csv(path) == [
        {"a": "1", "b": "x", "about": '{"of": "first"}', "c": ""},
        {"a": "", "b": "", "about": "", "c": "True"},
    ]
    compat.write_csv(path, ROWS, fieldnames=["b"])
    assert compat.read_csv(path) == [{"b": "x"}, {"b": ""}]


def test_a_long_cell_is_read_and_the_limit_of_the_process_stays(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    path = compat.write_csv(tmp_path / "long.csv", [{"text": "x" * (before + 1)}])
    assert len(compat.read_csv(path)[0]["text"]) == before + 1
    assert csv.field_size_limit() == before


def test_json_and_yaml_come_back_as_they_were(tmp_path: Path) -> None:
    value = {"b": [1, 2.5, None], "a": "no"}
    written = compat.write_json(tmp_path / "value.json", value)
    assert written.read_text(encoding="utf-8").index('"a"') < 10
    assert compat.read_json(written) == value
    assert compat.read_yaml(compat.write_yaml(tmp_path / "value.yaml", value)) == value
    (tmp_path / "list.yaml").write_text("[1]", encoding="utf-8")
    with pytest.raises(ps.PenstockError, match="must be a mapping"):
        compat.read_yaml(tmp_path / "list.yaml")


def test_tables_are_mirrored_to_sqlite_as_text_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "tables.sqlite"
    for _ in range(2):
        compat.mirror_tables_to_sqlite(path, tables={"my rows": ROWS, "none": []})

    with closing(sqlite3.connect(path)) as connection:
        read = connection.execute('SELECT a, about, c FROM "my rows"').fetchall()

    assert read == [("1", '{"of": "first"}', ""), ("", "", "True")]


def test_the_store_of_a_study_is_not_written_over(tmp_path: Path) -> None:
    study = ps.Study(study_id="s", title="t", problem_ids=("p",), agent_specs=("a",))

    async def answer(ctx: ps.RunContext) -> str:
        return "42"

    ps.run_study(study, agent_bindings={"a": answer}, output_dir=tmp_path / "out")
    with pytest.raises(ps.ValidationError, match="is the store of a study"):
        compat.mirror_tables_to_sqlite(tmp_path / "out" / "study.sqlite", tables={"runs": ROWS})
