"""Listeners and subscribers as people write them: which is which, and of what events.

A listener is a function of one event, a subscriber a coroutine over a stream. One that is taken for
the other would hear nothing, so what a function says of its parameter is read when it is given.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from penstock._base.suggestions import did_you_mean
from penstock.agents.shapes import is_async
from penstock.errors import BindingError
from penstock.events.bus import EventStream, Subscriber
from penstock.events.subscribing import Subscription
from penstock.events.tree import Event

__all__ = ["event_types", "listening", "one_by_one", "subscriber_of", "subscription_of"]

_NAMES_OF_AN_EVENT = frozenset({"ev", "event", "evt"})
_NAMES_OF_A_STREAM = frozenset({"event_stream", "events", "stream"})


def event_types(given: Iterable[type[Event] | str]) -> tuple[type[Event], ...]:
    """Return the classes of events that are meant by classes or their names.

    Raises:
        BindingError: one is neither.
    """
    known = {kind.__name__: kind for kind in _kinds(Event)}
    found = []
    for each in given:
        if isinstance(each, str) and each not in known:
            hint = did_you_mean(each, known, f"; there are {', '.join(known)}")
            raise BindingError(f"no event is called {each!r}{hint}")

        kind = known[each] if isinstance(each, str) else each
        if not (isinstance(kind, type) and issubclass(kind, Event)):
            raise BindingError(
                f"{each!r} is not an event; name classes of penstock.events, as in on(RunFailed)"
            )

        found.append(kind)

    return tuple(found)


def _kinds(kind: type[Event]) -> Iterator[type[Event]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)


def subscription_of(
    subscriber: Any, types: Iterable[type[Event] | str] = (), *, critical: bool = False
) -> Subscription:
    """Return the subscription of what a person gave as a subscriber.

    Args:
        subscriber: A coroutine function over a stream of events.
        types: Classes of events, or their names; all, without any.
        critical: Whether the study cannot go on without it.

    Raises:
        BindingError: it is not a coroutine function over a stream, or no event has that name.
    """
    takes = _takes(subscriber)
    is_lambda = getattr(subscriber, "__name__", "") == "<lambda>"  # it may call a coroutine
    if takes == "event" or not (is_async(subscriber) or is_lambda):
        what = "a function of one event" if takes == "event" else "not a coroutine function"
        raise BindingError(
            f"{_called(subscriber)} is {what}; a subscriber is a coroutine function over a stream "
            "of events: async def subscriber(stream). For one event at a time use runner.on(...)"
        )

    return Subscription(subscriber, event_types(types), critical)


def subscriber_of(given: Any) -> Subscriber:
    """Return the subscriber that a person gave, or one that calls the listener they gave.

    Raises:
        BindingError: it is neither, or does not say which.
    """
    takes = _takes(given)
    if takes == "stream":
        return subscription_of(given).subscriber

    if takes is None and is_async(given):
        raise BindingError(
            f"{_called(given)} does not say what it takes: annotate its parameter with "
            "penstock.EventStream, or with a class of events"
        )

    return one_by_one(given)


def listening(subscribe: Callable[..., None], given: tuple[Any, ...]) -> Callable[[Any], Any] | Any:
    """Return the decorator of listeners; where it was given the function itself, that function.

    Args:
        subscribe: Takes a subscriber and classes of events.
        given: What the decorator was given: classes of events, their names, or one function.

    Raises:
        BindingError: it is not a function of one event, or no event has that name.
    """
    if len(given) == 1 and callable(given[0]) and not isinstance(given[0], type):
        return listening(subscribe, ())(given[0])

    types = event_types(given)

    def decorate(function: Any) -> Any:
        subscribe(one_by_one(function), *types)
        return function

    return decorate


def one_by_one(function: Callable[[Any], Any]) -> Subscriber:
    """Make a subscriber of a plain or async function that takes one event.

    Raises:
        BindingError: it is a coroutine over a stream, or cannot be called with an event.
    """
    if _takes(function) == "stream":
        raise BindingError(
            f"{_called(function)} takes a stream, and a listener is called with one event at a "
            "time; give it to `runner.subscribe(...)`"
        )

    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise BindingError(f"{_called(function)} yields, so calling it with an event does nothing")

    async def subscriber(stream: EventStream) -> None:
        async for event in stream:
            answer = function(event)
            if answer is not None and inspect.isawaitable(answer):
                await answer

    subscriber.__module__ = getattr(function, "__module__", __name__)
    subscriber.__qualname__ = getattr(function, "__qualname__", type(function).__name__)
    return subscriber


def _takes(function: Any) -> Literal["event", "stream"] | None:
    """Return what a function wants to be called with; None where it does not say.

    Raises:
        BindingError: it cannot be called with one argument.
    """
    if not callable(function):
        raise BindingError(f"{function!r} cannot be called")

    try:
        signature = inspect.signature(function)
    except ValueError:  # some of those that are written in C do not tell
        return None

    try:
        signature.bind(None)
    except TypeError as error:
        said = f"{_called(function)} is called with one argument: {error}"
        raise BindingError(said) from None

    first = next(iter(signature.parameters.values()))
    written = first.annotation
    words = re.findall(r"\w+", written if isinstance(written, str) else f"{written!r}")
    kinds = {kind.__name__ for kind in _kinds(Event)}
    if EventStream.__name__ in words or first.name in _NAMES_OF_A_STREAM:
        return "stream"

    return "event" if kinds.intersection(words) or first.name in _NAMES_OF_AN_EVENT else None


def _called(function: Any) -> str:
    return repr(getattr(function, "__qualname__", type(function).__qualname__))
