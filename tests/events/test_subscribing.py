from __future__ import annotations

import asyncio  # noqa: TID251 - what a subscriber may raise
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import pytest

from penstock.errors import SubscriberError
from penstock.events import Event, LimitChanged, StudyWaiting, SubscriberFailed
from penstock.events.bus import EventBus, EventStream
from penstock.events.listening import one_by_one
from penstock.events.subscribing import Subscribers, Subscription
from tests.builders import Announced, make_event

pytestmark = pytest.mark.anyio


def limit(value: int) -> Event:
    return make_event(LimitChanged, limit=value, reason="test")


class House:
    """A bus with subscribers at work."""

    def __init__(self) -> None:
        self.bus = EventBus()
        self.announced = Announced()
        self.stopped: list[str] = []
        self.subscribers = Subscribers(self.bus, self.announced, self.stopped.append)


@asynccontextmanager
async def subscribed(*subscriptions: Subscription) -> AsyncIterator[House]:
    house = House()
    for subscription in subscriptions:
        house.subscribers.start(subscription)

    await anyio.wait_all_tasks_blocked()
    yield house
    house.bus.close()
    await anyio.wait_all_tasks_blocked()


class Reader:
    """A subscriber that remembers limits, and breaks at one of them."""

    def __init__(self, breaks_at: int = -1, error: BaseException | None = None) -> None:
        self.seen: list[int] = []
        self.breaks_at = breaks_at
        self.error = error or ValueError("no good")

    async def __call__(self, stream: EventStream) -> None:
        async for event in stream:
            assert isinstance(event, LimitChanged)
            self.seen.append(event.limit)
            if event.limit == self.breaks_at:
                raise self.error


async def test_a_subscriber_hears_what_it_asked_for_to_the_end() -> None:
    reader = Reader()
    async with subscribed(Subscription(reader, (LimitChanged,))) as house:
        for value in range(3):
            house.bus.publish(limit(value))

        await house.subscribers.finish()

        assert reader.seen == [0, 1, 2]


class UnreadableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no message")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no good"), "ValueError: no good"),
        (SystemExit(3), "SystemExit: 3"),
        (asyncio.CancelledError("a task of its own"), "CancelledError: a task of its own"),
        (UnreadableError(), "UnreadableError: (its message cannot be read: ValueError)"),
    ],
)
async def test_a_subscriber_that_raises_is_said_and_switched_off_and_others_go_on(
    error: BaseException, said: str
) -> None:
    breaking, other = Reader(1, error), Reader()
    async with subscribed(Subscription(breaking), Subscription(other)) as house:
        for value in range(4):
            house.bus.publish(limit(value))
            await anyio.wait_all_tasks_blocked()

        await house.subscribers.finish()

        assert breaking.seen == [0, 1]
        assert other.seen == [0, 1, 2, 3]
        (failed,) = house.announced.of(SubscriberFailed)
        assert (failed.error, failed.critical) == (said, False)
        assert failed.subscriber == "tests.events.test_subscribing.Reader"
        assert "raise self.error" in failed.traceback
        assert (house.stopped, house.subscribers.failure) == ([], None)


async def test_a_subscriber_switched_off_holds_nobody_back() -> None:
    async with subscribed(Subscription(Reader(0))) as house:
        house.bus.publish(limit(0))
        await anyio.wait_all_tasks_blocked()
        for value in range(5000):
            house.bus.publish(limit(value))

        assert house.bus.laggard() is None


async def test_a_critical_subscriber_that_raises_stops_the_study_with_its_cause() -> None:
    async with subscribed(Subscription(Reader(0), critical=True)) as house:
        house.bus.publish(limit(0))
        await anyio.wait_all_tasks_blocked()

        failure = house.subscribers.failure
        assert isinstance(failure, SubscriberError)
        assert isinstance(failure.__cause__, ValueError)
        assert "Reader failed, and the study cannot go on without it" in str(failure)
        assert house.stopped == [str(failure)]
        assert house.announced.of(SubscriberFailed)[0].critical


async def test_the_first_critical_failure_is_the_one_that_is_told() -> None:
    first, second = Reader(0, ValueError("one")), Reader(1, ValueError("two"))
    async with subscribed(
        Subscription(first, critical=True), Subscription(second, critical=True)
    ) as house:
        for value in range(2):
            house.bus.publish(limit(value))
            await anyio.wait_all_tasks_blocked()

        assert len(house.stopped) == 1
        assert "one" in str(house.subscribers.failure)


async def test_some_subscribers_can_be_finished_before_others() -> None:
    early, late = Subscription(Reader()), Subscription(Reader())
    async with subscribed(early, late) as house:
        house.bus.publish(limit(1))
        await house.subscribers.finish(early)
        house.bus.publish(limit(2))
        await house.subscribers.finish()

        assert isinstance(early.subscriber, Reader)
        assert isinstance(late.subscriber, Reader)
        assert (early.subscriber.seen, late.subscriber.seen) == ([1], [1, 2])


@dataclass
class Unhashable:
    """A dataclass compares by value and has no hash."""

    seen: list[int] = field(default_factory=list)

    async def __call__(self, stream: EventStream) -> None:
        self.seen.extend([event.limit async for event in stream if isinstance(event, LimitChanged)])


async def test_a_subscriber_may_be_unhashable_and_may_subscribe_twice() -> None:
    twice, equal = Unhashable(), Unhashable()
    async with subscribed(*map(Subscription, (twice, twice, equal))) as house:
        house.bus.publish(limit(1))
        await house.subscribers.finish()

        assert (twice.seen, equal.seen) == ([1, 1], [1])


async def test_a_subscriber_may_stop_reading_early() -> None:
    async def first_only(stream: EventStream) -> None:
        await stream.batch(1)

    async with subscribed(Subscription(first_only)) as house:
        for value in range(3):
            house.bus.publish(limit(value))
            await anyio.wait_all_tasks_blocked()

        await house.subscribers.finish()

        assert house.announced.events == []
        assert not house.bus.has_readers(LimitChanged)


async def hang(stream: EventStream) -> None:
    await anyio.sleep_forever()


async def test_a_subscriber_that_never_ends_is_said_and_left_behind_after_a_cancellation() -> None:
    reader = Reader()
    async with subscribed(Subscription(hang), Subscription(reader, is_waited_for=True)) as house:
        house.bus.publish(limit(1))
        house.subscribers.cancel(grace_s=1.2)
        await house.subscribers.finish()

        (waiting,) = house.announced.of(StudyWaiting)
        assert (waiting.subscriber, waiting.behind) == ("tests.events.test_subscribing.hang", 1)
        assert house.announced.of(SubscriberFailed) == []
        assert reader.seen == [1]


async def test_one_event_at_a_time_is_handed_to_a_plain_or_async_function() -> None:
    seen: list[Any] = []

    async def listen(event: Event) -> None:
        seen.append(event)

    events = [limit(1), limit(2)]
    async with subscribed(
        Subscription(one_by_one(seen.append)), Subscription(one_by_one(listen), (LimitChanged,))
    ) as house:
        for event in events:
            house.bus.publish(event)

        await house.subscribers.finish()

    assert sorted(event.seq for event in seen) == sorted(event.seq for event in events * 2)


def made_by_a_factory() -> Callable[..., Any]:
    async def subscriber(stream: EventStream) -> None: ...

    return subscriber


def plain(event: Event) -> None: ...


@pytest.mark.parametrize(
    ("subscriber", "name"),
    [
        (hang, "tests.events.test_subscribing.hang"),
        (Reader(), "tests.events.test_subscribing.Reader"),
        (made_by_a_factory(), "tests.events.test_subscribing.made_by_a_factory"),
        (one_by_one(plain), "tests.events.test_subscribing.plain"),
        (partial(hang), "functools.partial"),
    ],
)
def test_a_subscriber_is_called_by_the_name_of_its_function(subscriber: Any, name: str) -> None:
    assert Subscription(subscriber).name == name
