"""The calls of a session as they are kept: each is durable before its answer is given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
from anyio.abc import TaskGroup

from penstock._base.loop import undisturbed
from penstock.agents.context import RunContext
from penstock.errors import StopStudy, StoreError
from penstock.models.calls.digests import Digests
from penstock.models.calls.kept_call import CallStore, KeptCall, LeftCalls
from penstock.study.execution import KeepCalls

__all__ = ["KeptCalls"]


class _Group:
    """Calls that are saved together, and those who wait for it."""

    def __init__(self) -> None:
        self.calls: list[KeptCall] = []
        self.is_over = anyio.Event()
        self.error: StoreError | None = None


class KeptCalls:
    """Saves calls in groups: those that come while a group is written are the next.

    Args:
        store: Where they are kept; nowhere where not given.
        wanted: How much of them is kept.

    Attributes:
        digests: Those of the messages that are asked.
    """

    def __init__(self, store: CallStore | None = None, wanted: KeepCalls = "none") -> None:
        self.digests = Digests()
        self._store = None if wanted == "none" else store
        self._has_texts = wanted == "full"
        self._open = _Group()
        self._writing = anyio.Lock()
        self._tasks: TaskGroup | None = None

    @property
    def are_kept(self) -> bool:
        """Whether calls are kept at all."""
        return self._store is not None and self._tasks is not None

    @property
    def gives_again(self) -> bool:
        """Whether what an attempt was answered that is cut off is given again."""
        return self._store is not None and self._has_texts

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Save calls inside ``async with``; those who wait are waited for."""
        failure: Exception | None = None
        async with anyio.create_task_group() as self._tasks:
            try:
                yield
            except Exception as error:  # noqa: BLE001 - raised below, not as a group
                failure = error

        if failure is not None:
            raise failure

    async def keep(self, ctx: RunContext, call: KeptCall) -> None:
        """Save a call; when this returns it survives a crash.

        Raises:
            StopStudy: calls cannot be saved any more: nothing may be paid for that is lost.
        """
        if self._store is None or self._tasks is None:
            return

        group = self._open
        group.calls.append(call)
        if len(group.calls) == 1:
            # A task of its own: a run may be cancelled while it waits, and others wait too.
            self._tasks.start_soon(undisturbed, partial(self._save, self._store, group))

        with ctx.waiting():
            await group.is_over.wait()

        if group.error is not None:
            raise StopStudy(f"calls cannot be kept: {group.error}") from group.error

    async def look_back(self, ctx: RunContext) -> None:
        """Find, once for an attempt, what it may be given again instead of asking for it."""
        if ctx.calls.left is None:
            nothing = LeftCalls()
            who = ctx.spec.run_id, ctx.attempt
            left = nothing if self._store is None else await self._store.left_calls(*who)
            ctx.calls.left, ctx.calls.refused = left.answers, left.refusals

    async def _save(self, store: CallStore, group: _Group) -> None:
        async with self._writing:
            if self._open is group:
                self._open = _Group()

            if group.is_over.is_set():
                return

            try:
                await store.save_calls(group.calls, with_texts=self._has_texts)
            except StoreError as error:
                group.error = error

            group.is_over.set()
