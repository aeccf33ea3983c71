from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from penstock.errors import ValidationError
from penstock.events import (
    Event,
    LimitChanged,
    RunEvent,
    RunObserved,
    RunsSaved,
    StudyEvent,
    StudyStarted,
    StudyStopping,
)
from penstock.events.bus import EventBus, EventStream
from tests.builders import make_event

pytestmark = pytest.mark.anyio


def saved(name: str = "run-1") -> Event:
    return make_event(RunsSaved, run_ids=(name,))


def limit(value: int) -> Event:
    return make_event(LimitChanged, limit=value, reason="test")


def limits(events: list[Event]) -> list[int]:
    return [event.limit for event in events if isinstance(event, LimitChanged)]


async def read_all(stream: EventStream) -> list[Event]:
    return [event async for event in stream]


async def test_a_stream_gives_the_events_it_asked_for_in_order() -> None:
    bus = EventBus()
    stream = bus.open(LimitChanged)
    for value in range(5):
        bus.publish(limit(value))
        bus.publish(saved())

    bus.close()

    assert limits(await read_all(stream)) == [0, 1, 2, 3, 4]


async def test_listening_to_a_class_means_its_subclasses_too() -> None:
    bus = EventBus()
    study, runs, everything = bus.open(StudyEvent), bus.open(RunEvent, RunsSaved), bus.open()
    events = [
        make_event(StudyStarted, planned=1, restored=0),
        saved(),
        make_event(StudyStopping, reason="r"),
        limit(1),
    ]
    for event in events:
        bus.publish(event)

    bus.close()

    assert await read_all(study) == [events[0], events[2]]
    assert await read_all(runs) == [events[1]]
    assert await read_all(everything) == events


async def test_a_stream_hears_nothing_of_what_came_before_it_or_after_its_end() -> None:
    bus = EventBus()
    bus.publish(limit(1))
    with bus.open(LimitChanged) as stream:
        bus.publish(limit(2))

    bus.publish(limit(3))

    assert limits(await read_all(stream)) == [2]


async def test_the_bus_knows_whether_anyone_hears_a_class() -> None:
    bus = EventBus()
    assert not bus.has_readers(RunObserved)

    with bus.open(RunEvent):
        assert bus.has_readers(RunObserved)
        assert not bus.has_readers(LimitChanged)

    assert not bus.has_readers(RunObserved)


async def test_publishing_to_nobody_is_nothing() -> None:
    EventBus().publish(limit(1))


async def test_a_reader_waits_for_the_next_event() -> None:
    bus = EventBus()
    stream = bus.open()
    seen: list[int] = []

    async def read() -> None:
        seen.extend([event.limit async for event in stream if isinstance(event, LimitChanged)])

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        bus.publish(limit(1))
        bus.publish(limit(2))
        await anyio.wait_all_tasks_blocked()
        bus.close()

    assert seen == [1, 2]


async def test_closing_ends_waiting_readers_and_those_who_open_later() -> None:
    bus = EventBus()
    streams = [bus.open(), bus.open(lossy=True)]
    async with anyio.create_task_group() as group:
        for stream in streams:
            group.start_soon(read_all, stream)

        await anyio.wait_all_tasks_blocked()
        bus.close()

    assert await read_all(bus.open()) == []


async def test_what_arrived_before_the_end_can_still_be_read() -> None:
    bus = EventBus()
    stream = bus.open()
    bus.publish(limit(1))
    bus.publish(limit(2))
    stream.close()
    stream.close()

    assert len(stream) == 2
    assert limits(await stream.batch(1)) == [1]
    assert limits(await read_all(stream)) == [2]
    assert await stream.batch() == []


async def test_a_lossy_stream_drops_its_oldest_and_counts_them() -> None:
    bus = EventBus()
    stream = bus.open(size=3, lossy=True)
    for value in range(10):
        bus.publish(limit(value))

    assert bus.laggard() is None
    assert (len(stream), stream.dropped) == (3, 7)
    assert limits(await stream.batch()) == [7, 8, 9]


async def test_a_batch_takes_what_is_there_and_no_more_than_its_size() -> None:
    bus = EventBus()
    stream = bus.open()
    for value in range(5):
        bus.publish(limit(value))

    assert limits(await stream.batch(3)) == [0, 1, 2]
    assert limits(await stream.batch(3)) == [3, 4]


async def test_a_batch_that_lingers_waits_for_more_until_it_is_full() -> None:
    bus = EventBus()
    stream = bus.open()
    batches: list[list[int]] = []

    async def read() -> None:
        batches.append(limits(await stream.batch(3, linger_s=60)))

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        for value in range(3):
            await anyio.wait_all_tasks_blocked()
            assert batches == []
            bus.publish(limit(value))

    assert batches == [[0, 1, 2]]


@pytest.mark.virtual_time
async def test_a_batch_lingers_no_longer_than_it_was_told() -> None:
    bus = EventBus()
    stream = bus.open()
    bus.publish(limit(1))

    assert limits(await stream.batch(3, linger_s=0.01)) == [1]


async def test_the_end_of_a_stream_ends_a_batch_that_lingers() -> None:
    bus = EventBus()
    stream = bus.open()
    batches: list[list[int]] = []

    async def read() -> None:
        batches.append(limits(await stream.batch(3, linger_s=60)))

    bus.publish(limit(1))
    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        bus.close()

    assert batches == [[1]]


@pytest.mark.virtual_time
async def test_a_cancelled_batch_loses_nothing() -> None:
    bus = EventBus()
    stream = bus.open()
    bus.publish(limit(1))
    with anyio.move_on_after(0.01) as scope:
        await stream.batch(3, linger_s=60)

    bus.publish(limit(2))

    assert scope.cancelled_caught
    assert limits(await stream.batch()) == [1, 2]


async def test_a_lossless_stream_too_far_behind_closes_the_gate_for_everyone_who_waits() -> None:
    bus = EventBus()
    stream = bus.open(size=2, name="slow")
    passed = 0

    async def wait() -> None:
        nonlocal passed
        await bus.ready()
        passed += 1

    await bus.ready()
    for value in range(4):
        bus.publish(limit(value))

    assert bus.laggard() is stream
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(wait)

        await anyio.wait_all_tasks_blocked()
        await stream.batch(1)
        await anyio.wait_all_tasks_blocked()
        assert passed == 0  # three unread events are still more than two

        await stream.batch(1)

    assert passed == 5
    assert bus.laggard() is None


async def test_the_gate_opens_when_every_lossless_stream_has_caught_up() -> None:
    bus = EventBus()
    streams = [bus.open(size=1) for _ in range(3)]
    passed: list[int] = []

    async def wait(number: int) -> None:
        await bus.ready()
        passed.append(number)

    for value in range(3):
        bus.publish(limit(value))

    async with anyio.create_task_group() as group:
        group.start_soon(wait, 1)
        for number, stream in enumerate(streams, start=2):
            await anyio.wait_all_tasks_blocked()
            group.start_soon(wait, number)
            assert passed == []
            await stream.batch(2)

    assert sorted(passed) == [1, 2, 3, 4]


async def test_a_stream_that_falls_behind_again_before_those_who_wait_wake_keeps_them() -> None:
    bus = EventBus()
    stream = bus.open(size=1)
    passed: list[None] = []

    async def wait() -> None:
        await bus.ready()
        passed.append(None)

    for value in range(2):
        bus.publish(limit(value))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        await stream.batch(2)
        for value in range(2):
            bus.publish(limit(value))

        await anyio.wait_all_tasks_blocked()
        assert passed == []
        await stream.batch(2)

    assert len(passed) == 2


async def test_a_laggard_that_stops_listening_opens_the_gate() -> None:
    bus = EventBus()
    stream = bus.open(size=1)
    for value in range(3):
        bus.publish(limit(value))

    assert bus.laggard() is stream
    async with anyio.create_task_group() as group:
        group.start_soon(bus.ready)
        group.start_soon(bus.ready)
        await anyio.wait_all_tasks_blocked()
        stream.close()

    assert bus.laggard() is None


async def test_the_gate_stays_closed_when_one_of_two_laggards_stops_listening() -> None:
    bus = EventBus()
    first, second = bus.open(size=1), bus.open(size=1)
    passed: list[None] = []

    async def wait() -> None:
        await bus.ready()
        passed.append(None)

    for value in range(3):
        bus.publish(limit(value))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        first.close()
        await anyio.wait_all_tasks_blocked()
        assert (passed, bus.laggard()) == ([], second)

        await second.batch(2)

    assert len(passed) == 1


async def test_one_reader_far_behind_holds_no_other_reader_back() -> None:
    bus = EventBus()
    bus.open(size=1)
    quick = bus.open()
    for value in range(100):
        bus.publish(limit(value))

    assert limits(await quick.batch(1000)) == list(range(100))


@pytest.mark.field("engine-K2")
@pytest.mark.parametrize("in_batches", [False, True])
async def test_a_reader_that_always_finds_events_lets_others_have_their_turn(
    in_batches: bool,
) -> None:
    bus = EventBus()
    stream = bus.open()
    turns = 0

    async def feed_itself() -> None:
        """Read events and publish one for each that was read."""
        bus.publish(limit(0))
        while turns < 10:
            for event in await stream.batch() if in_batches else [await anext(stream)]:
                bus.publish(event)

    async with anyio.create_task_group() as group:
        group.start_soon(feed_itself)
        while turns < 10:
            turns += 1
            await anyio.lowlevel.checkpoint()


@pytest.mark.field("engine-K8")
async def test_a_batch_that_lingers_for_more_than_its_stream_bears_does_not_close_the_gate() -> (
    None
):
    bus = EventBus()
    stream = bus.open(size=2)
    batches: list[list[int]] = []

    async def read() -> None:
        batches.append(limits(await stream.batch(5000, linger_s=3600)))

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        for value in range(3):
            await anyio.wait_all_tasks_blocked()
            bus.publish(limit(value))

        await bus.ready()

    assert batches == [[0, 1, 2]]


@pytest.mark.field("engine-K8")
async def test_a_lossy_batch_that_lingers_for_more_than_its_stream_keeps_drops_nothing() -> None:
    bus = EventBus()
    stream = bus.open(size=2, lossy=True)
    batches: list[list[int]] = []

    async def read() -> None:
        batches.append(limits(await stream.batch(5000, linger_s=3600)))

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        for value in range(2):
            await anyio.wait_all_tasks_blocked()
            bus.publish(limit(value))

    assert (batches, stream.dropped) == ([[0, 1]], 0)


@pytest.mark.field("engine-K18")
@pytest.mark.parametrize("size", [0, -1, float("nan")])
@pytest.mark.parametrize("lossy", [True, False])
async def test_a_stream_that_keeps_nothing_is_refused(size: int, lossy: bool) -> None:
    with pytest.raises(ValidationError, match="the size of an event stream must be >= 1, not"):
        EventBus().open(size=size, lossy=lossy)


async def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="max_size must be >= 1, not 0"):
        await EventBus().open().batch(0)
