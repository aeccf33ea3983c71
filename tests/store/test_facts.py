"""What is read back is what was announced, whole."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import penstock as ps
from penstock._base.json import encode
from penstock._base.text import readable
from penstock.results import (
    Evaluation,
    Observation,
    ObservationLevel,
    RunError,
    RunResult,
    RunStage,
    RunStatus,
)
from penstock.store.files.opening import open_store
from penstock.store.reader import StoreReader
from tests.builders import make_plan

pytestmark = pytest.mark.anyio

PLAN = make_plan()
SPEC = PLAN[1]

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
WORD = st.text("abc", min_size=1, max_size=4)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.one_of(st.integers(-(2**70), 2**70), FINITE, st.sampled_from([float("inf")]))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORD, inner, max_size=2)
)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001
    lambda naive: naive.replace(tzinfo=UTC)
)

OBSERVATIONS = st.lists(
    st.builds(
        Observation,
        timestamp=TEXT,
        record_id=TEXT,
        text=TEXT,
        session_id=WORD,
        actor_id=TEXT,
        event_type=st.sampled_from(["step", "tool_call", "assistant_output"]),
        meta_json=st.sampled_from(["{}", '{"auto_generated":true}']),
        level=st.sampled_from(ObservationLevel),
        study_id=st.just(SPEC.study_id),
        run_id=st.just(SPEC.run_id),
        condition_id=st.just(SPEC.condition_id),
        trial_id=st.none() | TEXT,
        step_id=st.none() | TEXT,
        tool_name=st.none() | TEXT,
        evaluation_id=st.none() | TEXT,
    ),
    max_size=3,
)
EVALUATIONS = st.lists(
    st.builds(
        Evaluation,
        run_id=st.just(SPEC.run_id),
        evaluator_id=TEXT,
        metric_name=TEXT,
        metric_value=st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
        metric_unit=TEXT,
        aggregation_level=TEXT,
        notes_json=TEXT,
    ),
    max_size=3,
).map(tuple)
ERRORS = st.builds(
    RunError,
    kind=TEXT,
    message=TEXT,
    stage=st.sampled_from(RunStage),
    retryable=st.booleans(),
    retry_after_s=st.none() | st.floats(0, 1e6),
    http_status=st.none() | st.integers(100, 599),
    stops_study=st.booleans(),
    traceback=TEXT,
)
AMOUNTS = st.none() | st.integers(0, 2**53) | st.floats(0, 1e9)


@st.composite
def results(draw: st.DrawFn) -> RunResult:
    """Anything that a run may have come to."""
    status = draw(st.sampled_from(RunStatus))
    outputs = draw(st.dictionaries(st.sampled_from(["text", "answer"]), JSON, max_size=2))
    started_at = draw(MOMENTS)
    ended_at = started_at + timedelta(microseconds=draw(st.integers(0, 10**9)))

    own = {name: draw(AMOUNTS) for name in ("cost_usd", "input_tokens", "output_tokens")}
    return RunResult(
        spec=SPEC,
        status=status,
        attempt=draw(st.integers(1, 9)),
        planned_order=draw(st.integers(0, 10**6)),
        started_order=draw(st.integers(0, 10**6)),
        started_at=started_at,
        ended_at=ended_at,
        latency_s=draw(st.floats(0, 1e6)),
        outputs_json=encode(outputs),
        metrics={**draw(st.dictionaries(WORD, JSON, max_size=3)), **own},
        evaluations=draw(EVALUATIONS),
        reported=tuple(draw(OBSERVATIONS)),
        trace_refs=tuple(draw(st.lists(TEXT, max_size=2))),
        provenance=draw(st.dictionaries(WORD, JSON, max_size=2)),
        error=None if status is RunStatus.SUCCESS else draw(ERRORS),
    )


@pytest.mark.field("studies-R1")
@settings(max_examples=60, deadline=None)
@given(announced=results(), rescored=st.none() | results())
async def test_a_result_that_is_read_back_is_the_one_that_was_announced(
    tmp_path_factory: pytest.TempPathFactory, announced: RunResult, rescored: RunResult | None
) -> None:
    directory = tmp_path_factory.mktemp("store")
    async with open_store(directory, durable=False) as store:
        await store.begin(PLAN)
        await store.save([(announced, True)])
        if rescored is not None:
            announced = scored_again(announced, rescored)
            await store.save([(announced, True)])

        assert await store.recall(SPEC.position) == announced

    with StoreReader(directory) as reader:
        (read,) = reader.results()
        assert read == announced
        assert read.outputs == announced.outputs


def scored_again(announced: RunResult, other: RunResult) -> RunResult:
    """The same answer with the scores and the error of another result."""
    changed = {
        "status": other.status,
        "error": other.error,
        "metrics": {**announced.metrics, "again": 1},
        "evaluations": other.evaluations,
        "is_rescored": True,
    }
    return announced.model_copy(update=changed)


@pytest.mark.parametrize("end", ["", " — and why", "\0", "\ud83d", "NaN", "\n"])
def test_a_long_answer_is_read_back_as_it_was_announced(tmp_path: Path, end: str) -> None:
    study = ps.Study(study_id="s", title="t", problem_ids=("p1",), agent_specs=("a",))
    runner = ps.StudyRunner(
        study,
        agent_bindings={"a": lambda ctx: {"text": "it is 42; " * 50 + end}},
        problem_registry={"p1": ps.Problem(problem_id="p1")},
        output_dir=tmp_path,
        show_progress=False,
    )
    announced = []
    runner.on(ps.RunFinished)(lambda event: announced.append(event.result))
    anyio.run(runner.run)
    with StoreReader(tmp_path) as reader:
        assert [*reader.results()] == announced
        ((text,),) = reader.table("SELECT text FROM events")
        assert text == readable(announced[0].outputs["text"])


@pytest.mark.field("studies-R2")
@pytest.mark.parametrize(
    ("returned", "said", "texts"),
    [
        ("it is 42", None, ["it is 42"]),
        ("it is 42", ("tool_call", "looked"), ["looked", "it is 42"]),
        ("it is 42", ("assistant_output", "hm"), ["hm", "it is 42"]),
        ("it is 42", ("assistant_output", "it is 42"), ["it is 42"]),
        ({"text": True}, ("step", "s"), ["s", "true"]),
        ({"text": 10**30, "nan": float("nan")}, ("step", "s"), ["s", str(10**30)]),
        ({"text": {"deep": [1, "two"]}}, None, ['{"deep":[1,"two"]}']),
        ({"text": None}, ("step", "s"), ["s", ""]),
        ({"text": "cut \0 here"}, ("step", "s"), ["s", "cut \0 here"]),
    ],
)
def test_every_answer_is_in_the_table_of_events(
    tmp_path: Path, returned: Any, said: tuple[str, str] | None, texts: list[str]
) -> None:
    def agent(ctx: ps.RunContext) -> Any:
        if said is not None:
            ctx.observe(*said)

        return returned

    study = ps.Study(study_id="s", title="t", problem_ids=("p1",), agent_specs=("a",))
    results = ps.run_study(
        study,
        agent_bindings={"a": agent},
        problem_registry={"p1": ps.Problem(problem_id="p1")},
        output_dir=tmp_path,
        show_progress=False,
    )
    with (tmp_path / "events.csv").open(encoding="utf-8", newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == texts

    assert [each.text for each in results[0].observations] == texts[: 1 if said else None]
    with StoreReader(tmp_path) as reader:
        query = "SELECT text FROM events ORDER BY position, number"
        assert [text for (text,) in reader.table(query)] == texts
