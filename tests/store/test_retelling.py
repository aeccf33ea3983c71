"""What is told again from the store is what was announced, in the order in which it was saved."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import BindingError, SkipRun
from penstock.events import (
    ActionTaken,
    Event,
    LimitChanged,
    RunAnswered,
    RunCancelled,
    RunEvent,
    RunObserved,
    RunRetried,
    RunSkipped,
    RunsSaved,
    RunStarted,
    RunSucceeded,
    StudyFinished,
    StudyStarted,
)
from penstock.events.bus import EventBus
from penstock.results import RunResult, RunStatus
from penstock.store.announced import SAVED
from penstock.store.files.opening import open_store
from penstock.store.reader import StoreReader
from penstock.store.schema import SCHEMA_VERSION
from penstock.store.told_again.retelling import Retelling
from penstock.store.told_again.telling import KEPT, kept_types
from penstock.subscribers.checkpoint import EVENTS, checkpoint
from tests.builders import (
    NOW,
    Announced,
    make_error,
    make_event,
    make_plan,
    make_result,
    make_study,
)
from tests.older_stores import make_older
from tests.store.test_facts import results

pytestmark = pytest.mark.anyio

TELLABLE = (StudyStarted, RunEvent, RunsSaved, StudyFinished, ActionTaken)


def told(directory: Path, *types: type[Event], after: int = 0) -> list[Event]:
    """All that a store tells after an event."""
    heard: list[Event] = []
    with StoreReader(directory) as store:
        retelling = Retelling(store, kept_types(types))
        while True:
            more = retelling.after(after)
            heard += more.events
            after = more.seq
            if more.is_all:
                return heard


def facts(events: Sequence[Event]) -> list[Event]:
    """Events without what counts and dates them; what is not kept is left out."""
    kept = [each for each in events if isinstance(each, KEPT)]
    return [each.model_copy(update={"seq": 0, "at": NOW}) for each in kept]


def of_runs(events: Sequence[Event]) -> dict[str, list[Event]]:
    """What was said of each run, in order."""
    runs: dict[str, list[Event]] = {}
    for event in events:
        if isinstance(event, RunEvent):
            runs.setdefault(event.run_id, []).append(event)

    return runs


async def run(directory: Path, agent: Any, study: ps.Study, **options: Any) -> list[Event]:
    """Run a study, and return what was announced of it."""
    heard: list[Event] = []
    runner = ps.StudyRunner(
        study,
        agent_bindings={"agent-a": agent},
        output_dir=directory,
        show_progress=False,
        checkpoint=False,
        **{"retry": ps.Retry(attempts=2, wait_s=0), "concurrency": 3, **options},
    )
    runner.on(*TELLABLE)(heard.append)
    await runner.run()
    return heard


@st.composite
def histories(draw: st.DrawFn) -> list[list[Event]]:
    """What a session announces of a run and saves, in groups; and of another one, in the first."""
    other = make_result(make_plan()[0], metrics={"cost_usd": 0.5})
    groups: list[list[Event]] = [
        [make_event(RunSucceeded, run_id=other.run_id, result=other)],
        [],
        [],
    ]
    place = 0
    for number in (1, 2):
        made = draw(results()).model_copy(update={"attempt": number})
        for event in ends(made, draw(st.floats(0, 9)), answered=draw(st.booleans())):
            groups[place].append(event)
            place = draw(st.integers(place, 2))

        if not isinstance(event, RunRetried):
            break

    return groups


def ends(result: RunResult, wait_s: float, *, answered: bool) -> Iterator[Event]:
    """What is said at the end of an attempt that has ended anyhow."""
    of_run: dict[str, Any] = {"run_id": result.run_id, "result": result}
    failed = make_error()
    if result.status is RunStatus.CANCELLED:
        yield make_event(RunCancelled, **of_run)
        return

    if answered and result.status is not RunStatus.SKIPPED:
        answer = result.model_copy(update={"status": RunStatus.SCORING, "error": failed})
        yield make_event(RunAnswered, run_id=result.run_id, result=answer)

    if result.status is RunStatus.SUCCESS:
        yield make_event(RunSucceeded, **of_run)
    elif result.status is RunStatus.SKIPPED:
        yield make_event(RunSkipped, **of_run)
    elif wait_s > 1 and result.attempt == 1:
        made = result.model_copy(update={"status": RunStatus.FAILED})
        yield make_event(RunRetried, run_id=result.run_id, result=made, wait_s=wait_s)
    else:
        made = result.model_copy(update={"status": RunStatus.FAILED})
        yield make_event(ps.RunFailed, run_id=result.run_id, result=made)


@settings(max_examples=20, deadline=None)
@given(groups=histories())
async def test_what_is_saved_is_told_again_as_it_was_announced(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[Event]]
) -> None:
    directory, said = tmp_path_factory.mktemp("told"), Announced()
    async with open_store(directory, durable=False) as store:
        left = await store.begin(make_plan())
        beginning = left.told(store.summary(), 0)
        await store.keep("StudyStarted", **beginning)
        said(StudyStarted, **beginning)
        for group in groups:
            bus = EventBus()
            stream = bus.open(*EVENTS)
            for event in group:
                bus.publish(event)

            bus.close()
            said.events += [each for each in group if not isinstance(each, RunAnswered)]
            await checkpoint(store, said)(stream)

    again = told(directory)
    ended = [each for each in again if not isinstance(each, (RunStarted, RunObserved))]
    assert facts(ended) == facts(said.events)
    observed = [each.observation for each in again if isinstance(each, RunObserved)]
    assert Counter(observed) == Counter(
        each
        for event in said.events
        if isinstance(event, (ps.RunFinished, RunRetried, RunCancelled)) and event.result
        for each in event.result.reported
    )
    numbers = [each.seq for each in again]
    assert numbers == list(range(1, len(again) + 1))


OUTCOMES = [
    ["answer", "answer"],
    ["fail", "mapping"],
    ["fail", "fail"],
    ["refuse", "skip"],
]
"""What becomes of each run of a study, in its attempts."""


async def mixed(ctx: ps.RunContext) -> Any:
    ctx.record(cost_usd=0.25, input_tokens=ctx.attempt)
    ctx.observe("tool_call", f"looked, attempt {ctx.attempt}")
    match OUTCOMES[ctx.spec.position][(ctx.attempt - 1) % 2]:
        case "fail":
            raise ConnectionError("try again")
        case "refuse":
            raise ValueError("never")
        case "skip":
            raise SkipRun("does not apply")
        case "mapping":
            return {"text": "42", "sure": ctx.attempt}

    return "42"


async def judge(ctx: ps.RunContext, answer: Any) -> float:
    ctx.observe("step", "scored")
    await anyio.lowlevel.checkpoint()
    return 0.5


@pytest.mark.parametrize("judged", [False, True])
async def test_what_a_study_announced_in_two_sessions_is_told_again(
    tmp_path: Path, judged: bool
) -> None:
    study = make_study(replicates=2, evaluators={"e": {"call": judge}} if judged else ["exact"])
    announced = await run(tmp_path, mixed, study)
    announced += await run(tmp_path, mixed, study)
    again = told(tmp_path)

    assert of_runs(facts(again)) == of_runs(facts(announced))
    for kind in (StudyStarted, RunsSaved, StudyFinished):
        assert [each for each in facts(again) if isinstance(each, kind)] == [
            each for each in facts(announced) if isinstance(each, kind)
        ]

    middle = again[len(again) // 2].seq
    assert told(tmp_path, after=middle) == [each for each in again if each.seq > middle]
    assert told(tmp_path, RunsSaved) == [each for each in again if isinstance(each, RunsSaved)]


async def answers(ctx: ps.RunContext) -> str:
    ctx.observe("step", "looked")
    return "42"


async def test_a_run_is_told_before_it_is_told_that_it_is_saved(tmp_path: Path) -> None:
    await run(tmp_path, answers, make_study(replicates=3))
    ended: set[str] = set()
    for event in told(tmp_path):
        if isinstance(event, ps.RunFinished):
            ended.add(event.run_id)
        elif isinstance(event, RunsSaved):
            assert ended.issuperset(event.run_ids)

    assert len(ended) == 6


async def test_actions_are_told_in_their_place(tmp_path: Path) -> None:
    runner: ps.StudyRunner

    async def agent(ctx: ps.RunContext) -> str:
        if ctx.spec.position == 1:
            await runner.steering.set({"execution.concurrency": 4}, who="ada", reason="night")
            await runner.steering.set({"execution.retry.on": ["timeout"]}, who="ada")

        return "42"

    heard: list[Event] = []
    options: dict[str, Any] = {"output_dir": tmp_path, "show_progress": False, "concurrency": 1}
    runner = ps.StudyRunner(make_study(), agent_bindings={"agent-a": agent}, **options)
    runner.on(ActionTaken)(heard.append)
    await runner.run()

    again = told(tmp_path)
    assert facts([each for each in again if isinstance(each, ActionTaken)]) == facts(heard)
    assert len(heard) == 2
    kinds = [type(each).__name__ for each in again]
    assert kinds.index("ActionTaken") < len(kinds) - 1 - kinds[::-1].index("RunSucceeded")


async def test_an_answer_that_was_scored_again_is_told_as_it_is_scored_now(tmp_path: Path) -> None:
    first = await run(tmp_path, answers, make_study(evaluators=["exact"]))
    second = await run(tmp_path, answers, make_study(evaluators=["contains"]))
    again = told(tmp_path)
    starts = [number for number, each in enumerate(again) if isinstance(each, StudyStarted)]
    before, after = again[: starts[1]], again[starts[1] :]

    assert of_runs(facts(after)) == of_runs(facts(second))
    assert Counter(map(type, before)) == Counter(map(type, first))
    finished = [each for each in before if isinstance(each, ps.RunFinished)]
    assert [each.result.is_rescored for each in finished] == [False, False]
    assert {score.evaluator_id for each in finished for score in each.result.evaluations} == {
        "contains"
    }


async def test_attempts_that_were_given_up_are_told_where_they_are_kept(tmp_path: Path) -> None:
    runner: ps.StudyRunner

    async def agent(ctx: ps.RunContext) -> str:
        ctx.record(cost_usd=0.5)
        runner.cancel()
        await anyio.sleep_forever()
        return "42"

    heard: list[Event] = []
    options: dict[str, Any] = {"output_dir": tmp_path, "show_progress": False, "concurrency": 1}
    runner = ps.StudyRunner(make_study(), agent_bindings={"agent-a": agent}, **options)
    runner.on(*TELLABLE)(heard.append)
    await runner.run()

    assert facts(told(tmp_path, RunCancelled)) == facts(
        [each for each in heard if isinstance(each, RunCancelled)]
    )
    assert len(told(tmp_path, RunCancelled)) == 1


async def answers_alone(ctx: ps.RunContext) -> str:
    return "42"


@pytest.mark.parametrize("layout", range(1, SCHEMA_VERSION))
async def test_a_store_that_kept_no_order_tells_its_attempts_by_their_ids(
    tmp_path: Path, layout: int
) -> None:
    announced = await run(tmp_path, answers_alone, make_study(replicates=3))
    make_older(tmp_path / "study.sqlite", layout)
    again = told(tmp_path)
    assert [type(each) for each in again[:2]] == [StudyStarted, RunStarted]
    assert of_runs(facts(again)).keys() == of_runs(announced).keys()
    for run_id, events in of_runs(again).items():
        assert [type(each) for each in events] == [
            type(each) for each in of_runs(announced)[run_id]
        ]

    more = make_study(("a", "b", "c"), replicates=3)
    second = await run(tmp_path, answers_alone, more)  # which brings the store up to date
    together = told(tmp_path)
    assert facts(together)[: len(again)] == facts(again)
    assert [each.seq for each in together[: len(again)]] == [each.seq for each in again]
    assert of_runs(facts(together[len(again) :])) == of_runs(facts(second))
    numbers = [each.seq for each in together]
    assert numbers == sorted(set(numbers))


async def test_many_attempts_of_an_older_store_are_told_once_each(tmp_path: Path) -> None:
    await run(tmp_path, answers, make_study(replicates=140))
    make_older(tmp_path / "study.sqlite", SCHEMA_VERSION - 1)
    again = told(tmp_path)
    assert Counter(map(type, again))[RunSucceeded] == 280
    assert sum(len(each.run_ids) for each in again if isinstance(each, RunsSaved)) == 280
    for after in (again[0], again[500], again[-2]):
        assert told(tmp_path, after=after.seq) == again[again.index(after) + 1 :]


def test_what_is_not_kept_is_refused_with_what_is() -> None:
    with pytest.raises(
        BindingError, match=r"LimitChanged is announced once and not kept.*RunSucceeded"
    ):
        kept_types([LimitChanged])

    assert kept_types(["RunFinished"]) == (RunSucceeded, ps.RunFailed, RunSkipped)
    assert kept_types([RunEvent])[:2] == (RunStarted, RunObserved)


async def test_a_group_of_plain_successes_is_a_row_of_a_few_bytes_each(tmp_path: Path) -> None:
    await run(tmp_path, answers, make_study(replicates=140), concurrency=300)
    with closing(sqlite3.connect(tmp_path / "study.sqlite")) as store:
        query = f"SELECT sum(length(told)) FROM announced WHERE what = '{SAVED}'"
        ((size,),) = store.execute(query)

    assert size < 280 * 12
