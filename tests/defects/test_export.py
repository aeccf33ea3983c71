"""Known defects of such tools, part 2 as well: outputs, files, and what they let out."""

from __future__ import annotations

import csv
import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import penstock as ps
from penstock.export.artifacts import export_artifacts
from penstock.export.tables import quote_formulas
from penstock.results import RunStatus
from tests.artifacts import assert_same_artifacts
from tests.builders import make_study
from tests.defects.situations import Calls, query, read, run


def _cycle() -> dict[str, Any]:
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    return cycle


def test_an_output_that_cannot_be_stored_fails_its_run_alone(tmp_path: Path) -> None:
    """D12"""
    answers: dict[str, Any] = {
        "lock": {"held": threading.Lock()},
        "generator": {"parts": (part for part in "ab")},
        "cycle": _cycle(),
        "plain": {"fine": True},
        "proxy": MappingProxyType({"fine": True}),
    }
    agents = {name: (lambda answer=answer: {"output": answer}) for name, answer in answers.items()}
    study = make_study(("a",), agent_specs=tuple(agents))
    results = run(study, agents, tmp_path, parallelism=5)
    assert {each.spec.agent_id: each.status for each in results} == {
        "lock": RunStatus.FAILED,
        "generator": RunStatus.FAILED,
        "cycle": RunStatus.FAILED,
        "plain": RunStatus.SUCCESS,
        "proxy": RunStatus.SUCCESS,
    }
    errors = [row["error_info"].split(" cannot")[0] for row in read(tmp_path / "runs.csv")]
    assert errors[:2] == [
        "OutputError: the value at output.held",
        "OutputError: the value at output.parts",
    ]
    assert run(study, agents, tmp_path).summary.session.restored == 2


def test_a_progress_display_that_raises_is_switched_off_and_the_study_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D13"""

    shown = []

    def broken(board: object) -> str:
        shown.append(board)
        raise UnicodeEncodeError("ascii", "\u2026", 0, 1, "this terminal has no such character")

    monkeypatch.setattr("penstock.subscribers.progress.Board.text", broken)
    results = ps.run_study(
        make_study(replicates=5),
        agent_bindings={"agent-a": lambda: "x"},
        output_dir=tmp_path,
        show_progress=True,
    )
    assert len(shown) == 1
    assert results.summary.succeeded == 10
    assert len(read(tmp_path / "runs.csv")) == 10


def test_whatever_a_study_holds_its_export_is_whole(tmp_path: Path) -> None:
    """D14"""
    with pytest.raises(ValueError, match="no stable JSON form"):
        make_study(provenance_metadata={"at": datetime.now(UTC)})

    def score(answer: Any) -> dict[str, Any]:
        return {"metric_name": "m", "value": 1, "notes_json": {"trace": Path("traces/1.txt")}}

    factors = tuple(
        ps.Factor(name=name, levels=["x", "y"]) for name in ("group", "my factor", "select")
    )
    study = make_study(factors=factors, problems=(ps.Problem(problem_id="p1", evaluator=score),))
    results = run(study, lambda: "x", tmp_path, include_sqlite=True)
    assert results.summary.succeeded == 8
    notes = {row["notes_json"] for row in read(tmp_path / "evaluations.csv")}
    assert notes == {'{"trace":"traces/1.txt"}'}
    assert {row["my factor"] for row in read(tmp_path / "conditions.csv")} == {"x", "y"}
    assert query(tmp_path, "SELECT count(*) FROM runs") == [(8,)]


def test_half_a_surrogate_pair_in_a_models_text_is_stored_and_exported(tmp_path: Path) -> None:
    """D48"""

    def agent(ctx: ps.RunContext) -> str:
        ctx.observe("assistant_output", "cut \ud83d", part="\ud83d")
        raise ValueError("no \ud83d")

    agents = {"says": lambda: "cut \ud83d", "fails": agent}
    study = make_study(("a",), agent_specs=tuple(agents))
    for _ in range(2):
        said, failed = run(study, agents, tmp_path)
        assert said.outputs["text"].startswith("cut ")
        assert failed.error_info is not None
        assert failed.error_info.startswith("ValueError: no ")

    texts = [row["text"] for row in read(tmp_path / "events.csv")]
    assert len(texts) == 3
    assert all(text.isprintable() for text in texts)


def test_a_long_text_is_kept_whole_and_readers_of_csv_do_not_stop_at_it(tmp_path: Path) -> None:
    """D49"""
    text = "word " * 60_000
    (result,) = run(make_study(("a",)), lambda: text, tmp_path)
    assert result.outputs["text"] == text
    assert query(tmp_path, "SELECT text FROM events") == [(text,)]
    assert csv.field_size_limit() == 131_072
    (row,) = read(tmp_path / "analysis" / "events.csv")
    assert row["text"].startswith("word word ")
    assert row["text"].endswith("(cut: 300000 characters, in full in the table of all runs)")
    assert text in (tmp_path / "events.csv").read_text(encoding="utf-8")


def test_tables_are_in_plan_order_and_a_resume_changes_no_byte_of_them(tmp_path: Path) -> None:
    """D21"""

    def agent(ctx: ps.RunContext) -> str:
        if not ready and ctx.spec.replicate % 2:
            raise ConnectionError("not yet")

        ctx.observe("tool_call", "looked", b=1, a=[1, 2])
        return ctx.spec.run_id

    study, ready = make_study(replicates=10), False
    run(study, agent, tmp_path / "resumed", parallelism=8)
    before = [row["run_id"] for row in read(tmp_path / "resumed" / "runs.csv")]
    ready = True
    run(study, agent, tmp_path / "resumed", parallelism=3)
    run(study, agent, tmp_path / "whole")
    planned = [spec.run_id for spec in ps.plan(study)]
    assert before == planned
    assert [row["run_id"] for row in read(tmp_path / "resumed" / "runs.csv")] == planned
    assert_same_artifacts(tmp_path / "resumed", tmp_path / "whole")
    events = read(tmp_path / "resumed" / "events.csv")
    metas = {row["meta_json"] for row in events if row["event_type"] == "tool_call"}
    assert metas == {'{"b":1,"a":[1,2]}'}


def _bytes_on_disk(folder: Path) -> int:
    found = {path.stat().st_ino: path.stat().st_size for path in folder.rglob("*")}
    return sum(found.values())


def test_a_result_is_not_written_again_by_every_session(tmp_path: Path) -> None:
    """D35"""
    study = make_study(("a",), execution={"report": False})
    run(study, lambda: "x" * 1_000_000, tmp_path)
    first = _bytes_on_disk(tmp_path)
    for _ in range(3):
        run(study, lambda: "never called", tmp_path)

    assert first < 4_000_000  # the store, the table of events and the tidy one
    assert _bytes_on_disk(tmp_path) < first + 100_000
    assert not list(tmp_path.rglob("*.jsonl.*"))
    assert query(tmp_path, "SELECT count(*) FROM attempt") == [(1,)]


def test_a_row_put_before_the_others_of_a_matrix_changes_no_other_run(tmp_path: Path) -> None:
    """D44"""
    calls = Calls(tmp_path / "calls")
    levels = tuple(f"t{number}" for number in range(7))
    for rows in (levels[1:], levels):
        (tmp_path / "matrix.json").write_text(json.dumps([{"tone": tone} for tone in rows]))
        design = ps.DesignSpec(kind="custom_matrix", matrix_path="matrix.json")
        study = make_study(levels, design_spec=design, base_dir=tmp_path)
        results = run(study, calls.note_and("x"), tmp_path / "out")

    assert len(results) == 7
    assert len(calls.all()) == len(set(calls.all())) == 7


SECRETS = ("sk-live-0123456789abcdef", "hunter2hunter2")


def test_tables_for_spreadsheets_hold_no_formula_and_no_file_a_key_that_is_repeated(
    tmp_path: Path,
) -> None:
    """D20: what an agent returns or observes is stored as it is, keys in it too."""
    key, password = SECRETS

    def injects(ctx: ps.RunContext) -> ps.AgentResult:
        ctx.observe("assistant_output", "=cmd|'/C calc'!A0")
        ctx.observe("assistant_output", "- a list\n- is none")
        return ps.AgentResult(
            outputs={"text": "-5"}, metadata={"model_name": "@SUM(1+1)", "api_key": password}
        )

    def fails(ctx: ps.RunContext) -> str:
        raise PermissionError(f"401: wrong key {key}; authorization: bearer {password}")

    agents = {"injects": injects, "fails": fails}
    study = make_study(
        ("a",),
        agent_specs=tuple(agents),
        provenance_metadata={"lab": "ours", "api_key": key, "nested": {"password": password}},
    )
    results = run(study, agents, tmp_path)
    texts = [row["text"] for row in read(tmp_path / "events.csv")]
    assert texts[:2] == ["=cmd|'/C calc'!A0", "- a list\n- is none"], "as it was said"
    copy = export_artifacts(tmp_path, tmp_path / "copy")
    quote_formulas(copy)
    assert next(row["text"] for row in read(copy / "events.csv")) == "'=cmd|'/C calc'!A0"
    assert [row["model_name"] for row in read(copy / "runs.csv")] == ["'@SUM(1+1)", "unknown"]
    assert results[0].provenance["model_name"] == "@SUM(1+1)"
    assert "401: wrong key [redacted]" in str(results[1].error)
    assert json.loads((tmp_path / "manifest.json").read_text())["provenance"]["lab"] == "ours"
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        for secret in SECRETS:
            assert secret.encode() not in path.read_bytes(), path
