"""How code hears a study: subscribers, listeners, and those who watch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, overload

from penstock._base.logger import logger
from penstock.agents.context import RunContext
from penstock.errors import BindingError, PenstockError
from penstock.events.announcer import Announcer
from penstock.events.bus import EventBus, EventStream, Subscriber
from penstock.events.listening import event_types, listening, subscription_of
from penstock.events.subscribing import Subscription
from penstock.events.tree import Event
from penstock.study.model import Study
from penstock.subscribers.durable import delivered

__all__ = ["Hooks"]

Function = TypeVar("Function", bound=Callable[[Any], Any])


class Hooks:
    """The bus of one study, and who subscribes to it before it begins.

    Args:
        study: The study.
        output_dir: Where its store is, or will be.
    """

    def __init__(self, study: Study, output_dir: Path) -> None:
        self.study = study
        self.output_dir = output_dir
        self.bus = EventBus()
        self._announce = Announcer(self.bus, study.study_id)
        self._subscriptions: list[Subscription] = []
        self._durable_names: set[str] = set()
        self._before_attempts: list[Callable[[RunContext], None]] = []
        self.has_begun = False

    def subscribe(
        self,
        subscriber: Subscriber,
        *types: type[Event] | str,
        critical: bool = False,
        durable: str | None = None,
    ) -> None:
        """Subscribe to the study: every event, in order; the study waits for the subscriber.

        Args:
            subscriber: A coroutine function over a stream of events.
            types: Classes of events, or their names; all, without any.
            critical: Whether the study stops, and `run` raises, when the subscriber fails.
            durable: A name under which the study keeps how far the subscriber has come. It hears
                what is saved, each event at least once and in order, whoever is killed in
                between: asking for the next event says that it has done with the one before. One
                that fails is called again from there; the study waits for it at its end for ten
                seconds, and the next session, or ``penstock deliver``, goes on from its place.

        Raises:
            BindingError: it is a function of one event, no event has that name, or such events
                are not kept; or two subscribers are durable under one name.
        """
        if self.has_begun:
            raise PenstockError("the study has begun; subscribe before it, or use watch()")

        subscription = subscription_of(subscriber, types, critical=critical)
        if durable is not None:
            if durable in self._durable_names:
                raise BindingError(
                    f"two subscribers are durable as {durable!r}; give each its own name"
                )

            self._durable_names.add(durable)
            subscription = delivered(subscription, durable, self.output_dir, self._announce)

        self._subscriptions.append(subscription)

    @overload
    def on(self, function: Function, /) -> Function: ...
    @overload
    def on(
        self, *types: type[Event] | str, durable: str | None = None
    ) -> Callable[[Function], Function]: ...
    def on(self, *types: Any, durable: str | None = None) -> Any:
        """Decorate a plain or async function that takes one event: ``@runner.on(RunFailed)``.

        Classes are given as such or by name; without any, and without parentheses, all are meant.

        Args:
            types: Classes of events, or their names.
            durable: As for `subscribe`: an event is done with when the function returns.

        Raises:
            BindingError: it is a coroutine over a stream, or no event has that name.
        """
        return listening(partial(self.subscribe, durable=durable), types)

    def before_attempts(self, function: Callable[[RunContext], None]) -> None:
        """Have a function called at the beginning of each attempt, in the attempt's own task.

        What it sets of context variables is seen by the agent and by its evaluators. It is called
        for attempts that this process makes, and must return at once. One that raises is logged.

        Args:
            function: Called with the attempt.
        """
        if self.has_begun:
            raise PenstockError("the study has begun; call before_attempts() before run()")

        self._before_attempts.append(function)

    def _enter(self, ctx: RunContext) -> None:
        for function in self._before_attempts:
            try:
                function(ctx)
            except Exception as error:  # noqa: BLE001 - the attempt is made all the same
                said = f"{type(error).__name__}: {error}"
                logger().warning("attempt.not_entered", run_id=ctx.spec.run_id, error=said)

    def watch(
        self, *types: type[Event] | str, size: int = 1024
    ) -> AbstractContextManager[EventStream]:
        """Read events from now on without holding the study up: ``with runner.watch() as stream``.

        Args:
            types: Classes of events, or their names; all, without any.
            size: How many unread events are kept; the oldest are dropped and counted.
        """
        return self.bus.open(*event_types(types), size=size, lossy=True, name="watch")
