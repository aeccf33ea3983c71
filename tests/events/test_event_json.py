from __future__ import annotations

import json
from typing import Any

import pytest

from penstock import events
from penstock.errors import ValidationError
from penstock.summary import StudySummary
from tests.builders import make_error, make_event, make_observation, make_plan, make_result

SPEC = make_plan()[0]
RESULT = make_result(SPEC, error=make_error(http_status=503), scores={"right": 0.5, "big": 2**70})
SUMMARY = StudySummary(study_id="tested", planned=3, succeeded=1)
MADE: list[tuple[type[events.Event], dict[str, Any]]] = [
    (events.StudyStarted, {"planned": 3, "restored": 1, "notes": ("n",), "summary": SUMMARY}),
    (events.StudyStopping, {"reason": "r"}),
    (events.StudyFinished, {"summary": SUMMARY}),
    (events.RunStarted, {"run_id": "r", "spec": SPEC, "attempt": 1}),
    (events.RunObserved, {"run_id": "r", "observation": make_observation(SPEC)}),
    (events.RunRetried, {"run_id": "r", "result": RESULT, "wait_s": 1.5}),
    (events.RunAbandoned, {"run_id": "r"}),
    (events.RunFailed, {"run_id": "r", "result": RESULT}),
    (events.RunsSaved, {"run_ids": ("r", "s")}),
    (events.LimitChanged, {"limit": 3, "reason": "r"}),
]


@pytest.mark.field("studies-N13")
@pytest.mark.parametrize(("kind", "fields"), MADE)
def test_an_event_is_read_as_it_was_written(
    kind: type[events.Event], fields: dict[str, Any]
) -> None:
    event = make_event(kind, **fields)
    written = events.to_json(event)
    read = events.from_json(written)

    assert json.loads(written)["type"] == kind.__name__
    assert "\n" not in written
    assert type(read) is kind
    assert read == event


def test_what_is_not_a_number_stays_so() -> None:
    result = make_result(SPEC, scores={"right": float("nan")}, metrics={"x": float("inf")})
    event = make_event(events.RunSucceeded, run_id="r", result=result)

    written = events.to_json(event)

    read = events.from_json(written)
    assert isinstance(read, events.RunSucceeded)
    assert str(read.result.evaluations[0].metric_value) == "nan"
    assert read.result.metrics["x"] == float("inf")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "not an event"),
        ('{"seq": 1}', "not an event"),
        ('{"type": "RunFaild"}', "did you mean 'RunFailed'?"),
        ('{"type": "StudyStopping"}', "reason"),
    ],
)
def test_what_is_not_an_event_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        events.from_json(text)

    assert said in str(refused.value)
