from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import anyio
import numpy as np
import pytest
import structlog

from penstock.errors import BindingError
from penstock.results import Observation, ObservationLevel
from penstock.study.identity import hash_identifier
from tests.builders import make_context


def test_the_condition_answers_by_factor_name() -> None:
    assert make_context(levels=("polite",)).condition["tone"] == "polite"


def test_the_generator_is_the_same_in_every_attempt() -> None:
    first, second = make_context(), make_context(attempt=2)

    assert first.rng is first.rng
    assert first.rng.random(5).tolist() == second.rng.random(5).tolist()


def test_the_logger_is_bound_to_the_run() -> None:
    ctx = make_context(attempt=3)

    with structlog.testing.capture_logs() as logs:
        ctx.log.info("thinking", step=1)

    structlog.reset_defaults()
    assert logs == [
        {
            "run_id": ctx.spec.run_id,
            "agent_id": "agent-a",
            "attempt": 3,
            "step": 1,
            "event": "thinking",
            "log_level": "info",
        }
    ]


def test_a_limit_is_given_by_its_name() -> None:
    api = anyio.CapacityLimiter(3)

    assert make_context(limiters={"api": api}).limiter("api") is api


def test_an_unknown_limit_says_which_are_known_and_what_to_pass() -> None:
    ctx = make_context(limiters={"api": anyio.CapacityLimiter(3)})

    with pytest.raises(
        BindingError, match=r"'gpu' \(known: api\); declare `execution: \{limiters: \{gpu: 10\}\}`"
    ):
        ctx.limiter("gpu")


def test_numbers_that_are_recorded_add_up_and_anything_else_is_replaced() -> None:
    ctx = make_context()

    ctx.record(cost_usd=0.25, calls=1, model="a", path=[1])
    ctx.record(cost_usd=np.float64(0.5), calls=np.int64(2), model="b", path=(2, 3))

    assert ctx.metrics == {"cost_usd": 0.75, "calls": 3, "model": "b", "path": [2, 3]}
    json.dumps(ctx.metrics)


def test_a_metric_may_have_any_name() -> None:
    ctx = make_context()

    ctx.record(**{"self": 1, "": 2, "a b": 3})

    assert ctx.metrics == {"self": 1, "": 2, "a b": 3}


@pytest.mark.parametrize("name", ["cost_usd", "input_tokens", "output_tokens"])
@pytest.mark.parametrize(
    "value",
    ["n/a", "3", -1, float("nan"), float("inf"), 10**400, np.array([1, 2]), [1], Decimal("NaN")],
)
def test_an_amount_that_cannot_be_summed_is_told_and_not_known_and_the_others_are_kept(
    name: str, value: Any
) -> None:
    ctx = make_context()

    ctx.record(**{"before": 1, name: value, "after": 2})

    assert ctx.metrics == {"before": 1, name: None, "after": 2}
    (refused,) = ctx.refused
    assert f"metrics.{name} cannot be stored" in str(refused)


@pytest.mark.parametrize("name", ["cost_usd", "input_tokens", "output_tokens"])
def test_an_amount_of_which_a_part_is_not_known_is_not_known(name: str) -> None:
    ctx = make_context()

    for part in (1, None, 2):
        ctx.record(**{name: part})

    assert (ctx.metrics, ctx.refused) == ({name: None}, [])


def test_a_cost_may_be_exact() -> None:
    ctx = make_context()

    ctx.record(cost_usd=Decimal("0.5"))
    ctx.record(cost_usd=0.25)

    assert ctx.metrics == {"cost_usd": 0.75}


@pytest.mark.parametrize("value", [np.int32(7), np.array([7]), np.array(7)])
def test_an_amount_may_be_a_number_of_numpy(value: Any) -> None:
    ctx = make_context()

    ctx.record(input_tokens=value)

    assert ctx.metrics == {"input_tokens": 7}
    assert type(ctx.metrics["input_tokens"]) is int


def test_a_metric_without_a_json_form_is_left_out_and_told_with_its_path() -> None:
    ctx = make_context()

    ctx.record(seen={"ids": {1, 2}}, words=3)

    assert ctx.metrics == {"words": 3}
    assert re.search(r"metrics\.seen\.ids cannot be stored.*\(set\)", str(ctx.refused[0]))


def test_an_observation_is_filled_in() -> None:
    heard: list[Observation] = []
    ctx = make_context(on_observe=lambda ctx: heard.extend(ctx.unannounced()))

    ctx.observe("tool_call", "searched", tool="web", hits=2)

    (seen,) = ctx.observations
    assert heard == [seen]
    assert seen.model_dump(exclude={"timestamp"}) == {
        "record_id": hash_identifier(
            "evt", {"run_id": ctx.spec.run_id, "index": 0, "event_type": "tool_call"}
        ),
        "text": "searched",
        "session_id": ctx.spec.run_id,
        "actor_id": "agent",
        "event_type": "tool_call",
        "meta_json": '{"tool":"web","hits":2}',
        "level": "step",
        "study_id": "tested",
        "run_id": ctx.spec.run_id,
        "condition_id": ctx.spec.condition_id,
        "trial_id": None,
        "step_id": None,
        "tool_name": None,
        "evaluation_id": None,
    }


def test_an_observation_may_bring_its_own_columns() -> None:
    ctx = make_context()

    ctx.observe_mapping(
        {
            "timestamp": "2026-01-01",
            "record_id": "r-1",
            "session_id": "s-1",
            "actor_id": "critic",
            "event_type": "step",
            "text": 3,
            "meta_json": '{"a": 1}',
            "level": "tool-call",
            "trial_id": 7,
            "tool_name": "web",
            "unknown": "is passed over",
        }
    )

    (seen,) = ctx.observations
    assert (seen.timestamp, seen.record_id, seen.session_id) == ("2026-01-01", "r-1", "s-1")
    assert (seen.actor_id, seen.text, seen.meta_json) == ("critic", "3", '{"a": 1}')
    assert (seen.level, seen.trial_id, seen.tool_name) == (ObservationLevel.TOOL_CALL, "7", "web")


def test_each_observation_has_an_id_of_its_own() -> None:
    ctx = make_context()
    for _ in range(3):
        ctx.observe("step")

    assert len({each.record_id for each in ctx.observations}) == 3


def test_an_unknown_level_is_told_and_the_observation_is_kept() -> None:
    ctx = make_context()

    ctx.observe("step", level="turn")

    assert [each.level for each in ctx.observations] == [ObservationLevel.STEP]
    assert "'turn' is not a valid ObservationLevel; one of: study, run" in str(ctx.refused[0])


def test_what_is_observed_is_kept_but_for_what_has_no_json_form() -> None:
    ctx = make_context()

    ctx.observe("step", "a", seen=object(), hits=2)

    assert [each.meta_json for each in ctx.observations] == ['{"hits":2}']
    assert "event.meta_json.seen" in str(ctx.refused[0])


def test_threads_that_report_at_once_lose_nothing() -> None:
    ctx = make_context()
    together = threading.Barrier(8)

    def report() -> None:
        together.wait(10)
        for _ in range(200):
            ctx.record(calls=1, cost_usd=1)
            ctx.observe("step")

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(report) for _ in range(8)]:
            done.result()

    assert ctx.metrics == {"calls": 1600, "cost_usd": 1600}
    assert len({each.record_id for each in ctx.observations}) == 1600


def test_an_agent_left_behind_after_its_attempt_reports_to_nobody() -> None:
    heard: list[Observation] = []
    ctx = make_context(on_observe=lambda ctx: heard.extend(ctx.unannounced()))
    ctx.observe("step")
    ctx.end()

    ctx.observe("step")

    assert len(ctx.observations) == len(heard) == 1


def test_each_role_draws_numbers_of_its_own_and_the_agents_are_those_of_its_seed() -> None:
    drawn = {
        "agent": make_context().stream("agent").random(3).tolist(),
        "environment": make_context().stream("environment").random(3).tolist(),
        "evaluator": make_context().stream("evaluator").random(3).tolist(),
    }

    assert len({tuple(numbers) for numbers in drawn.values()}) == 3
    assert drawn["agent"] == np.random.default_rng(make_context().seed).random(3).tolist()
    ctx = make_context()
    ctx.rng.random(1000)
    assert ctx.stream("environment").random(3).tolist() == drawn["environment"]
    assert ctx.stream("environment").random(3).tolist() != drawn["environment"]
