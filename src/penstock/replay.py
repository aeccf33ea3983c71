"""Telling code again what was announced in a study, from its store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from penstock.errors import PenstockError, RunningLoopError, SubscriberError, message_of
from penstock.events.bus import Subscriber
from penstock.events.listening import subscriber_of
from penstock.events.tree import Event
from penstock.store.files.lock import hold_directory
from penstock.store.told_again.telling import kept_types
from penstock.subscribers.durable import Delivery, named_kinds

__all__ = ["adeliver", "areplay", "replay"]


async def areplay(
    directory: Path | str,
    *subscribers: Callable[[Any], Any],
    types: Iterable[type[Event] | str] = (),
) -> None:
    """Replay to code what was announced in a study and saved; the study may be running.

    In the order in which it was saved: `StudyStarted`, `RunStarted`, `RunObserved`, `RunRetried`,
    `RunCancelled`, `RunFinished`, `RunsSaved`, `StudyFinished` and `ActionTaken`, over all
    sessions. What they state is what they stated then; ``seq`` counts them through all sessions
    and is the same each time, ``at`` is the moment that the store keeps.

    Args:
        directory: The study's output directory.
        subscribers: Coroutine functions over a stream of events, and plain or async functions of
            one event; each goes at its own pace.
        types: Classes of events, or their names; all that are kept, without any.

    Raises:
        BindingError: one of them is neither, no event has that name, or such events are not kept.
        StoreError: the directory holds no study, or it cannot be read.
        Exception: what one of them raises; the others are cancelled then.
    """
    kinds = kept_types(types)
    heard_by = [subscriber_of(each) for each in subscribers]
    place = Path(directory)
    if len(heard_by) == 1:
        await _tell(place, kinds, heard_by[0])
        return

    async with anyio.create_task_group() as tasks:
        for subscriber in heard_by:
            tasks.start_soon(_tell, place, kinds, subscriber)


def replay(
    directory: Path | str,
    *subscribers: Callable[[Any], Any],
    types: Iterable[type[Event] | str] = (),
) -> None:
    """Replay to code what was announced in a study; the arguments are those of `areplay`.

    Raises:
        RunningLoopError: an event loop is running here; ``await areplay(...)`` instead.
    """
    _refuse_running_loop()
    anyio.run(partial(areplay, directory, *subscribers, types=types))


def _refuse_running_loop() -> None:
    try:
        anyio.get_current_task()
    except RuntimeError:
        return

    raise RunningLoopError(
        "an event loop is already running here (a notebook, a web application): "
        "use `await areplay(...)` with the same arguments"
    )


async def adeliver(
    directory: Path, subscriber: Subscriber, types: Iterable[type[Event] | str], *, name: str
) -> tuple[int, int]:
    """Deliver to a durable subscriber what it has not heard yet, of a study that nobody runs.

    Args:
        directory: The study's output directory, which is held meanwhile.
        subscriber: A coroutine function over a stream of events.
        types: Classes of events, or their names; all that are kept, without any.
        name: Under which its place is kept.

    Returns:
        The number of the last event that it had done with before, and that it has done with now.

    Raises:
        BindingError: the name is empty, no event has that name, or such events are not kept.
        DirectoryInUseError: somebody runs the study.
        StoreError: the directory holds no study, or an older version of penstock wrote it.
        SubscriberError: the subscriber failed; what it had done with is kept.
    """
    delivery = Delivery(directory, named_kinds(name, types), name)
    delivery.note_end()
    with hold_directory(directory):
        try:
            stream = await delivery.stream()
            before = delivery.acknowledged
            await subscriber(stream)
        except PenstockError:
            raise
        except Exception as error:
            raise SubscriberError(
                f"{name} failed after event {delivery.acknowledged}: {type(error).__name__}: "
                f"{message_of(error)}. Its place is kept; deliver again to go on from there"
            ) from error
        finally:
            await delivery.aclose()

    return before, delivery.acknowledged


async def _tell(directory: Path, kinds: tuple[type[Event], ...], subscriber: Subscriber) -> None:
    delivery = Delivery(directory, kinds)
    delivery.note_end()
    try:
        await subscriber(await delivery.stream())
    finally:
        await delivery.aclose()
