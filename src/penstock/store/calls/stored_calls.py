"""Calls of chat models in the store of a session: saved in groups, and found by the next one."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence

from penstock.models.calls.kept_call import KeptCall, LeftCalls
from penstock.store.calls.call_rows import KnownContents, insert_calls
from penstock.store.calls.left_calls import left_calls
from penstock.store.transaction import transaction

__all__ = ["StoredCalls"]


class StoredCalls:
    """The calls of a session, as `CallStore` says.

    Args:
        session_id: The session.
        do: Does something with the connection that writes, in its thread.
        read: Returns what a function makes of a connection that reads.
        asks_again: Whether what was refused for good is asked again.
    """

    def __init__(
        self,
        session_id: int,
        do: Callable[[Callable[[sqlite3.Connection], None]], Awaitable[None]],
        read: Callable[[Callable[[sqlite3.Connection], LeftCalls]], Awaitable[LeftCalls]],
        *,
        asks_again: bool = False,
    ) -> None:
        self._session_id = session_id
        self._do = do
        self._read = read
        self._asks_again = asks_again
        self._known = KnownContents()

    async def save_calls(self, calls: Sequence[KeptCall], *, with_texts: bool) -> None:
        """Save calls in one transaction.

        Raises:
            StoreError: they cannot be written; none of them is saved.
        """

        def insert(connection: sqlite3.Connection) -> None:
            try:
                with transaction(connection):
                    insert_calls(
                        connection, self._session_id, calls, self._known, with_texts=with_texts
                    )
            except BaseException:
                self._known.forget()
                raise

        await self._do(insert)

    async def left_calls(self, run_id: str, attempt: int) -> LeftCalls:
        """Return what a run has asked before an attempt and need not ask again."""
        before = self._session_id, attempt
        if before == (1, 1):
            return LeftCalls()

        asks_again = self._asks_again
        return await self._read(
            lambda store: left_calls(store, before, run_id, asks_again=asks_again)
        )
