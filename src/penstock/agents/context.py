"""The run context: the one thing an agent receives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from math import inf
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import anyio

from penstock._base.block import Block
from penstock._base.fact import EMPTY
from penstock.agents.call_counts import CallCounts
from penstock.agents.metrics import AMOUNTS, added, plain_metric
from penstock.agents.observing import make_observation
from penstock.errors import BindingError, OutputError
from penstock.planning.plan import RunSpec
from penstock.results import Observation, ObservationLevel
from penstock.study.conditions import Condition
from penstock.study.problem import Problem

if TYPE_CHECKING:
    from numpy.random import Generator

    from penstock._base.deadlines import TimeLimit
    from penstock.models.conversations.in_hand import ModelInHand

__all__ = ["RunContext"]


class RunContext:
    """A run under way: what it is about, its randomness, and where it reports.

    An agent may report from any thread.

    Attributes:
        spec: The run as it was planned.
        problem: What is to be solved.
        condition: The treatment combination; ``ctx.condition["tone"]`` is a factor's value.
        attempt: Which try this is, from 1.
        planned_order: The run's place in the order in which runs were to be started, from 0.
        started_order: Its place among the attempts of this session as they started, from 1.
        metrics: What `record` has gathered.
        observations: What `observe` has gathered.
        provenance: Who answered: it is kept, also when the attempt fails.
        refused: What was recorded or observed and cannot be stored: it is left out.
        waited_s: How long the run has waited for its turn (see `waiting`), in seconds.
        timeout_scope: What ends the attempt at ``timeout_s``, where there is a timeout.
        calls: How often each request of `model` was made.
    """

    __slots__ = (
        "_announced",
        "_endings",
        "_is_over",
        "_limiters",
        "_lock",
        "_log",
        "_models",
        "_on_observe",
        "_stopped",
        "_streams",
        "_waits",
        "_waits_since",
        "attempt",
        "calls",
        "condition",
        "metrics",
        "observations",
        "planned_order",
        "problem",
        "provenance",
        "refused",
        "spec",
        "started_order",
        "timeout_scope",
        "waited_s",
    )

    def __init__(
        self,
        spec: RunSpec,
        problem: Problem,
        condition: Condition,
        attempt: int = 1,
        *,
        planned_order: int = 0,
        started_order: int = 0,
        limiters: Mapping[str, anyio.CapacityLimiter] | None = None,
        models: Mapping[str, Callable[[RunContext], ModelInHand]] = EMPTY,
        calls: CallCounts | None = None,
        on_observe: Callable[[RunContext], None] | None = None,
    ) -> None:
        self.spec = spec
        self.problem = problem
        self.condition = condition
        self.attempt = attempt
        self.planned_order = planned_order
        self.started_order = started_order
        self.metrics: dict[str, Any] = {}
        self.observations: list[Observation] = []
        self.provenance: dict[str, Any] = {}
        self.refused: list[BaseException] = []
        self.waited_s = 0.0
        self.timeout_scope: TimeLimit | None = None
        self.calls = calls or CallCounts(attempt)
        self._limiters = limiters or EMPTY
        self._models = models
        self._streams: dict[str, Generator] = {}
        self._log: Any = None
        self._on_observe = on_observe
        self._lock = Lock()
        self._announced = 0
        self._waits = 0
        self._waits_since = 0.0
        self._stopped: tuple[TimeLimit, float] | None = None
        self._is_over = False
        self._endings: tuple[Callable[[], None], ...] = ()

    @property
    def seed(self) -> int:
        """The run's own seed, the same whenever and wherever it runs."""
        return self.spec.seed

    @property
    def rng(self) -> Generator:
        """Random numbers of this run's own: equal in every attempt, at any concurrency."""
        return self.stream("agent")

    def stream(self, role: Literal["agent", "environment", "evaluator"]) -> Generator:
        """Return the random numbers of one role in this run; no role draws from another's.

        What an agent draws then changes neither the environment it acts in nor how it is scored:
        with paired seeds, every agent meets the same environment.

        Args:
            role: Who draws; ``rng`` is the agent's. An evaluator may ask for its own by the
                parameter ``rng``.
        """
        if role not in self._streams:
            from numpy.random import SeedSequence, default_rng  # noqa: PLC0415 - 80 ms, not always

            self._streams[role] = default_rng(SeedSequence(self.seed, spawn_key=_ROLES[role]))

        return self._streams[role]

    @property
    def log(self) -> Any:
        """A structlog logger bound to this run."""
        if self._log is None:
            import structlog  # noqa: PLC0415 - 90 ms that `--help` need not wait

            self._log = structlog.get_logger("penstock.agent").bind(
                run_id=self.spec.run_id, agent_id=self.spec.agent_id, attempt=self.attempt
            )

        return self._log

    def limiter(self, name: str) -> anyio.CapacityLimiter:
        """Return a limit that all runs of the study share: ``async with ctx.limiter("api"): ...``.

        Raises:
            BindingError: the runner was given no limit of that name.
        """
        try:
            return self._limiters[name]
        except KeyError:
            known = f"(known: {', '.join(self._limiters) or 'none'})"
            raise BindingError(
                f"no limit is named {name!r} {known}; declare `execution: {{limiters: "
                f"{{{name}: 10}}}}` in the study, or pass limiters={{{name!r}: 10}} to the runner"
            ) from None

    def model(self, name: str) -> ModelInHand:
        """Return a model that the study declares under ``models``: ``await model.chat("Hello")``.

        What it is asked goes through the endpoint's gate, the study's budget and its response
        cache, and adds up in this run. It is for async agents.

        Raises:
            BindingError: the study declares no model of that name.
        """
        if name not in self._models:
            known = ", ".join(self._models) or "none"
            raise BindingError(
                f"no model is named {name!r} (models: {known}); declare it in the study: "
                f"`models: {{{name}: {{base_url: ..., model: ...}}}}`"
            )

        return self._models[name](self)

    def waiting(self) -> AbstractContextManager[None]:
        """Wait for a turn inside this block; the time counts neither as latency nor as timeout.

        Where several tasks of an agent wait at once, the time is counted once, and the timeout
        goes on when none of them waits any more.
        """
        return Block(self._begin_waiting, self._end_waiting)

    def _begin_waiting(self) -> None:
        if self._waits == 0:
            self._waits_since = monotonic()
            if (limit := self.timeout_scope) is not None:
                self._stopped, limit.deadline = (limit, limit.deadline), inf

        self._waits += 1

    def _end_waiting(self) -> None:
        self._waits -= 1
        if self._waits == 0:
            waited_s = monotonic() - self._waits_since
            self.waited_s += waited_s
            if self._stopped is not None:
                (limit, deadline), self._stopped = self._stopped, None
                limit.deadline = deadline + waited_s

    def record(self, /, **metrics: Any) -> None:
        """Add to this run's metrics: numbers add up, anything else is replaced.

        ``cost_usd``, ``input_tokens`` and ``output_tokens`` have columns of their own; None says
        that one of them is not known. What was recorded is kept when the attempt fails. A value
        that cannot be stored is left out, and the run's result says so: its answer is kept.
        """
        plain: dict[str, Any] = {}
        for name, value in metrics.items():
            try:
                plain[name] = plain_metric(name, value)
            except OutputError as error:
                self.refused.append(error)
                if name in AMOUNTS:
                    plain[name] = None

        with self._lock:
            for name, value in () if self._is_over else plain.items():
                if name not in AMOUNTS or self.metrics.get(name, 0) is not None:
                    self._add(name, value)  # a sum of which a part is not known is not known

    def _add(self, name: str, value: Any) -> None:
        try:
            self.metrics[name] = added(name, self.metrics.get(name), value)
        except OutputError as error:
            self.refused.append(error)

    def observe(
        self,
        event_type: str,
        text: str = "",
        *,
        level: ObservationLevel | str = ObservationLevel.STEP,
        actor_id: str = "agent",
        **meta: Any,
    ) -> None:
        """Report something that happened inside the run: a row of ``events.csv``.

        Args:
            event_type: What it was: ``tool_call``, ``assistant_output``, ...
            text: What was said.
            level: What it is about.
            actor_id: Who did it.
            **meta: Anything else that has a JSON form; what has none is left out, and the run's
                result says so.
        """
        self.observe_mapping(
            {
                "event_type": event_type,
                "text": text,
                "level": level,
                "actor_id": actor_id,
                "meta_json": meta,
            }
        )

    def observe_mapping(self, fields: Mapping[str, Any]) -> None:
        """Report something given as a mapping with the columns of ``events.csv``."""
        with self._lock:
            if self._is_over:
                return

            index = len(self.observations)
            observation = make_observation(self.spec, index, fields, self.refused.append)
            self.observations.append(observation)

        if self._on_observe is not None:
            self._on_observe(self)

    def take(self, observation: Observation) -> None:
        """Add an observation of this run that was made elsewhere."""
        with self._lock:
            if self._is_over:
                return

            self.observations.append(observation)

        if self._on_observe is not None:
            self._on_observe(self)

    def unannounced(self, observed: Sequence[Observation] | None = None) -> Sequence[Observation]:
        """Return what was observed since this was last asked; only the event loop asks.

        Args:
            observed: All that was observed; what there is so far, where it is not given.
        """
        later = (self.observations if observed is None else observed)[self._announced :]
        self._announced += len(later)
        return later

    def end(self) -> None:
        """End the attempt: an agent that is left behind reports nothing from now on."""
        with self._lock:
            self._is_over = True

        for act in self._endings:
            act()

    def at_end(self, act: Callable[[], None]) -> None:
        """Register a function that is called when the attempt ends."""
        self._endings = (*self._endings, act)

    @property
    def is_over(self) -> bool:
        """Whether the attempt has ended; what is reported from then on is not kept."""
        return self._is_over


# The keys under which numpy's SeedSequence spawns independent streams from one seed; the agent's
# is the seed's own, so that `ctx.rng` is `default_rng(ctx.seed)`.
_ROLES: Mapping[str, tuple[int, ...]] = {"agent": (), "environment": (1,), "evaluator": (2,)}
