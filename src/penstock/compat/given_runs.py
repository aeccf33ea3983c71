"""Runs that are given one by one, made on the engine of today: the older runner's two classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from penstock.agents.condition_runner import ConditionRunner
from penstock.agents.context import RunContext
from penstock.compat.runs import RunResult
from penstock.compat.studies import as_they_were
from penstock.errors import ValidationError
from penstock.planning.plan import Cell, Plan, RunSpec
from penstock.results import RunStatus
from penstock.running.attempt import Attempt
from penstock.running.binding import Bindings, bind, bind_standalone
from penstock.running.scheduler import Scheduler
from penstock.store.files.opening import open_store
from penstock.store.writer import Store
from penstock.study.conditions import Condition
from penstock.study.model import Study
from penstock.study.policies import RunOrder

__all__ = ["GivenPlan", "LocalParallelRunner", "SerialRunner"]


class SerialRunner:
    """Makes runs that are given one by one, in their order."""

    def run(
        self,
        *,
        run_specs: Sequence[RunSpec],
        condition_by_id: Mapping[str, Condition],
        agent_bindings: Mapping[str, Any] | None = None,
        problem_registry: Mapping[str, Any] | None = None,
        output_dir: str | Path,
        checkpoint: bool = True,
        fail_fast: bool = False,
        progress: Any = None,
        condition_runner: ConditionRunner | None = None,
    ) -> list[RunResult]:
        """Make runs; return their results in the order of the runs.

        Args:
            run_specs: The runs, of one study.
            condition_by_id: Their conditions.
            agent_bindings: Agents by name.
            problem_registry: Problems by id.
            output_dir: Where ``study.sqlite`` keeps results, with ``checkpoint``: runs that
                succeeded there before are not made again.
            checkpoint: Whether results are kept.
            fail_fast: Whether no more runs are started after one that failed.
            progress: Told each result: ``progress.record_result(result)``.
            condition_runner: Does the runs in place of agents and problems.

        Raises:
            ValidationError: the runs name what is not there; everything that is wrong.
        """
        return LocalParallelRunner().run(
            run_specs=run_specs,
            condition_by_id=condition_by_id,
            agent_bindings=agent_bindings,
            problem_registry=problem_registry,
            output_dir=output_dir,
            checkpoint=checkpoint,
            fail_fast=fail_fast,
            max_workers=1,
            progress=progress,
            condition_runner=condition_runner,
        )


class LocalParallelRunner:
    """Makes runs that are given, several at once."""

    def run(
        self,
        *,
        run_specs: Sequence[RunSpec],
        condition_by_id: Mapping[str, Condition],
        agent_bindings: Mapping[str, Any] | None = None,
        problem_registry: Mapping[str, Any] | None = None,
        output_dir: str | Path,
        checkpoint: bool = True,
        fail_fast: bool = False,
        max_workers: int,
        progress: Any = None,
        condition_runner: ConditionRunner | None = None,
    ) -> list[RunResult]:
        """Make runs as `SerialRunner.run` does, ``max_workers`` of them at once."""
        if not run_specs:
            return []

        study = _study_of(run_specs, standalone=condition_runner is not None)
        plan = GivenPlan(study, run_specs, [*condition_by_id.values()])
        if condition_runner is None:
            bindings, errors = bind(
                plan.study,
                plan,
                agents=as_they_were(agent_bindings),
                problems=problem_registry or {},
                isolate_random=True,
            )
        else:
            bindings, errors = bind_standalone(condition_runner, isolate_random=True)

        if max_workers < 1:
            errors.append("max_workers must be >= 1.")

        if errors:
            raise ValidationError(errors)

        session = _Session(plan, bindings, progress, fail_fast=fail_fast)
        kept_in = Path(output_dir).absolute() if checkpoint else None
        return anyio.run(partial(session.run, kept_in, max_workers))


class GivenPlan(Plan):
    """Runs that are given, as a plan: each is a cell of its own.

    Args:
        study: The study whose runs they are.
        specs: The runs.
        conditions: The study's conditions, those of the runs among them.

    Raises:
        ValidationError: the runs are of other studies or conditions.
    """

    def __init__(
        self, study: Study, specs: Sequence[RunSpec], conditions: Sequence[Condition]
    ) -> None:
        super().__init__(study, ())
        known = {condition.condition_id: condition for condition in conditions}
        if errors := list(_foreign(study.study_id, specs, known)):
            raise ValidationError(errors)

        self.conditions = tuple(conditions)
        self.cells = tuple(
            Cell(condition, (spec.agent_id,), (spec.problem_id,), 1, condition.fingerprint)
            for spec in specs
            for condition in (known[spec.condition_id],)
        )
        self.starts = tuple(range(len(specs) + 1))
        self._specs = [
            spec.model_copy(update={"position": place}) for place, spec in enumerate(specs)
        ]

    def seed_of(self, *_: object) -> None:
        """Do nothing: seeds are given."""

    def at(self, position: int) -> RunSpec:
        """Return the run at a position."""
        return self._specs[position]


def _foreign(
    study_id: str, specs: Sequence[RunSpec], known: Mapping[str, Condition]
) -> Iterator[str]:
    for name in dict.fromkeys(spec.study_id for spec in specs if spec.study_id != study_id):
        yield f"Some runs are of study {name!r}, others of {study_id!r}."

    for name in dict.fromkeys(spec.condition_id for spec in specs):
        if name not in known:
            yield f"No condition with the id {name!r} is given."


def _study_of(specs: Sequence[RunSpec], *, standalone: bool) -> Study:
    return Study(
        study_id=specs[0].study_id,
        title=specs[0].study_id,
        run_order=RunOrder.AS_DESIGNED,
        agent_specs=() if standalone else tuple(dict.fromkeys(spec.agent_id for spec in specs)),
        problem_ids=() if standalone else tuple(dict.fromkeys(spec.problem_id for spec in specs)),
    )


class _Session:
    """Makes the runs of a plan, and keeps their results where it is told to."""

    def __init__(self, plan: Plan, bindings: Bindings, progress: Any, *, fail_fast: bool) -> None:
        self._plan = plan
        self._bindings = bindings
        self._progress = progress
        self._fail_fast = fail_fast
        self._results: dict[int, RunResult] = {}
        self._attempts: Mapping[int, int] = {}
        self._store: Store | None = None
        self._scheduler: Scheduler[int]

    async def run(self, kept_in: Path | None, limit: int) -> list[RunResult]:
        async with AsyncExitStack() as stack:
            todo: Sequence[int] = range(len(self._plan))
            if kept_in is not None:
                opened = open_store(kept_in, study=self._plan.study)
                self._store = await stack.enter_async_context(opened)
                todo = await self._restore(self._store, todo)

            self._scheduler = Scheduler(self._make, limit)
            await self._scheduler.run(iter(todo))
            if self._store is not None:
                is_done = len(self._results) == len(self._plan)
                await self._store.end("complete" if is_done else "stopped")

        return [self._results[position] for position in sorted(self._results)]

    async def _restore(self, store: Store, positions: Sequence[int]) -> list[int]:
        """Recall what succeeded before, and return the positions of the runs that are left."""
        left = await store.begin(self._plan)
        self._attempts = left.attempts
        for position in positions:
            if left.done[position]:
                self._results[position] = RunResult.of(await store.recall(position))

        return [position for position in positions if not left.done[position]]

    async def _make(self, position: int) -> None:
        spec = self._plan.at(position)
        ctx = RunContext(
            spec,
            self._bindings.problems[spec.problem_id],
            self._plan.condition_of(spec),
            self._attempts.get(position, 0) + 1,
        )
        attempt = Attempt(ctx, self._scheduler.orders)
        made = await attempt.execute(
            self._bindings.agents[spec.agent_id], self._bindings.evaluators[spec.problem_id]
        )
        if made.status is RunStatus.CANCELLED:  # its agent has said so: it is left undone
            self._scheduler.stop()
            return

        if self._store is not None:
            await self._store.save([(made, True)])

        self._results[position] = result = RunResult.of(made)
        if self._progress is not None:
            self._progress.record_result(result)

        if self._fail_fast and result.status is RunStatus.FAILED:
            self._scheduler.stop()
