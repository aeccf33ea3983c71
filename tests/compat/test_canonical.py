"""The files of a study under the functions that wrote, checked and read them."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import penstock as ps
import penstock.compat
from penstock.errors import DirectoryInUseError, StoreError
from penstock.store.files.lock import hold_directory

compat: Any = penstock.compat  # facts take positions and older names that types know nothing of


ANALYSIS = "design_research_analysis"
FILES = {
    "study.yaml", "manifest.json", "conditions.csv", "runs.csv", "events.csv", "evaluations.csv",
    "hypotheses.json", "analysis_plan.json",
}  # fmt: skip


def study(**fields: Any) -> Any:
    levels = (compat.Level("w", "warm"), compat.Level("c", "cold"))
    given = {
        "study_id": "moved",
        "title": "t",
        "factors": (compat.Factor("tone", "how it is said", levels=levels),),
        "problem_ids": ("p",),
        "agent_specs": ("a",),
    }
    return compat.Study(**{**given, **fields})


def answer(problem_packet: ps.Problem, condition: ps.Condition) -> Any:
    return compat.agent_result(str(condition["tone"]), metrics={"primary_outcome": 1.0})


@pytest.fixture
def ran(tmp_path: Path) -> Any:
    made = study(output_dir=tmp_path / "out")
    compat.run_study(made, agent_bindings={"a": answer})
    return made


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_tables_are_written_again_beside_the_results(ran: Any) -> None:
    assert ran.output_dir is not None
    before = (ran.output_dir / "runs.csv").read_bytes()
    (ran.output_dir / "runs.csv").unlink()
    files = compat.export_analysis_tables(ran, conditions=[], run_results=[], include_sqlite=True)
    assert {*files} == FILES | {"artifacts"}
    assert files["artifacts"].is_dir()
    assert files["runs.csv"] == ran.output_dir / "runs.csv"
    assert files["runs.csv"].read_bytes() == before
    with (
        hold_directory(ran.output_dir),
        pytest.raises(DirectoryInUseError, match="is in use"),
    ):
        compat.export_analysis_tables(ran)


@pytest.mark.field("studies-P2")
def test_the_directory_that_is_given_is_where_the_tables_go(ran: Any, tmp_path: Path) -> None:
    results = compat.run_study(ran, agent_bindings={"a": answer})
    assert ran.output_dir is not None
    before = {path: path.read_bytes() for path in ran.output_dir.rglob("*") if path.is_file()}
    files = compat.export_analysis_tables(
        ran,
        conditions=compat.build_design(ran),
        run_results=results,
        output_dir=tmp_path / "tables",
        include_sqlite=True,
    )

    assert files["runs.csv"] == tmp_path / "tables" / "runs.csv"
    for name in ("runs.csv", "conditions.csv", "events.csv", "evaluations.csv"):
        assert table(files[name]) == table(ran.output_dir / name)

    assert (tmp_path / "tables" / "study.sqlite").exists()
    assert {
        path: path.read_bytes() for path in ran.output_dir.rglob("*") if path.is_file()
    } == before


def test_the_tables_hold_the_results_that_are_given(ran: Any, tmp_path: Path) -> None:
    results = compat.run_study(ran, agent_bindings={"a": answer})
    warm = [result for result in results if result.outputs["text"] == "warm"]
    files = compat.export_canonical_artifacts(
        study=ran, run_results=warm, output_dir=tmp_path / "warm"
    )

    assert [row["run_id"] for row in table(files["runs.csv"])] == [warm[0].run_id]
    assert len(table(files["conditions.csv"])) == 2
    with pytest.raises(ps.ValidationError, match="No condition with the id"):
        compat.export_canonical_artifacts(
            study=ran, conditions=[], run_results=warm, output_dir=tmp_path / "none"
        )


def test_results_that_are_made_by_hand_have_tables_too(tmp_path: Path) -> None:
    made = study(output_dir=tmp_path / "out")
    condition = compat.Condition("cond-1", {"tone": "warm"}, {})
    spec = compat.RunSpec(
        run_id="run-1",
        study_id="moved",
        condition_id="cond-1",
        problem_id="p",
        replicate=1,
        seed=5,
        agent_spec_ref="a",
        problem_spec_ref="p",
        execution_metadata={"agent_id": "a"},
    )
    by_hand = compat.RunResult(
        run_id="run-1",
        status=compat.RunStatus.FAILED,
        outputs={"text": "hello"},
        metrics={"primary_outcome": 0.75},
        evaluator_outputs=[{"metric_value": 0.75, "notes_json": {"ok": True}}],
        cost=0.02,
        latency=1.25,
        observations=[{"text": "said", "meta_json": {"k": 1}}],
        error_info="ValueError: no: none",
        run_spec=spec,
    )
    nowhere = compat.RunResult(run_id="run-2", status=compat.RunStatus.SUCCESS, run_spec=None)
    files = compat.export_canonical_artifacts(
        study=made, conditions=[condition], run_results=[by_hand, nowhere]
    )

    (run,) = table(files["runs.csv"])
    assert (run["agent_id"], run["cost_usd"], run["latency_s"]) == ("a", "0.02", "1.25")
    assert (run["seed"], run["error_info"]) == ("5", "ValueError: no: none")
    assert table(files["events.csv"])[0]["meta_json"] == '{"k":1}'
    assert table(files["evaluations.csv"])[0]["notes_json"] == '{"ok":true}'


def test_results_of_another_store_are_not_written_beside_this_one(ran: Any) -> None:
    unknown = compat.RunResult(run_id="run-unknown", status=compat.RunStatus.SUCCESS)
    with pytest.raises(StoreError, match="has no results of run-unknown"):
        compat.export_analysis_tables(ran, run_results=[unknown])


def test_a_study_that_never_ran_is_exported_as_it_is_planned(tmp_path: Path) -> None:
    files = compat.export_canonical_artifacts(study=study(), output_dir=tmp_path / "planned")
    assert [row["tone"] for row in table(files["conditions.csv"])] == ["warm", "cold"]
    assert table(files["runs.csv"]) == []
    assert json.loads(files["manifest.json"].read_text())["run_count"] == 0


@pytest.mark.field("studies-P3")
def test_files_that_are_not_as_they_should_be_are_an_error(ran: Any, tmp_path: Path) -> None:
    assert ran.output_dir is not None
    assert {*compat.validate_canonical_artifacts(ran.output_dir)} == FILES
    with pytest.raises(ps.ValidationError, match=r"artifacts: conditions\.csv, evaluations\.csv"):
        compat.validate_canonical_artifacts("/nonexistent")

    (ran.output_dir / "events.csv").write_text("timestamp,record_id,text\r\n")
    (ran.output_dir / "manifest.json").write_text("{}")
    with pytest.raises(ps.ValidationError) as refused:
        compat.validate_canonical_artifacts(str(ran.output_dir))

    assert len(refused.value.errors) == 2


def test_results_are_read_back_by_run(ran: Any, tmp_path: Path) -> None:
    assert ran.output_dir is not None
    kept = compat.load_checkpointed_run_results(ran.output_dir)
    assert {result.outputs["text"] for result in kept.values()} == {"warm", "cold"}
    assert all(name == result.run_spec.run_id for name, result in kept.items())
    assert compat.load_checkpointed_run_results(tmp_path / "nowhere") == {}


def integration(monkeypatch: pytest.MonkeyPatch, **verdict: Any) -> list[Path]:
    """Put a fake of the package that analyses in place; give what it is asked about."""
    asked: list[Path] = []

    def validate(folder: Path) -> SimpleNamespace:
        asked.append(folder)
        return SimpleNamespace(**verdict)

    module = ModuleType(f"{ANALYSIS}.integration")
    vars(module)["validate_experiment_events"] = validate
    monkeypatch.setitem(sys.modules, ANALYSIS, ModuleType(ANALYSIS))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return asked


def test_the_package_that_analyses_may_check_the_tables(
    ran: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = integration(monkeypatch, is_valid=True)
    compat.export_analysis_tables(ran, validate_with_analysis_package=True)
    assert asked == [Path(str(ran.output_dir)) / "analysis"]

    integration(monkeypatch, is_valid=False, errors=["no rows"])
    with pytest.raises(ps.ValidationError, match="no rows"):
        compat.export_analysis_tables(ran, validate_with_analysis_package=True)


def test_where_it_is_not_installed_that_is_said(ran: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, ANALYSIS, None)
    monkeypatch.setitem(sys.modules, f"{ANALYSIS}.integration", None)
    with pytest.raises(ps.ValidationError, match="needs design-research-analysis, which cannot"):
        compat.export_analysis_tables(ran, validate_with_analysis_package=True)


def test_rows_of_events_are_checked_for_the_columns_of_every_reader() -> None:
    complete = dict.fromkeys(
        ("timestamp", "record_id", "text", "session_id", "actor_id", "event_type", "meta_json"), ""
    )
    assert compat.validate_unified_event_columns([complete]) == []
    lacking = {name: value for name, value in complete.items() if name != "text"}
    assert compat.validate_unified_event_columns([complete, lacking]) == [
        "events row 1 is missing required column 'text'."
    ]
