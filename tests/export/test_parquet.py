from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.export import parquet
from penstock.export.artifacts import export_artifacts
from penstock.planning.plan import Plan
from penstock.results import RunResult
from tests.builders import NOW, make_error, make_observation, make_plan, make_result
from tests.subscribers.test_export import header, names_in, store_results, table

pytestmark = pytest.mark.anyio

TABLES = ("conditions", "runs", "events", "evaluations")
HOSTILE = [
    "",
    "NA",
    "null",
    "nul \x00 and tab \t",
    'said "so",\r\nthen\n',
    "=1+1",
    "1e5",
    "x" * 200_000,
    "e\u0301 \u202eabc\u202c \ufeff \ufffd",
    *(chr((plane << 16) + offset) for plane in range(17) for offset in (0x41, 0xFFFD)),
]


async def exported(directory: Path, plan: Plan, results: Iterable[RunResult]) -> dict[str, Any]:
    """Store results, export them, and read the Parquet files."""
    await store_results(directory, plan, results)
    export_artifacts(directory, parquet=True)
    return {name: pq.read_table(directory / f"{name}.parquet") for name in TABLES}


def rows(read: Any, *columns: str) -> list[Any]:
    """The values of some columns, row by row."""
    cells = [read.column(name).to_pylist() for name in columns]
    return cells[0] if len(cells) == 1 else list(zip(*cells, strict=True))


async def test_the_tables_have_the_columns_and_rows_of_the_csv_files(tmp_path: Path) -> None:
    plan = make_plan(list(range(7)))
    read = await exported(
        tmp_path, plan, [make_result(plan[i], scores={"a": 1, "b": 2}) for i in (4, 0, 6, 2)]
    )

    for name in TABLES:
        known = table(tmp_path / f"{name}.csv")
        added = [each for each in read[name].column_names if each.endswith("_text")]
        columns = [each for each in read[name].column_names if each not in {*added, "metrics"}]
        assert columns == header(tmp_path / f"{name}.csv")
        assert read[name].num_rows == len(known)
        assert rows(read[name], "condition_id" if name != "evaluations" else "run_id") == [
            row["condition_id" if name != "evaluations" else "run_id"] for row in known
        ]


async def test_columns_have_the_types_of_what_they_hold(tmp_path: Path) -> None:
    plan = make_plan()
    metrics = {"cost_usd": 0.5, "input_tokens": 7, "primary_outcome": 0.25, "mine": [1]}
    read = await exported(tmp_path, plan, [make_result(plan[0], metrics=metrics)])

    (run,) = read["runs"].to_pylist()
    assert (run["seed"], run["input_tokens"], run["cost_usd"]) == (plan[0].seed, 7, 0.5)
    assert (run["start_time"], run["latency_s"]) == (NOW, 0.25)
    assert (run["primary_outcome"], run["primary_outcome_text"]) == (0.25, None)
    assert run["error_info"] is None
    assert '"mine":[1]' in run["metrics"]
    schema = read["runs"].schema
    assert schema.field("start_time").type == pa.timestamp("us", tz="UTC")
    assert [str(schema.field(name).type) for name in ("seed", "cost_usd", "status")] == [
        "int64",
        "double",
        "string",
    ]


async def test_texts_are_what_was_said_in_every_plane_of_unicode(tmp_path: Path) -> None:
    plan = make_plan(range(len(HOSTILE)))
    results = [
        make_result(
            spec,
            reported=(make_observation(spec, text=text, tool_name=text, meta_json='{"a": 1}'),),
            scores={"score": text},
        )
        for spec, text in zip(plan, HOSTILE, strict=True)
    ]
    read = await exported(tmp_path, plan, results)

    reported = rows(read["events"], "text", "tool_name")[::2]  # each answer stands after it
    assert reported == [(text, text) for text in HOSTILE]
    assert rows(read["evaluations"], "metric_value_text") == HOSTILE
    assert rows(read["evaluations"], "metric_value") == [None] * len(HOSTILE)


async def test_nothing_an_empty_text_and_na_are_three_things(tmp_path: Path) -> None:
    plan = make_plan([None, "", "NA"])
    results = [
        make_result(
            spec,
            reported=(make_observation(spec, tool_name=name),),
            metrics={"primary_outcome": name},
        )
        for spec, name in zip(plan, (None, "", "NA"), strict=True)
    ]
    read = await exported(tmp_path, plan, results)

    assert rows(read["conditions"], "tone") == [None, "", "NA"]
    assert rows(read["events"], "tool_name") == [None, None, "", None, "NA", None]
    assert rows(read["runs"], "primary_outcome", "primary_outcome_text") == [
        (None, None),
        (None, ""),
        (None, "NA"),
    ]


@pytest.mark.parametrize(
    ("value", "number", "text"),
    [
        (1, 1.0, None),
        (0.1, 0.1, None),
        (-0.0, 0.0, None),
        (math.inf, math.inf, None),
        (True, 1.0, "True"),
        (False, 0.0, "False"),
        (2**53, 2.0**53, None),
        (2**53 + 1, 2.0**53, str(2**53 + 1)),
        (10**30, None, str(10**30)),
        ("1", None, "1"),
        (None, None, None),
    ],
)
async def test_an_outcome_is_a_number_and_what_no_float_says_stands_beside_it(
    tmp_path: Path, value: Any, number: float | None, text: str | None
) -> None:
    plan = make_plan(["a"])
    result = make_result(plan[0], metrics={"primary_outcome": value}, scores={"score": value})
    read = await exported(tmp_path, plan, [result])

    expected = [(number, text)]
    assert rows(read["runs"], "primary_outcome", "primary_outcome_text") == expected
    assert rows(read["evaluations"], "metric_value", "metric_value_text") == expected


@pytest.mark.parametrize(
    ("said", "moment", "text"),
    [
        ("2026-01-02T03:04:05.678901+00:00", NOW, None),
        ("2026-01-02T05:04:05.678901+02:00", NOW, "2026-01-02T05:04:05.678901+02:00"),
        ("2026-01-02T03:04:05.678901Z", NOW, "2026-01-02T03:04:05.678901Z"),
        ("2026-01-02T03:04:05", None, "2026-01-02T03:04:05"),
        ("2026-13-02T03:04:05.678901+00:00", None, "2026-13-02T03:04:05.678901+00:00"),
        ("0001-01-01T00:00:00+05:00", None, "0001-01-01T00:00:00+05:00"),
        ("9999-12-31T23:59:59.999999+00:00", datetime.max.replace(tzinfo=UTC), None),
        ("yesterday", None, "yesterday"),
    ],
)
async def test_a_timestamp_is_a_moment_and_how_it_was_given_is_kept(
    tmp_path: Path, said: str, moment: datetime | None, text: str | None
) -> None:
    plan = make_plan(["a"])
    observed = (make_observation(plan[0], timestamp=said),)
    read = await exported(tmp_path, plan, [make_result(plan[0], reported=observed)])

    reported, _ = rows(read["events"], "timestamp", "timestamp_text")
    assert reported == (moment, text)


@pytest.mark.parametrize(
    ("levels", "kind", "cells"),
    [
        ([1, 2], "int64", [1, 2]),
        ([1, 2**62], "int64", [1, 2**62]),
        ([1, 0.5, None], "double", [1.0, 0.5, None]),
        ([True, False], "bool", [True, False]),
        (["no", "1e-3"], "string", ["no", "1e-3"]),
        (["half \ud83d"], "string", ["half \\ud83d"]),
        ([None], "string", [None]),
        ([1, "1", None], "string", ["1", '"1"', None]),
        ([True, 1], "string", ["true", "1"]),
        ([2**62, 0.5], "string", [str(2**62), "0.5"]),
        ([2**63], "string", [str(2**63)]),
        ([[1, None], {"a": "é"}], "string", ["[1,null]", '{"a":"é"}']),
    ],
)
async def test_a_factor_has_the_type_that_all_its_levels_have(
    tmp_path: Path, levels: list[Any], kind: str, cells: list[Any]
) -> None:
    read = await exported(tmp_path, make_plan(levels), [])

    assert str(read["conditions"].schema.field("tone").type) == kind
    assert rows(read["conditions"], "tone") == cells
    assert rows(read["conditions"], "admissible") == [True] * len(levels)


async def test_tokens_are_whole_numbers_but_where_an_agent_counted_fractions(
    tmp_path: Path,
) -> None:
    plan = make_plan(["a"])
    result = make_result(plan[0], metrics={"input_tokens": 1.5, "output_tokens": 2.0})
    read = await exported(tmp_path, plan, [result])

    assert rows(read["runs"], "input_tokens", "output_tokens") == [(1.5, 2)]
    assert str(read["runs"].schema.field("output_tokens").type) == "int64"


async def test_an_answer_whose_text_is_no_text_is_written_out(tmp_path: Path) -> None:
    plan = make_plan(["a", "b"])
    outputs = ('{"text":0.5}', '{"text":"half \\ud83d"}')
    results = [
        make_result(spec, outputs_json=each) for spec, each in zip(plan, outputs, strict=True)
    ]
    read = await exported(tmp_path, plan, results)

    assert rows(read["events"], "text") == [row["text"] for row in table(tmp_path / "events.csv")]
    assert rows(read["events"], "text") == ["0.5", "half \\ud83d"]


async def test_failed_runs_are_there_with_their_errors(tmp_path: Path) -> None:
    plan = make_plan()
    read = await exported(tmp_path, plan, [make_result(plan[0], error=make_error(message="no"))])

    assert rows(read["runs"], "status", "error_info") == [("failed", "ValueError: no")]
    assert rows(read["events"], "event_type") == ["run_failed"]


@pytest.mark.parametrize(("rows_at_most", "bytes_at_most"), [(512, 2**62), (2**62, 1)])
async def test_rows_are_written_in_groups_and_stay_in_plan_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_at_most: int, bytes_at_most: int
) -> None:
    monkeypatch.setattr(parquet, "_GROUP_ROWS", rows_at_most)
    monkeypatch.setattr(parquet, "_GROUP_BYTES", bytes_at_most)
    plan = make_plan(replicates=600)
    read = await exported(tmp_path, plan, [make_result(spec) for spec in plan[::-1]])

    assert rows(read["runs"], "run_id") == [spec.run_id for spec in plan]
    groups = pq.ParquetFile(tmp_path / "runs.parquet").metadata.num_row_groups
    assert groups == (3 if rows_at_most == 512 else 5)


async def test_a_study_without_results_has_empty_tables_of_the_same_columns(
    tmp_path: Path,
) -> None:
    plan = make_plan()
    empty = await exported(tmp_path / "empty", plan, [])
    full = await exported(tmp_path / "full", plan, [make_result(plan[0], scores={"a": 1})])

    for name in ("runs", "events", "evaluations"):
        assert empty[name].num_rows == 0
        assert empty[name].schema == full[name].schema


async def test_a_disk_that_fills_up_leaves_the_files_of_the_last_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan()
    await exported(tmp_path, plan, [make_result(plan[0])])
    before = {name: (tmp_path / f"{name}.parquet").read_bytes() for name in TABLES}
    await store_results(tmp_path, plan, [make_result(plan[1])])
    synced = os.fsync

    def no_space(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().match("*.parquet.*.new"):
            raise OSError(28, "No space left on device")

        synced(descriptor)

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        export_artifacts(tmp_path, parquet=True)

    assert {name: (tmp_path / f"{name}.parquet").read_bytes() for name in TABLES} == before
    assert not [name for name in names_in(tmp_path) if name.endswith(".new")]


async def test_without_the_extra_the_error_names_it_and_nothing_is_written(tmp_path: Path) -> None:
    await store_results(tmp_path, make_plan())
    code = "import sys; sys.modules['pyarrow'] = None; from penstock.cli import main; main()"
    command = [sys.executable, "-c", code, "export", str(tmp_path), "--parquet"]
    ended = await anyio.run_process(command, check=False)

    assert ended.returncode == 3
    said = b"writing Parquet needs pyarrow, which is not installed: pip install 'penstock[parquet]'"
    assert said in ended.stderr
    assert not (tmp_path / "runs.csv").exists()


def test_nothing_but_parquet_loads_pyarrow() -> None:
    code = "import sys, penstock.cli.session; print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
