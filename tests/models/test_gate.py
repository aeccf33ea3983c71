from __future__ import annotations

import asyncio  # noqa: TID251 - its own cancellations, which are not anyio's
from collections import Counter
from itertools import pairwise
from random import Random
from time import process_time

import anyio
import anyio.abc
import pytest

from penstock.models.chat_model import RateLimitHeaders
from penstock.models.gate.gate import Gate
from penstock.models.gate.ticket import Ticket
from penstock.models.model_errors import (
    BadRequestError,
    ModelError,
    OverloadedError,
    RateLimitedError,
    RetryAfterTooLongError,
)
from penstock.study.spending import EndpointLimits
from tests.models.simulated_clock import SimulatedClock, settled

pytestmark = pytest.mark.anyio


class Endpoint:
    """Calls that go through a gate and last until they are let go."""

    def __init__(self, **limits: float) -> None:
        self.clock = SimulatedClock()
        self.changes: list[tuple[int, str]] = []
        self.gate = Gate(
            "endpoint",
            EndpointLimits.model_validate(limits),
            clock=self.clock,
            sleep=self.clock.sleep,
            on_limit_changed=lambda limit, reason: self.changes.append((limit, reason)),
        )
        self.begun: list[tuple[float, str, int]] = []
        self.open: dict[str, tuple[Ticket, anyio.Event]] = {}

    async def call(self, name: str, group: str = "a", tokens: int = 0) -> None:
        async with self.gate.admit(group, tokens) as ticket:
            self.begun.append((self.clock.now, name, tokens))
            ends = anyio.Event()
            self.open[name] = ticket, ends
            await ends.wait()

    async def calls_without_end(self, group: str, latency_s: float, tokens: int, used: int) -> None:
        while True:
            async with self.gate.admit(group, tokens) as ticket:
                self.begun.append((self.clock.now, group, used))
                await self.clock.sleep(latency_s)
                ticket.succeeded()
                ticket.settle(used)

    @property
    def names(self) -> list[str]:
        return [name for _, name, _ in self.begun]

    async def end(self, *names: str, error: ModelError | None = None) -> None:
        for name in names:
            ticket, ends = self.open.pop(name)
            if error is None:
                ticket.succeeded()
            else:
                ticket.rejected(error)

            ends.set()

        await settled()

    def most_in_a_minute(self) -> tuple[int, int]:
        """Count the requests and tokens of the fullest window of 60 seconds, both ends within."""
        requests = tokens = first = most_tokens = most_requests = 0
        for at, _, amount in self.begun:
            requests, tokens = requests + 1, tokens + amount
            while self.begun[first][0] < at - 60:
                requests, tokens = requests - 1, tokens - self.begun[first][2]
                first += 1

            most_requests, most_tokens = max(most_requests, requests), max(most_tokens, tokens)

        return most_requests, most_tokens


def rate_limited(retry_after_s: float | None = None, http_status: int = 429) -> ModelError:
    kind = RateLimitedError if http_status == 429 else OverloadedError
    return kind("busy", http_status=http_status, retry_after_s=retry_after_s)


def start(tasks: anyio.abc.TaskGroup, endpoint: Endpoint, *names: str, group: str = "a") -> None:
    for name in names:
        tasks.start_soon(endpoint.call, name, group)


async def test_no_more_calls_are_in_flight_than_the_limit() -> None:
    endpoint = Endpoint(max_in_flight=2)
    async with anyio.create_task_group() as tasks:
        start(tasks, endpoint, "1", "2", "3", "4")
        await settled()

        assert endpoint.names == ["1", "2"]
        assert (endpoint.gate.in_flight, endpoint.gate.waiting, endpoint.gate.limit) == (2, 2, 2)

        await endpoint.end("2")
        assert endpoint.names == ["1", "2", "3"]
        await endpoint.end("1", "3")
        await endpoint.end("4")

    assert (endpoint.gate.in_flight, endpoint.gate.waiting) == (0, 0)


async def test_groups_have_their_turns_in_rotation_however_many_of_one_wait() -> None:
    endpoint = Endpoint(max_in_flight=1)
    async with anyio.create_task_group() as tasks:
        start(tasks, endpoint, "a0", "a1", "a2", "a3", "a4", group="a")
        await settled()
        start(tasks, endpoint, "b0", "b1", group="b")
        await settled()
        start(tasks, endpoint, "c0", group="c")
        await settled()
        for _ in range(8):
            await endpoint.end(endpoint.names[-1])

    assert endpoint.names == ["a0", "a1", "b0", "c0", "a2", "b1", "a3", "a4"]


async def test_groups_with_constant_demand_are_served_equally() -> None:
    endpoint = Endpoint(max_in_flight=5)
    async with anyio.create_task_group() as tasks:
        for group, callers in {"many": 40, "few": 5, "some": 10}.items():
            for _ in range(callers):
                tasks.start_soon(endpoint.calls_without_end, group, 1.0, 0, 0)

        await endpoint.clock.advance(60)
        tasks.cancel_scope.cancel()

    served = Counter(endpoint.names)
    assert max(served.values()) - min(served.values()) <= 5  # what the first moment gave


async def test_requests_stay_below_their_limit_in_any_minute_and_use_most_of_it() -> None:
    endpoint = Endpoint(requests_per_minute=60)
    async with anyio.create_task_group() as tasks:
        for caller in range(10):
            tasks.start_soon(endpoint.calls_without_end, f"{caller}", 0.7, 0, 0)

        await endpoint.clock.advance(600)
        tasks.cancel_scope.cancel()

    requests, _ = endpoint.most_in_a_minute()
    assert requests <= 60
    assert len(endpoint.begun) >= 0.9 * 600


async def test_tokens_stay_below_their_limit_in_any_minute_and_use_most_of_it() -> None:
    endpoint = Endpoint(tokens_per_minute=10_000)
    async with anyio.create_task_group() as tasks:
        for caller in range(5):
            used = 120 + 10 * caller
            tasks.start_soon(endpoint.calls_without_end, f"{caller}", 1.3, 250, used)

        await endpoint.clock.advance(600)
        tasks.cancel_scope.cancel()

    _, tokens = endpoint.most_in_a_minute()
    assert tokens <= 10_000
    assert sum(amount for _, _, amount in endpoint.begun) >= 0.9 * 10 * 10_000


async def test_a_burst_is_followed_by_an_even_flow_and_not_by_a_burst_a_minute() -> None:
    endpoint = Endpoint(requests_per_minute=30)
    async with anyio.create_task_group() as tasks:
        for caller in range(30):
            tasks.start_soon(endpoint.calls_without_end, f"{caller}", 0.1, 0, 0)

        await endpoint.clock.advance(600)
        tasks.cancel_scope.cancel()

    at = [at - 1000 for at, _, _ in endpoint.begun]
    assert at[29] == 0
    gaps = [after - before for before, after in pairwise(at[30:])]
    assert max(gaps) < 2.3
    assert min(gaps) > 1.9


async def test_fewer_tokens_than_were_estimated_let_others_in_at_once() -> None:
    endpoint = Endpoint(tokens_per_minute=1000)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(endpoint.call, "large", "a", 900)
        await settled()
        tasks.start_soon(endpoint.call, "next", "a", 500)
        await settled()
        assert endpoint.names == ["large"]

        endpoint.open["large"][0].settle(100)
        await settled()
        assert endpoint.names == ["large", "next"]
        await endpoint.end("large", "next")


async def test_more_tokens_than_were_estimated_keep_others_out() -> None:
    endpoint = Endpoint(tokens_per_minute=1000)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(endpoint.call, "small", "a", 100)
        await settled()
        endpoint.open["small"][0].settle(900)
        tasks.start_soon(endpoint.call, "next", "a", 200)
        await endpoint.clock.advance(60)
        assert endpoint.names == ["small"]

        await endpoint.clock.advance(4)
        assert endpoint.names == ["small", "next"]
        await endpoint.end("small", "next")


async def test_a_call_larger_than_the_tokens_of_a_minute_is_admitted_alone() -> None:
    endpoint = Endpoint(tokens_per_minute=1000)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(endpoint.call, "first", "a", 10)
        await settled()
        tasks.start_soon(endpoint.call, "huge", "a", 5000)
        await endpoint.clock.advance(60)
        assert endpoint.names == ["first"]

        await endpoint.clock.advance(4)
        assert endpoint.names == ["first", "huge"]
        await endpoint.end("first", "huge")


@pytest.mark.parametrize("http_status", [429, 503, 529])
async def test_one_rejection_pauses_everyone_and_nobody_loses_a_place(http_status: int) -> None:
    endpoint = Endpoint(max_in_flight=2)
    async with anyio.create_task_group() as tasks:
        start(tasks, endpoint, "1", "2", "3", "4")
        await settled()
        await endpoint.end("1", error=rate_limited(2.0, http_status))
        await endpoint.end("2")
        start(tasks, endpoint, "5")
        await endpoint.clock.advance(1.99)
        assert endpoint.names == ["1", "2"]

        await endpoint.clock.advance(0.02)
        for name in ("3", "4", "5"):
            await endpoint.end(name)

    assert endpoint.names == ["1", "2", "3", "4", "5"]
    assert endpoint.begun[2][0] == 1002


async def test_a_turn_that_was_given_is_taken_back_when_a_pause_begins_before_it_is_used() -> None:
    endpoint = Endpoint(max_in_flight=3)
    async with anyio.create_task_group() as tasks:
        start(tasks, endpoint, "1", "2", "3")
        start(tasks, endpoint, "4", "5", group="b")
        start(tasks, endpoint, "6")
        await settled()
        # Two leave, which gives turns to two that have not woken when the third is rejected.
        for name in ("1", "2"):
            await endpoint.open[name][0].__aexit__(None, None, None)

        assert endpoint.gate.in_flight == 3
        endpoint.open["3"][0].rejected(rate_limited(2.0))
        assert (endpoint.gate.in_flight, endpoint.gate.waiting) == (1, 3)

        await endpoint.clock.advance(1.9)
        assert endpoint.names == ["1", "2", "3"]
        await endpoint.open["3"][0].__aexit__(None, None, None)
        for name in ("4", "6", "5"):
            await endpoint.clock.advance(1)
            assert endpoint.names[-1] == name
            await endpoint.open[name][0].__aexit__(None, None, None)

        assert endpoint.gate.in_flight == 0
        tasks.cancel_scope.cancel()


async def test_a_longer_pause_prevails_over_a_shorter_one_that_is_said_later() -> None:
    endpoint = Endpoint(max_in_flight=2)
    async with anyio.create_task_group() as tasks:
        start(tasks, endpoint, "1", "2", "3")
        await settled()
        await endpoint.end("1", error=rate_limited(10))
        await endpoint.end("2", error=rate_limited(1))
        await endpoint.clock.advance(9.9)
        assert endpoint.names == ["1", "2"]

        await endpoint.clock.advance(0.2)
        await endpoint.end("3")


@pytest.mark.parametrize("retry_after_s", [None, 0.0, 86_400.0])
async def test_a_rejection_that_states_no_wait_we_make_pauses_ever_longer(
    retry_after_s: float | None,
) -> None:
    endpoint = Endpoint(max_in_flight=1)
    async with anyio.create_task_group() as tasks:
        start(tasks, endpoint, "1", "2", "3", "4", "5", "6")
        await settled()
        for name in ("1", "2", "3"):
            error = RetryAfterTooLongError("busy", http_status=429, retry_after_s=retry_after_s)
            await endpoint.end(name, error=error)
            await endpoint.clock.advance(1)

        await endpoint.end("4")  # it succeeds: the next pause is short again
        await endpoint.end("5", error=rate_limited())
        await endpoint.clock.advance(1)
        await endpoint.end("6")

    waits = [after[0] - before[0] for before, after in pairwise(endpoint.begun)]
    assert waits == [0.25, 1.25, 1.5, 0.0, 0.25]


async def test_other_failures_pause_nobody_and_cut_nothing() -> None:
    endpoint = Endpoint(max_in_flight=1)
    async with anyio.create_task_group() as tasks:
        start(tasks, endpoint, "1", "2", "3")
        await settled()
        await endpoint.end("1", error=BadRequestError("no", http_status=400, retry_after_s=9))
        await endpoint.end("2", error=OverloadedError("no", http_status=500, retry_after_s=9))
        await endpoint.end("3")

    assert endpoint.gate.limit == 1
    assert endpoint.changes == []


async def test_the_limit_is_cut_at_most_once_a_cooldown() -> None:
    endpoint = Endpoint(max_in_flight=32)
    async with anyio.create_task_group() as tasks:
        start(tasks, endpoint, *[f"{index}" for index in range(64)])
        await settled()
        await endpoint.end(*[f"{index}" for index in range(20)], error=rate_limited(1))
        assert endpoint.gate.limit == 16

        await endpoint.clock.advance(2)
        assert len(endpoint.begun) == 36  # twelve of the first are left, and four new ones
        await endpoint.end("32", error=rate_limited(1))
        assert endpoint.gate.limit == 16

        await endpoint.clock.advance(4)
        await endpoint.end("20", error=rate_limited(1))  # from before the cut: no news
        assert endpoint.gate.limit == 16
        await endpoint.end("33", error=rate_limited(1))
        assert endpoint.gate.limit == 8
        tasks.cancel_scope.cancel()

    assert endpoint.changes == [(16, "http status 429"), (8, "http status 429")]


async def test_the_limit_begins_where_it_is_declared() -> None:
    endpoint = Endpoint(max_in_flight=1000)
    async with anyio.create_task_group() as tasks:
        start(tasks, endpoint, *[f"{index}" for index in range(1200)])
        await settled()
        assert len(endpoint.open) == 1000
        await endpoint.end(*list(endpoint.open))
        tasks.cancel_scope.cancel()

    assert endpoint.changes == []


async def test_the_limit_grows_only_while_all_slots_are_taken() -> None:
    endpoint = Endpoint()
    async with anyio.create_task_group() as tasks:
        start(tasks, endpoint, *[f"{index}" for index in range(63)])
        await settled()
        await endpoint.end(*list(endpoint.open))
        assert endpoint.gate.limit == 64

        start(tasks, endpoint, *[f"more {index}" for index in range(300)])
        await settled()
        assert len(endpoint.open) == 64
        await endpoint.end(*list(endpoint.open))
        assert endpoint.gate.limit == len(endpoint.open) == 128
        tasks.cancel_scope.cancel()

    assert endpoint.changes == [(128, "slow start")]


async def test_after_a_cut_the_limit_grows_by_a_step_a_round() -> None:
    endpoint = Endpoint(max_in_flight=50)
    async with anyio.create_task_group() as tasks:
        start(tasks, endpoint, *[f"{index}" for index in range(400)])
        await settled()
        await endpoint.end("0", error=rate_limited(1))
        await endpoint.end(*list(endpoint.open), error=rate_limited(1))
        assert endpoint.gate.limit == 25  # they were admitted before the cut

        await endpoint.clock.advance(1)
        for limit in (25, 26, 27):
            assert len(endpoint.open) in (limit - 1, limit)
            await endpoint.end(*list(endpoint.open))

        assert endpoint.gate.limit in (27, 28)
        tasks.cancel_scope.cancel()


async def test_what_a_provider_says_is_left_is_kept_to_until_it_is_reset() -> None:
    endpoint = Endpoint()
    async with anyio.create_task_group() as tasks:
        start(tasks, endpoint, "1")
        await settled()
        said = RateLimitHeaders(remaining_requests=2, reset_requests_s=20)
        endpoint.open["1"][0].succeeded(headers=said)
        start(tasks, endpoint, "2", "3", "4", "5")
        await endpoint.clock.advance(19.9)
        assert endpoint.names == ["1", "2", "3"]

        await endpoint.clock.advance(0.2)
        assert endpoint.names == ["1", "2", "3", "4", "5"]
        tasks.cancel_scope.cancel()


async def test_the_response_to_a_later_request_says_more_than_an_earlier_ones() -> None:
    endpoint = Endpoint()
    async with anyio.create_task_group() as tasks:
        start(tasks, endpoint, "1", "2")
        await settled()
        for name, left in (("2", 1), ("1", 90)):
            said = RateLimitHeaders(remaining_requests=left, reset_requests_s=20)
            endpoint.open[name][0].succeeded(headers=said)

        start(tasks, endpoint, "3", "4")
        await settled()
        assert endpoint.names == ["1", "2", "3"]
        tasks.cancel_scope.cancel()


async def test_tokens_that_a_provider_says_are_left_are_kept_to_also_after_a_rejection() -> None:
    endpoint = Endpoint()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(endpoint.call, "1", "a", 10)
        await settled()
        said = RateLimitHeaders(remaining_tokens=100, reset_tokens_s=10_000)
        error = OverloadedError("no", http_status=500, rate_limits=said)
        await endpoint.end("1", error=error)
        tasks.start_soon(endpoint.call, "2", "a", 60)
        await settled()
        tasks.start_soon(endpoint.call, "3", "a", 60)
        await endpoint.clock.advance(299)
        assert endpoint.names == ["1", "2"]

        await endpoint.clock.advance(2)  # no longer than `max_retry_after_s`
        assert endpoint.names == ["1", "2", "3"]
        tasks.cancel_scope.cancel()


async def test_a_ticket_is_told_once_what_came_of_its_call() -> None:
    endpoint = Endpoint(max_in_flight=4)
    async with endpoint.gate.admit("a", 0) as ticket:
        ticket.succeeded()
        ticket.rejected(rate_limited(5))

    assert endpoint.gate.limit == 4
    async with endpoint.gate.admit("a", 0) as ticket:
        assert ticket.waited_s == 0


async def test_a_ticket_says_how_long_it_waited() -> None:
    endpoint = Endpoint(max_in_flight=1)
    async with anyio.create_task_group() as tasks:
        start(tasks, endpoint, "1", "2")
        await endpoint.clock.advance(7.5)
        await endpoint.end("1")
        assert endpoint.open["2"][0].waited_s == 7.5
        await endpoint.end("2")


async def test_a_caller_that_is_cancelled_while_it_waits_leaves_the_line() -> None:
    endpoint = Endpoint(max_in_flight=1)
    async with anyio.create_task_group() as tasks:
        start(tasks, endpoint, "1")
        await settled()
        async with anyio.create_task_group() as impatient:
            start(impatient, endpoint, "2", "3")
            await settled()
            impatient.cancel_scope.cancel()

        start(tasks, endpoint, "4")
        await settled()
        assert endpoint.gate.waiting == 1
        await endpoint.end("1")
        await endpoint.end("4")

    assert endpoint.names == ["1", "4"]
    assert (endpoint.gate.in_flight, endpoint.gate.waiting) == (0, 0)


async def test_a_caller_that_is_cancelled_as_its_turn_comes_gives_everything_back() -> None:
    endpoint = Endpoint(max_in_flight=1, requests_per_minute=2, tokens_per_minute=100)
    first = asyncio.create_task(endpoint.call("1", "a", 10))
    second = asyncio.create_task(endpoint.call("2", "a", 90))
    third = asyncio.create_task(endpoint.call("3", "a", 90))
    await settled()
    _, ends = endpoint.open.pop("1")
    ends.set()
    while endpoint.gate.waiting == 2:
        await anyio.lowlevel.checkpoint()

    assert "2" not in endpoint.names  # it has its turn, and has not woken
    second.cancel()
    await settled()

    assert second.cancelled()
    assert endpoint.names == ["1", "3"]
    await endpoint.end("3")
    await asyncio.gather(first, third)
    assert endpoint.gate.in_flight == 0


async def test_a_call_that_fails_or_is_cancelled_gives_its_slot_back() -> None:
    endpoint = Endpoint(max_in_flight=1)
    with pytest.raises(ZeroDivisionError):
        async with endpoint.gate.admit("a", 0):
            raise ZeroDivisionError

    async with anyio.create_task_group() as tasks:
        start(tasks, endpoint, "1", "2")
        await settled()
        tasks.cancel_scope.cancel()

    assert (endpoint.gate.in_flight, endpoint.gate.waiting) == (0, 0)


async def test_one_caller_sleeps_for_all_and_another_takes_over_when_it_is_cancelled() -> None:
    endpoint = Endpoint(requests_per_minute=1)
    async with endpoint.gate.admit("a", 0):
        pass

    waiting = [asyncio.create_task(endpoint.call(f"{index}")) for index in range(5)]
    await settled()
    assert endpoint.clock.sleepers == 1
    for task in waiting[:4]:
        task.cancel()

    await settled()
    assert (endpoint.clock.sleepers, endpoint.gate.waiting) == (1, 1)
    await endpoint.clock.advance(63)
    assert endpoint.names == ["4"]
    assert endpoint.clock.most_sleepers == 1
    await endpoint.end("4")


async def test_a_sleeper_is_woken_when_its_turn_comes_early() -> None:
    endpoint = Endpoint(tokens_per_minute=100)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(endpoint.call, "1", "a", 100)
        await settled()
        tasks.start_soon(endpoint.call, "2", "a", 100)
        await settled()
        assert endpoint.clock.sleepers == 1
        endpoint.open["1"][0].settle(0)
        await settled()

        assert endpoint.clock.sleepers == 0
        assert endpoint.names == ["1", "2"]
        await endpoint.end("1", "2")


async def test_a_sleeper_that_is_woken_and_cancelled_at_once_is_cancelled() -> None:
    endpoint = Endpoint(tokens_per_minute=100)
    first = asyncio.create_task(endpoint.call("1", "a", 100))
    await settled()
    second = asyncio.create_task(endpoint.call("2", "a", 100))
    await settled()
    endpoint.open["1"][0].settle(0)
    second.cancel()
    await settled()

    assert second.cancelled() or "2" in endpoint.names
    if "2" in endpoint.names:
        second.cancel()

    await endpoint.end("1")
    await asyncio.gather(first, second, return_exceptions=True)
    assert (endpoint.gate.in_flight, endpoint.gate.waiting) == (0, 0)


@pytest.mark.parametrize("seed", range(5))
async def test_no_slot_is_lost_and_no_limit_passed_whatever_becomes_of_the_calls(seed: int) -> None:
    endpoint = Endpoint(max_in_flight=8, requests_per_minute=50, tokens_per_minute=3000)
    dice, most = Random(seed), 0
    open_tasks: list[asyncio.Task[None]] = []
    for index in range(300):
        tokens = dice.randrange(100)
        call = endpoint.call(f"{index}", f"{dice.randrange(3)}", tokens)
        open_tasks.append(asyncio.create_task(call))
        fate = dice.random()
        if fate < 0.3:
            dice.choice(open_tasks).cancel()
        elif fate < 0.8 and (running := list(endpoint.open)):
            error = rate_limited(dice.choice([None, 0.5, 3.0])) if dice.random() < 0.1 else None
            await endpoint.end(dice.choice(running), error=error)
        elif fate < 0.9:
            await endpoint.clock.advance(dice.random() * 10)

        most = max(most, endpoint.gate.in_flight)

    for task in open_tasks:
        task.cancel()

    await asyncio.gather(*open_tasks, return_exceptions=True)
    requests, tokens = endpoint.most_in_a_minute()
    assert most <= 8
    assert requests <= 50
    assert tokens <= 3000
    assert (endpoint.gate.in_flight, endpoint.gate.waiting) == (0, 0)
    last = asyncio.create_task(pass_through(endpoint.gate, "last"))
    await endpoint.clock.advance(130)
    await last


async def pass_through(gate: Gate, group: str) -> None:
    async with gate.admit(group, 1):
        pass


async def wake_cpu_s(count: int) -> float:
    """Measure what it takes to let so many waiting callers through one slot."""
    gate = Gate("endpoint", EndpointLimits(max_in_flight=1))
    async with anyio.create_task_group() as tasks, gate.admit("first", 1):
        for index in range(count):
            tasks.start_soon(pass_through, gate, f"{index % 7}")

        while gate.waiting < count:
            await anyio.lowlevel.checkpoint()

        begun = process_time()

    return process_time() - begun


async def test_waking_waiters_takes_time_in_proportion_to_their_number() -> None:
    await wake_cpu_s(1000)
    few_s, many_s = await wake_cpu_s(2000), await wake_cpu_s(10_000)

    assert many_s / few_s < 5 * 2.5  # a broadcast would make it 25 times as much
    assert many_s < 3


async def test_gates_share_nothing() -> None:
    one, other = Endpoint(max_in_flight=1), Endpoint(max_in_flight=1)
    async with one.gate.admit("a", 0) as ticket, other.gate.admit("a", 0):
        ticket.rejected(rate_limited(60))
        assert one.gate.in_flight == other.gate.in_flight == 1

    async with other.gate.admit("a", 0) as ticket:
        assert ticket.waited_s == 0


async def test_a_turn_is_taken_at_once_only_where_there_is_one_and_nobody_waits() -> None:
    endpoint = Endpoint(max_in_flight=1, requests_per_minute=2)
    gate = endpoint.gate
    first = gate.admit("a", 0)
    assert first.enter_at_once()
    assert not gate.admit("b", 0).enter_at_once(), "the one slot is taken"
    async with anyio.create_task_group() as tasks:
        start(tasks, endpoint, "waits")
        await settled()
        first.leave()
        assert not gate.admit("b", 0).enter_at_once(), "who waited has its turn"
        await settled()
        await endpoint.end("waits")

    assert not gate.admit("b", 0).enter_at_once(), "two calls were made in this minute"
    assert (gate.in_flight, gate.waiting) == (0, 0)
