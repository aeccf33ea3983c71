"""A host: a random study, run session after session, and what must hold of each."""

from __future__ import annotations

import asyncio  # noqa: TID251 - cancellations that pass every shield
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import anyio
import anyio.lowlevel

import penstock as ps
from penstock.errors import SubscriberError
from penstock.events import (
    Event,
    RunCancelled,
    RunEvent,
    RunFinished,
    RunObserved,
    RunRetried,
    RunSkipped,
    RunsSaved,
    RunStarted,
    RunSucceeded,
    StudyFinished,
    StudyStarted,
)
from penstock.results import RunResult, RunStage, RunStatus
from penstock.store.reader import StoreReader
from penstock.study.execution import Retry
from tests.builders import make_study
from tests.random_host.agents import DEEDS, ENDLESS, Stage
from tests.random_host.subscribers import ENDING, HANGING, subscriber_of

__all__ = ["Host"]

HANGS_S = 120.0
"""What takes so long does not end: a session needs some hundredths of a second of its own."""

GRACE_S = 0.05


class Host:
    """A random study in a random host.

    Args:
        seed: Everything is drawn from it.
        folder: Where the study goes.

    Attributes:
        violations: What did not hold, a sentence each.
        sessions: How many were run.
        runs: How many attempts were started.
    """

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.violations: list[str] = []
        self.sessions = self.runs = 0
        self._folder = folder / f"study-{seed}"
        self._random = Random(seed)
        self._kept: set[str] = set()
        self._called = Counter[str]()
        self._study = make_study(
            tuple(range(self._random.randint(1, 4))), replicates=self._random.randint(1, 12)
        )
        self._is_scored = self._random.random() < 0.3

    async def run(self) -> list[str]:
        """Run the study to its end, whatever happens on the way; return what did not hold."""
        for _ in range(self._random.randint(1, 3)):
            await self._session(is_tame=False)

        await self._session(is_tame=True)
        return self.violations

    async def _session(self, *, is_tame: bool) -> None:
        self.sessions += 1
        stage = Stage(self._random.getrandbits(32))
        runner = stage.runner = self._runner(stage, is_tame=is_tame)
        heard = runner.bus.open(size=10**9)  # it is never behind, and nobody cancels it
        self._called = Counter[str]()
        tasks = asyncio.all_tasks()
        ending = "" if is_tame else self._random.choice(_ENDINGS)
        try:
            with anyio.fail_after(HANGS_S):
                summary, error = await _ended(runner, ending, self._random)
        except TimeoutError:
            self._say("run() does not return")
            stage.release()
            return

        events = [event async for event in heard]  # it ends: the bus is closed
        stage.release()
        await self._look_for_tasks(tasks)
        self.runs += self._called.total()
        self._check(runner, summary, error, events)
        if is_tame and (summary.remaining or summary.failed or error):
            self._say(f"it does not complete: {summary.remaining} runs, {error!r}")

    def _runner(self, stage: Stage, *, is_tame: bool) -> ps.StudyRunner:
        random = self._random
        is_endless = not is_tame and random.random() < 0.4
        deeds = {**DEEDS, **(ENDLESS if is_endless else {})}

        async def agent(ctx: ps.RunContext) -> Any:
            run_id = ctx.spec.run_id
            self._called[run_id] += 1
            if run_id in self._kept:
                self._say(f"{run_id} is made again")

            own = stage.random_of(ctx.spec.position, ctx.attempt)
            (deed,) = own.choices([*deeds], [*deeds.values()])
            return "done" if is_tame else await deed(ctx, stage, own)

        async def score(answer: Any) -> float:
            await anyio.lowlevel.checkpoint()
            if not is_tame and stage.random_of(self._called.total()).random() < 0.2:
                raise ValueError("no score")

            return 1.0

        study = self._study
        if self._is_scored:
            problem = study.problems[0].model_copy(update={"evaluator": score})
            study = study.model_copy(update={"problems": (problem,)})

        runner = ps.StudyRunner(
            study,
            agent_bindings={"agent-a": agent},
            output_dir=self._folder,
            show_progress=False,
            checkpoint=False,
            concurrency=random.choice([1, 2, 5, 50]),
            timeout_s=0.05 if is_endless else random.choice([None, 60.0]),
            retry=Retry(attempts=random.choice([1, 1, 3]), wait_s=0.001),
            max_failures=None if is_tame else random.choice([None, None, 3]),
            grace_s=GRACE_S,
            isolate_random=random.random() < 0.5,
        )
        if not is_tame:
            self._subscribe(runner, stage)

        return runner

    def _subscribe(self, runner: ps.StudyRunner, stage: Stage) -> None:
        random = self._random
        for number in range(random.randrange(3)):
            kinds = random.choice([(), (RunFinished,), (RunEvent, RunsSaved)])
            reading = random.choice(ENDING)
            is_critical = random.random() < 0.1
            runner.subscribe(subscriber_of(reading, stage, number), *kinds, critical=is_critical)

        if random.random() < 0.2:
            hanging = subscriber_of(random.choice(HANGING), stage, 9)
            runner.subscribe(hanging)
            ends = RunFinished, RunCancelled, StudyFinished
            runner.on(*ends)(lambda _: runner.stop("else it never ends"))

    async def _look_for_tasks(self, before: set[asyncio.Task[Any]]) -> None:
        """Look for tasks that are left, when all that was left behind is let go."""
        with anyio.move_on_after(HANGS_S):
            while left := asyncio.all_tasks() - before:
                await asyncio.wait(left)

            return

        self._say(f"tasks are left: {left}")

    def _check(
        self,
        runner: ps.StudyRunner,
        summary: ps.StudySummary,
        error: BaseException | None,
        events: Sequence[Event],
    ) -> None:
        if error is not None and not isinstance(error, (asyncio.CancelledError, SubscriberError)):
            self._say(f"run() raises {error!r}")

        if summary != runner.summary:
            self._say("the summary changes after the end")

        for violation in (
            *_of_order(events),
            *_of_attempts(events),
            *_of_counts(events, summary),
        ):
            self._say(violation)

        self._check_store(events)

    def _check_store(self, events: Sequence[Event]) -> None:
        """See that what is said to be saved is there, once, as it was said, and nothing else."""
        finished = {event.run_id: event for event in events if isinstance(event, RunFinished)}
        saved = Counter(
            run_id for event in events if isinstance(event, RunsSaved) for run_id in event.run_ids
        )
        ends = Counter(event.run_id for event in events if isinstance(event, RunFinished))
        if saved != ends or {*ends.values()} > {1}:
            self._say(f"runs that are finished: {ends}; saved: {saved}")

        if not (self._folder / "study.sqlite").exists():
            return

        with StoreReader(self._folder) as store:
            stored = {result.run_id: result for result in store.results()}

        for run_id, event in finished.items():
            kept, said = stored.get(run_id), event.result
            if kept is None or (kept.attempt, kept.started_at) != (said.attempt, said.started_at):
                self._say(f"{run_id} is announced and not kept")

        if lost := self._kept - stored.keys():
            self._say(f"{lost} were kept, and are lost")

        self._kept = {run_id for run_id, result in stored.items() if _is_answered(result)}

    def _say(self, violation: str) -> None:
        self.violations.append(f"seed {self.seed}, session {self.sessions}: {violation}")


def _is_answered(result: RunResult) -> bool:
    """Tell whether a result is one that no later session may call its agent for."""
    is_to_score = result.error is not None and result.error.stage is RunStage.EVALUATOR
    return is_to_score or result.status is not RunStatus.FAILED


_ENDINGS = ("", "", "stop", "cancel", "stop, cancel", "scope", "task", "callback", "at once")
"""How hosts end studies: not at all, or when so many events have been."""


async def _ended(
    runner: ps.StudyRunner, ending: str, random: Random
) -> tuple[ps.StudySummary, BaseException | None]:
    """Run a session, and end it in some way after some events; return what it raised."""
    scope = anyio.CancelScope()
    task = asyncio.current_task()
    assert task is not None
    ways: dict[str, list[Callable[[], object]]] = {
        "stop": [runner.stop],
        "cancel": [runner.cancel],
        "stop, cancel": [runner.stop, runner.cancel],
        "scope": [scope.cancel],
        "task": [task.cancel],
        "callback": [lambda: asyncio.get_running_loop().call_soon(runner.cancel)],
    }
    acts = ways.get(ending, [])
    left = random.randrange(25)
    if ending == "at once":
        random.choice([runner.cancel, runner.stop, scope.cancel])()

    @runner.on()
    def end(_: Event) -> None:
        nonlocal left
        left -= 1
        if acts and left < 0:
            acts.pop(0)()
            left = random.randrange(10)

    error: BaseException | None = None
    with scope:
        try:
            await runner.run()
        except BaseException as raised:  # noqa: BLE001 - what it is, is looked at
            error = raised

    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)

    while task.cancelling():
        task.uncancel()

    return runner.summary, error


def _of_order(events: Sequence[Event]) -> Iterator[str]:
    """See that a study begins and ends once, and what it says is numbered."""
    kinds = [type(event) for event in events]
    for kind in (StudyStarted, StudyFinished):
        if kinds.count(kind) > 1:
            yield f"{kind.__name__} is said {kinds.count(kind)} times"

    if RunStarted in kinds and not {StudyStarted, StudyFinished} <= {*kinds}:
        yield "runs were started, and the study neither begins nor ends"

    if [event.seq for event in events] != sorted({event.seq for event in events}):
        yield "events are not numbered in order"


def _of_attempts(events: Sequence[Event]) -> Iterator[str]:
    """See that every attempt that has begun ends, once, and is silent afterwards."""
    under_way: dict[str, int] = {}
    for event in events:
        if isinstance(event, RunStarted):
            if event.run_id in under_way:
                yield f"{event.run_id} is started twice at a time"

            under_way[event.run_id] = event.attempt
        elif isinstance(event, (RunFinished, RunRetried, RunCancelled)):
            attempt = under_way.pop(event.run_id, None)
            if attempt is None:
                yield f"{event.run_id} ends, and is not under way"
            elif event.result is not None and event.result.attempt != attempt:
                yield f"{event.run_id} ends as attempt {event.result.attempt}, not {attempt}"
        elif isinstance(event, RunObserved) and event.run_id not in under_way:
            yield f"{event.run_id} is over, and something is observed in it"

    if under_way:
        yield f"{len(under_way)} attempts have no end"


def _of_counts(events: Sequence[Event], summary: ps.StudySummary) -> Iterator[str]:
    """See that the summary counts what was said."""
    session = summary.session
    said = {
        "succeeded": sum(isinstance(event, RunSucceeded) for event in events),
        "failed": sum(isinstance(event, ps.RunFailed) for event in events),
        "skipped": sum(isinstance(event, RunSkipped) for event in events),
        "retried": sum(isinstance(event, RunRetried) for event in events),
        "cancelled": sum(
            isinstance(event, RunCancelled) and event.result is not None for event in events
        ),
    }
    counted = {name: getattr(session, name) for name in said}
    if counted != said:
        yield f"counted {counted}, said {said}"

    if summary.in_flight:
        yield f"{summary.in_flight} runs are in flight at the end"

    if summary.done + summary.remaining != summary.planned or summary.remaining < 0:
        yield f"the summary does not add up: {summary}"
