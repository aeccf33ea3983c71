from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.study.run_columns import RUN_COLUMNS
from tests.builders import make_study
from tests.models.loopback import ANSWER, answers, http_server
from tests.models.studies import chat, chat_study

OTHERWISE = {"study_id", "condition_id", "agent_id", "problem_id"}
"""Refused, for they are columns of conditions.csv, or what chooses agents and problems."""


def factor(name: str, *levels: Any) -> ps.Factor:
    return ps.Factor(
        name=name,
        description="",
        levels=[ps.Level(name=f"l{at}", value=level) for at, level in enumerate(levels)],
    )


def agent(ctx: ps.RunContext) -> str:
    ctx.record(words=3, tone="recorded", shift="recorded", status="recorded")
    return "42"


def run(folder: Path, **fields: Any) -> ps.StudyResult:
    study = make_study(("warm",), **fields)
    return ps.run_study(study, agent_bindings={"agent-a": agent}, output_dir=folder)


@pytest.mark.field("studies-N3")
@pytest.mark.parametrize("name", sorted(set(RUN_COLUMNS) - OTHERWISE))
def test_a_factor_called_like_a_built_in_column_gives_its_own_levels(
    name: str, tmp_path: Path
) -> None:
    results = run(tmp_path, factors=(factor(name, "x", "y"),))
    rows = list(results.to_rows())
    frame = results.to_pandas()

    assert {row[name] for row in rows} == set(frame[name]) == {"x", "y"}
    assert {f"run_{name}", *RUN_COLUMNS} <= set(rows[0]) | {name}


@pytest.mark.field("studies-N3")
@pytest.mark.field("studies-N10")
def test_nothing_that_is_known_of_a_run_hides_anything_else(tmp_path: Path) -> None:
    results = run(
        tmp_path,
        factors=(factor("tone", "warm"),),
        blocks=(ps.Block(name="shift", levels=("late",)),),
        evaluators={"correct": "number", "asked": lambda answer: {"words": 7, "tone": 1}},
    )

    (row,) = results.to_rows()

    assert (row["tone"], row["shift"], row["status"]) == ("warm", "late", "success")
    assert (row["metric_tone"], row["metric_shift"]) == ("recorded", "recorded")
    assert row["metric_status"] == "recorded"
    assert (row["correct"], row["words"], row["asked.tone"]) == (1.0, 7, 1)
    assert (row["metric_words"], row["answer"]) == (3, "42")


def test_only_scores_of_the_evaluators_that_are_declared_now_are_shown(tmp_path: Path) -> None:
    shown = []
    for declared in ({"a": "exact"}, {"b": _of(1)}, {"b": _of(2)}, {"a": "exact", "b": _of(1)}):
        (row,) = run(tmp_path, evaluators=declared).to_rows()
        shown.append({name: row[name] for name in ("a", "b") if name in row})

    assert shown == [{"a": 1.0}, {"b": 1}, {"b": 2}, {"a": 1.0, "b": 1}]


def _of(score: int) -> Any:
    return lambda answer: score


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        ({"evaluators": {"tone": "exact"}}, ("Evaluator 'tone' (evaluators)", "factor 'tone'")),
        ({"evaluators": {"status": "exact"}}, ("Evaluator 'status'", "built-in column 'status'")),
        (
            {"evaluators": {"step_event_count": "exact"}},
            ("Evaluator 'step_event_count'", "built-in column 'step_event_count'"),
        ),
        (
            {"blocks": [ps.Block(name="shift", levels=("a",))], "evaluators": {"Shift": "exact"}},
            ("Evaluator 'Shift'", "block 'shift' (blocks)"),
        ),
        (
            {"factors": (factor("seed", 1, 2), factor("run_seed", 1, 2))},
            ("Factor 'run_seed' (factors)", "factor 'seed' (factors)"),
        ),
    ],
)
def test_a_name_that_would_stand_for_two_things_is_refused_with_both_places(
    fields: dict[str, Any], places: tuple[str, str], tmp_path: Path
) -> None:
    with pytest.raises(ps.ValidationError) as refused:
        run(tmp_path, **fields)

    assert all(place in str(refused.value) for place in places), refused.value


@pytest.mark.field("models-F3")
@pytest.mark.field("models-F22")
@pytest.mark.anyio
async def test_why_an_answer_ended_is_a_column_of_rows_and_of_the_tidy_table(
    tmp_path: Path,
) -> None:
    choice = {"message": {"content": "4"}, "finish_reason": "model_length"}
    async with http_server(answers(ANSWER | {"choices": [choice]})) as url:
        results = await ps.arun_study(chat_study(tmp_path, chat(url)))

    with (results.output_dir / "results.csv").open(encoding="utf-8") as table:
        tidy = list(csv.DictReader(table))

    assert [row["finish_reason"] for row in results.to_rows()] == ["model_length"] * 2
    assert [row["finish_reason"] for row in tidy] == ["model_length"] * 2


def test_names_that_differ_in_case_alone_are_two_columns_for_sql_too(tmp_path: Path) -> None:
    results = run(
        tmp_path,
        factors=(factor("Words", "warm"),),
        evaluators={"asked": lambda answer: {"WORDS": 7, "Status": 1}},
    )
    (row,) = results.to_rows()
    known = {name: row[name] for name in ("Words", "asked.WORDS", "metric_words", "asked.Status")}
    assert known == {"Words": "warm", "asked.WORDS": 7, "metric_words": 3, "asked.Status": 1}
    assert len({name.casefold() for name in row}) == len(row)


@pytest.mark.parametrize("outcome", [True, False, 2**70])
def test_a_primary_outcome_that_sql_has_as_text_keeps_its_type(
    tmp_path: Path, outcome: Any
) -> None:
    results = run(tmp_path, evaluators={"right": lambda answer: outcome})
    (row,) = results.to_rows()
    assert row["primary_outcome"] is outcome or row["primary_outcome"] == outcome
    assert type(row["primary_outcome"]) is type(outcome)
