"""Plain agents that draw from the global random generators, which nobody isolates in threads.

Threads share the generators of the process, and nothing tells their draws apart. So what such an
agent draws is not repeatable. That it drew shows in the host's states, which are as they were
where nobody has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from penstock._base.logger import logger
from penstock.agents.context import RunContext
from penstock.agents.global_random import global_random

__all__ = ["ThreadDraws"]

_ADVICE = (
    "draw from ctx.rng, make the agent async def, or mark it with penstock.agents.in_worker_process"
)


class ThreadDraws:
    """Looks whether a study's agents in threads draw from the global generators; says so once."""

    def __init__(self) -> None:
        self._at_work: Counter[str] = Counter()
        self._meetings = 0
        self._said: set[str] = set()

    @contextmanager
    def watched(self, name: str, ctx: RunContext) -> Iterator[None]:
        """Compare the states before and after a block that waits for a call in a thread.

        Args:
            name: The agent whose call it is.
            ctx: Its run.
        """
        self._at_work[name] += 1
        is_alone = len(self._at_work) == 1
        self._meetings += not is_alone
        meetings, before = self._meetings, None if name in self._said else _host_states()
        try:
            yield
        finally:
            if before is not None and _have_moved(before, _host_states()):
                is_certain = is_alone and meetings == self._meetings
                self._say([name] if is_certain else sorted(self._at_work), ctx)

            self._at_work[name] -= 1
            if not self._at_work[name]:
                del self._at_work[name]

    def _say(self, names: Sequence[str], ctx: RunContext) -> None:
        """Report the agent that drew, or those among which one did."""
        if not self._said.isdisjoint(names):
            return

        self._said.update(names)
        logger().warning(
            "agent.random_not_repeatable",
            study_id=ctx.spec.study_id,
            agents=", ".join(names),
            run_id=ctx.spec.run_id,
            reason="the global random generators were drawn from while "
            f"{'it' if len(names) == 1 else 'one of them'} ran in a thread",
            what_to_do=_ADVICE,
        )


def _host_states() -> Any:
    """Return the states that threads draw from; None where another event loop has lent them out."""
    generators = global_random()
    turn = generators.turn
    if not turn.take_at_once():
        return None

    try:
        return generators.save() if turn.host is None else turn.host
    finally:
        turn.give_back()


def _have_moved(before: Any, after: Any) -> bool:
    try:
        return after is not None and bool(before != after)
    except ValueError:  # a bit generator whose state holds arrays
        return False
