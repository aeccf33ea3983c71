"""The longest time for which penstock keeps the event loop from turning, and what it does then.

A task that wishes to wake every 2 ms notes how late it wakes: by the clock, and by how much CPU
time the loop's thread took meanwhile, which a busy machine does not change. A thread looks at what
the loop is doing when it has not turned for a while; garbage collections tell of themselves.

    python benchmarks/stalls.py [--runs 100000] [--concurrency 1000] [--wait-ms 100]
"""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread, get_ident
from time import monotonic, thread_time
from typing import NamedTuple

import anyio
from figures import Figure, options, report
from studies import Agent, make_runner, run_alone

TURN_S = 0.002
LOOK_S = 0.01
"""Less is not worth looking at."""


class Stall(NamedTuple):
    """How long a turn took, and what the loop did in it, as far as it was looked at."""

    clock_s: float
    cpu_s: float
    doing: str


def main() -> None:
    numbers = {"runs": 100_000, "concurrency": 1_000, "wait_ms": 100}
    arguments = options(__doc__, **numbers).parse_args()
    with TemporaryDirectory() as folder:
        agent = Agent(arguments.wait_ms / 1000)
        runner = make_runner(agent, arguments.runs, arguments.concurrency, Path(folder))
        stalls = run_alone(stalls_of, runner.run)

    longest = max(stalls, key=lambda stall: stall.clock_s)
    busiest = max(stalls, key=lambda stall: stall.cpu_s)
    figures = [
        Figure("longest stall, by the clock", longest.clock_s * 1000, "ms"),
        Figure("longest stall, CPU time of the loop", busiest.cpu_s * 1000, "ms", at_most=50),
    ]
    report("stalls", figures, arguments)
    for stall in sorted(stalls, reverse=True)[:3]:
        clock_ms, cpu_ms = stall.clock_s * 1000, stall.cpu_s * 1000
        print(f"\n{clock_ms:.0f} ms, of which {cpu_ms:.0f} ms CPU\n{stall.doing}")


class Watch:
    """Notes how long the turns of the event loop take in which it is."""

    def __init__(self) -> None:
        self.stalls: list[Stall] = [Stall(0.0, 0.0, "")]
        self._turned_at_s = monotonic()
        self._collecting_since_s = 0.0
        self._doing = self._collected = ""
        self._thread = get_ident()
        self._is_over = Event()

    async def turn(self) -> None:
        """Note how late every turn is."""
        while True:
            self._turned_at_s, cpu_s = monotonic(), thread_time()
            self._doing = self._collected = ""
            await anyio.sleep(TURN_S)
            late_s = monotonic() - self._turned_at_s - TURN_S
            if late_s > LOOK_S:
                self.stalls.append(
                    Stall(late_s, thread_time() - cpu_s, self._collected or self._doing)
                )

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look at the loop from another thread meanwhile."""
        looking = Thread(target=self._look, daemon=True)
        looking.start()
        gc.callbacks.append(self._collecting)
        try:
            yield
        finally:
            gc.callbacks.remove(self._collecting)
            self._is_over.set()
            looking.join()

    def _look(self) -> None:
        while not self._is_over.wait(LOOK_S / 2):
            if monotonic() - self._turned_at_s > LOOK_S:
                frame = sys._current_frames()[self._thread]  # noqa: SLF001 - documented
                self._doing = "".join(traceback.format_stack(frame)[-8:])

    def _collecting(self, phase: str, info: Mapping[str, int]) -> None:
        # Nothing else has a turn while garbage is collected, the thread that looks included.
        if phase == "start":
            self._collecting_since_s = monotonic()
        elif (took_s := monotonic() - self._collecting_since_s) > LOOK_S:
            generation = info["generation"]
            self._collected = (
                f"  of it {took_s * 1000:.0f} ms of collecting generation {generation}"
            )


async def stalls_of(run: Callable[[], Awaitable[object]]) -> list[Stall]:
    watch = Watch()
    with watch.looking():
        async with anyio.create_task_group() as group:
            group.start_soon(watch.turn)
            await run()
            group.cancel_scope.cancel()

    return watch.stalls


if __name__ == "__main__":
    main()
