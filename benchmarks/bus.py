"""What publishing an event costs, read by three lossless readers in batches, reading included.

The event is made beforehand; the baseline appends it to three deques, and nobody reads.

    python benchmarks/bus.py [--events 200000] [--rounds 7]
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from statistics import median

import anyio
import anyio.lowlevel
from figures import Figure, options, report
from measure import cpu_us, in_turns

import penstock as ps
from penstock.events import Event, EventBus, RunsSaved

READERS = 3
BATCHES = (64, 256)
EVENT = RunsSaved(seq=1, at=datetime.now(UTC), study_id="benchmark", run_ids=("run-1",))


def main() -> None:
    arguments = options(__doc__, events=200_000, rounds=7).parse_args()
    report("bus", measure(arguments.events, arguments.rounds), arguments)


def measure(events: int, rounds: int) -> Iterator[Figure]:
    def cpu_us_of(batch: int) -> float:
        return cpu_us(lambda: publish(events, batch) if batch else append(events), events)

    measured = in_turns((0, *BATCHES), cpu_us_of, rounds)
    appended_us = median(measured[0])
    for batch in BATCHES:
        name = f"an event to {READERS} readers, batches of {batch}"
        yield Figure(name, median(measured[batch]), "µs/event", appended_us, at_most_x=8)


def append(events: int) -> None:
    event, boxes = EVENT, tuple(deque[Event]() for _ in range(READERS))
    for number in range(events):
        for box in boxes:
            box.append(event)

        if number % 256 == 0:
            for box in boxes:
                box.clear()


def publish(events: int, batch: int) -> None:
    """Publish as many events as make a batch, let the readers read them, and so on."""
    event, bus = EVENT, EventBus()

    async def read(stream: ps.EventStream) -> None:
        while await stream.batch(batch):
            pass

    async def every() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(READERS):
                group.start_soon(read, bus.open(RunsSaved))

            for number in range(events):
                bus.publish(event)
                if number % batch == 0:
                    await anyio.lowlevel.checkpoint()

            bus.close()

    anyio.run(every)


if __name__ == "__main__":
    main()
