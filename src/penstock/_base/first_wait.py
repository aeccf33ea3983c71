"""Hearing that something has to wait, and is not over at once."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

__all__ = ["told_first_wait"]

Result = TypeVar("Result")


@coroutine
def told_first_wait(
    work: Coroutine[Any, Any, Result], tell: Callable[[], None] | None
) -> Generator[Any, Any, Result]:
    """Await a coroutine as ``await work`` does.

    Args:
        work: The coroutine.
        tell: Called when it waits for the first time; not called where it never does.
    """
    try:
        waited_for = work.send(None)
        if tell is not None:
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
