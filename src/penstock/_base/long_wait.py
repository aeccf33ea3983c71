"""Hearing that something has to wait, and is not over at once, or not soon."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

from penstock._base.loop import call_later

__all__ = ["told_first_wait", "told_long_wait"]

Result = TypeVar("Result")

_LONG_S = 0.02
"""To be told of a wait may cost more than what is waited for, as where a thread has it at once."""


async def told_long_wait(
    work: Coroutine[Any, Any, Result], tell: Callable[[], None] | None
) -> Result:
    """Await a coroutine as ``await work`` does.

    Args:
        work: The coroutine.
        tell: Called when it has waited for a while; not called where it ends before.
    """
    if tell is None:
        return await work

    alarms: list[Any] = []
    try:
        return await told_first_wait(work, lambda: alarms.append(call_later(_LONG_S, tell)))
    finally:
        for alarm in alarms:
            alarm.cancel()


@coroutine
def told_first_wait(
    work: Coroutine[Any, Any, Result], tell: Callable[[], None]
) -> Generator[Any, Any, Result]:
    """Await a coroutine as ``await work`` does.

    Args:
        work: The coroutine.
        tell: Called when it waits for the first time; not called where it never does.
    """
    try:
        waited_for = work.send(None)
        tell()
        while True:
            try:
                sent = yield waited_for
            except GeneratorExit:
                work.close()
                raise
            except BaseException as error:  # noqa: BLE001 - raised where it waits
                waited_for = work.throw(error)
            else:
                waited_for = work.send(sent)

    except StopIteration as end:
        result: Result = end.value
        return result
