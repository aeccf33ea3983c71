"""The automatic limit, in simulated worlds: nothing here waits, and every draw has a seed."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from math import inf
from random import Random

import pytest

from penstock.results import RunResult
from penstock.running.automatic_limit import AutomaticLimit, Refusal, refusal_of
from tests.builders import make_error, make_plan, make_result

SPEC = make_plan()[0]
REFUSED_AFTER_S = 0.01


@dataclass
class World:
    """Agents that answer after a second or so, behind a server with room for so many.

    Those beyond ``room`` wait in a queue; those beyond ``bears`` are refused at once, and tried
    again within half a second.
    """

    room: float = inf
    bears: float = inf
    spread: float = 0.5
    most: int = 1000
    random: Random = field(default_factory=lambda: Random(7))
    now: float = 0.0
    most_in_flight: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self.told: list[tuple[int, str]] = []
        self.limit = AutomaticLimit(self.most, lambda *change: self.told.append(change))
        self._events: list[tuple[float, int, int | None, bool]] = []
        self._order = count()
        self._queue: deque[int] = deque()
        self._again: deque[int] = deque()
        self._in_flight = self._served = 0
        self._planned: Iterator[int] = iter(())
        self.average = self.refused_later = 0.0

    def run(self, runs: int, settling: int = 0) -> None:
        """Run so many to their ends; averages are those after the first ``settling`` of them."""
        self._planned = iter(range(runs))
        ended = 0
        slot_seconds = began_at = refused = 0.0
        self._feed()
        while ended < runs:
            at, _, run, is_answered = heapq.heappop(self._events)
            slot_seconds += self._in_flight * (at - self.now)
            self.now = at
            if run is not None:
                ended += is_answered
                self._end(run, is_answered=is_answered)
                if ended == settling and is_answered:
                    slot_seconds, began_at, refused = 0.0, self.now, self.refused

            self._feed()

        self.average = slot_seconds / (self.now - began_at)
        self.refused_later = self.refused - refused

    def _feed(self) -> None:
        while self._in_flight < self.limit.value:
            if self.limit.paused_until > self.now:
                self._happen(self.limit.paused_until)
                return

            run = self._again.popleft() if self._again else next(self._planned, None)
            if run is None:
                return

            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
            self.limit.started(str(run), self.now)
            if self._in_flight > self.bears:
                self._happen(self.now + REFUSED_AFTER_S, run)
            else:
                self._queue.append(run)
                self._serve()

    def _serve(self) -> None:
        while self._queue and self._served < self.room:
            self._served += 1
            took_s = self.random.lognormvariate(-(self.spread**2) / 2, self.spread)
            self._happen(self.now + took_s, self._queue.popleft(), is_answered=True)

    def _end(self, run: int, *, is_answered: bool) -> None:
        refusal = None if is_answered else Refusal("too many", None)
        self.limit.ended(str(run), self.now, refusal=refusal, succeeded=is_answered)
        self._in_flight -= 1
        if is_answered:
            self._served -= 1
            self._serve()
        else:
            self.refused += 1
            self._again.append(run)

    def _happen(self, at: float, run: int | None = None, *, is_answered: bool = False) -> None:
        heapq.heappush(self._events, (at, next(self._order), run, is_answered))


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.0])
def test_agents_that_keep_up_get_all_there_may_be_within_a_few_doublings(spread: float) -> None:
    world = World(spread=spread, most=256)
    world.run(8000)

    assert world.limit.value == world.most_in_flight == 256
    assert [limit for limit, _ in world.told] == [32, 64, 128, 256]
    assert {reason for _, reason in world.told} == {"slow start"}


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("room", [20, 64, 200])
def test_agents_that_only_queue_hold_the_limit_between_what_is_served_and_its_double(
    room: int, spread: float
) -> None:
    world = World(room=room, spread=spread)
    world.run(120 * room + 2000, settling=20 * room + 2000)

    assert 0.75 * room <= world.average <= 2.2 * room
    assert world.most_in_flight <= 4 * room
    assert world.refused == 0


@pytest.mark.parametrize("seed", range(5))
def test_what_chance_lets_pass_does_not_add_up_over_a_long_study(seed: int) -> None:
    world = World(room=20, spread=1.0, random=Random(seed))
    world.run(40_000)

    assert world.most_in_flight <= 128


@pytest.mark.parametrize("bears", [2, 5, 20, 64, 200])
def test_agents_that_refuse_hold_the_limit_below_what_they_bear_and_refuse_few(bears: int) -> None:
    world = World(bears=bears)
    # The first refusals come at once, where it begins above what they bear.
    world.run(200 * bears + 1000, settling=1000)

    assert 0.6 * bears <= world.average <= bears + 1
    assert world.refused_later <= 0.02 * 200 * bears
    assert all(limit <= 2 * bears for limit, _ in world.told[5:])


def test_a_limit_that_nothing_refuses_any_more_grows_again() -> None:
    world = World(bears=20, most=256)
    world.run(2000)
    world.bears = inf
    world.run(20_000)

    assert world.limit.value == 256


def test_refusals_that_come_together_cut_once_and_pause_everyone() -> None:
    told: list[tuple[int, str]] = []
    limit = AutomaticLimit(1000, lambda *change: told.append(change))
    for run in range(16):
        limit.started(str(run), now=1.0)

    for run in range(16):
        limit.ended(str(run), now=2.0, refusal=Refusal("too many", 3.0), succeeded=False)

    assert told == [(8, "too many")]
    assert limit.paused_until == 5.0


def test_nothing_is_learnt_while_slots_are_free() -> None:
    told: list[tuple[int, str]] = []
    limit = AutomaticLimit(1000, lambda *change: told.append(change))
    for run in range(1000):
        limit.started(str(run), now=run)
        limit.ended(str(run), now=run + 0.5)

    assert (limit.value, told) == (16, [])


def test_failures_that_are_no_refusals_change_nothing() -> None:
    limit = AutomaticLimit(1000)
    for attempt in range(1000):
        limit.started(str(attempt), now=attempt)
        limit.ended(str(attempt), now=attempt + 0.5, succeeded=False)

    assert limit.value == 16


REFUSALS = [
    make_error(retry_after_s=2.0),
    make_error(http_status=429),
    make_error(http_status=503),
    make_error(http_status=529),
    make_error(kind="RateLimitError"),
    make_error(kind="TooManyRequests"),
    make_error(kind="ThrottlingException"),
    make_error(kind="ResourceExhausted"),
    make_error(kind="OverloadedError"),
]
OTHERS = [
    make_error(),
    make_error(http_status=500),
    make_error(kind="AttemptTimeoutError"),
    make_error(kind="RateError"),
]


@pytest.mark.parametrize("error", REFUSALS, ids=str)
def test_an_error_that_says_too_much_is_a_refusal(error: object) -> None:
    refusal = refusal_of(failed(error))
    assert refusal is not None
    assert refusal.reason.startswith("agent-a was refused: ")


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_any_other_error_is_none_and_a_timeout_neither(error: object) -> None:
    assert refusal_of(failed(error)) is None


def test_a_success_is_no_refusal() -> None:
    assert refusal_of(make_result(SPEC)) is None


def test_what_a_gate_has_heard_already_is_no_refusal_of_the_run() -> None:
    error = make_error(kind="RateLimitedError", http_status=429)
    judged = make_error(kind="RateLimitedError", http_status=429, stage="evaluator")

    assert refusal_of(failed(error, queued_s=0.0)) is None
    assert refusal_of(failed(error, judge_queued_s=0.0)) is not None
    assert refusal_of(failed(judged, judge_queued_s=0.0)) is None


def failed(error: object, **metrics: float) -> RunResult:
    return make_result(SPEC, error=error, metrics=metrics)  # type: ignore[arg-type]
