"""Facts that are made unchecked are the facts that checking would have made."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from penstock._base.fact import Fact, changed, unchecked
from penstock.agents.answers import AgentResult
from penstock.events import RunSucceeded
from penstock.planning.plan import RunSpec
from penstock.results import RunResult, RunStatus

SPEC: dict[str, Any] = {
    "position": 7,
    "run_id": "run-0a3a82b2f054",
    "study_id": "s1",
    "condition_id": "cond-593275f88eaa",
    "problem_id": "problem-1",
    "agent_id": "agent-a",
    "replicate": 1,
    "seed": 598118156,
}
RESULT: dict[str, Any] = {
    "spec": RunSpec(**SPEC),
    "status": RunStatus.SUCCESS,
    "attempt": 1,
    "started_at": datetime(2026, 1, 2, tzinfo=UTC),
    "ended_at": datetime(2026, 1, 3, tzinfo=UTC),
    "latency_s": 0.25,
    "metrics": {"cost_usd": 0.0},
}
EVENT: dict[str, Any] = {
    "seq": 1,
    "at": datetime(2026, 1, 3, tzinfo=UTC),
    "study_id": "s1",
    "run_id": SPEC["run_id"],
    "result": RunResult(**RESULT),
}
FACTS = [
    (RunSpec, SPEC),
    (RunResult, RESULT),
    (RunSucceeded, EVENT),
    (AgentResult, {"outputs": {"text": "42"}}),
]


@pytest.mark.parametrize(("kind", "fields"), FACTS)
def test_a_fact_made_unchecked_is_the_fact_that_checking_makes(
    kind: type[Fact], fields: dict[str, Any]
) -> None:
    checked, made = kind(**fields), unchecked(kind)(**fields)
    assert made == checked
    assert made.model_dump_json() == checked.model_dump_json()
    assert repr(made) == repr(checked)
    assert pickle.loads(pickle.dumps(made)) == checked
    assert made.model_copy() == checked


def test_a_fact_made_unchecked_cannot_be_edited_either() -> None:
    spec = unchecked(RunSpec)(**SPEC)
    with pytest.raises(ValidationError, match="frozen"):
        spec.seed = 1  # type: ignore[misc]


def test_copies_of_facts_made_unchecked_do_not_share_what_they_were_given() -> None:
    make = unchecked(RunSpec)
    first, second = make(**SPEC), make(**SPEC)
    other = first.model_copy(update={"seed": 1})
    assert (other.seed, first.seed, second) == (1, 598118156, RunSpec(**SPEC))


@pytest.mark.parametrize("name", ["seed", "attempt"])
def test_a_changed_fact_is_the_copy_that_pydantic_makes(name: str) -> None:
    fact: Fact = RunSpec(**SPEC) if name == "seed" else RunResult(**RESULT)
    before = fact.model_dump_json()
    made, copied = changed(fact, **{name: 2}), fact.model_copy(update={name: 2})
    assert made == copied
    assert made.model_fields_set == copied.model_fields_set
    assert made.model_dump_json() == copied.model_dump_json()
    assert fact.model_dump_json() == before
