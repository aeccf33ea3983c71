"""What can be done to a study while it runs: hold it, let it go on, slow it, end it, look.

An action takes effect at once. Then it is kept in the store, and said on the bus; of a study that
has not begun, when it begins.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import anyio

from penstock._base.threads import call_in_thread
from penstock.errors import PenstockError, StoreError
from penstock.events.tree import ActionTaken
from penstock.store.actions import (
    SET,
    STOP_FOR_GOOD,
    UNBLIND,
    keep_action,
    made_action,
    statements_of,
)
from penstock.store.transaction import Statement
from penstock.store.unblinding import unblind
from penstock.study.model import Study
from penstock.study.settings import Settings
from penstock.summary import StudySummary

__all__ = ["Steered", "Steering"]

Write: TypeAlias = Callable[[Sequence[Statement]], Awaitable[None]]
"""Executes statements in one transaction of the store."""


class Steered(Protocol):
    """A study that runs: a `StudyRunner`."""

    study: Study
    output_dir: Path
    concurrency: int

    @property
    def summary(self) -> StudySummary:
        """Where the study stands."""
        ...

    def stop(self, reason: str) -> None:
        """Start nothing new; what is in flight ends."""
        ...

    def cancel(self, reason: str) -> None:
        """Stop, and cancel what is in flight."""
        ...

    def recall(self) -> None:
        """Cancel what is in flight, to be made again."""
        ...


class Steering:
    """Acts on one study while it runs; each action has a name and a reason.

    Args:
        runner: The study.
        settings: How it begins.
        announce: Says `ActionTaken`.

    Attributes:
        settings: How the study is carried out now.
        is_stopped: Whether somebody has stopped the study this way.
    """

    def __init__(self, runner: Steered, settings: Settings, announce: Callable[..., None]) -> None:
        self.settings = settings
        self.is_stopped = False
        self._runner = runner
        self._announce = announce
        self._go_on: anyio.Event | None = None
        self._followers: list[Callable[[Settings], None]] = []
        self._early: list[Mapping[str, Any]] | None = []
        self._write: Write | None = None

    async def begin(self, write: Write) -> None:
        """Keep what was done already, and what is done from now on, through the runner's store.

        Raises:
            StoreError: it cannot be kept.
        """
        self._write = write
        early, self._early = self._early or (), None
        for said in early:
            await self._keep(**said)

    def end(self) -> None:
        """Keep what is done from now on without the runner's store, which is closed."""
        self._early, self._write = None, None

    @property
    def is_paused(self) -> bool:
        """Whether no run is started until somebody resumes."""
        return self._go_on is not None

    def gate(self) -> Awaitable[None] | None:
        """Return what the next run must wait for: the end of a pause, or None."""
        return None if self._go_on is None else self._go_on.wait()

    def follow(self, act: Callable[[Settings], None]) -> None:
        """Call a function with the settings, at once and whenever they are set."""
        self._followers.append(act)
        act(self.settings)

    def note_concurrency(self, limit: int) -> None:
        """Record how many runs may be in flight now: the host has set it."""
        execution = self.settings.execution.model_copy(update={"concurrency": limit})
        self.settings = self.settings._replace(execution=execution)

    async def pause(self, *, who: str, reason: str = "", now: bool = False) -> None:
        """Start no run, and try none again, until `resume`; what is in flight ends.

        Args:
            who: Who does it.
            reason: Why, in their words.
            now: Whether runs in flight are cancelled; they are made again after the pause. A study
                that is paused can be paused again so.

        Raises:
            StoreError: it is done, and cannot be kept.
        """
        is_news = self._go_on is None
        if self._go_on is None:
            self._go_on = anyio.Event()

        if now:
            self._runner.recall()

        if is_news or now:
            await self._keep("pause now" if now else "pause", who, reason)

    async def resume(self, *, who: str, reason: str = "") -> None:
        """Resume after a pause.

        Args:
            who: Who does it.
            reason: Why, in their words.

        Raises:
            StoreError: it is done, and cannot be kept.
        """
        if self._go_on is not None:
            self._go_on.set()
            self._go_on = None
            await self._keep("resume", who, reason)

    async def stop(
        self, *, who: str, reason: str = "", now: bool = False, for_good: bool = False
    ) -> None:
        """End the session: start nothing more, save and export.

        Args:
            who: Who does it.
            reason: Why, in their words.
            now: Whether runs in flight are cancelled; a later session makes them again.
            for_good: Whether nobody means to make the runs that are left: what conditions came
                to is shown from now on.

        Raises:
            StoreError: it is done, and cannot be kept.
        """
        self.is_stopped = True
        said = f"stopped by {who or 'somebody'}" + (f": {reason}" if reason else "")
        (self._runner.cancel if now else self._runner.stop)(said)
        if now or not for_good:
            await self._keep("stop now" if now else "stop", who, reason)

        if for_good:
            await self._keep(STOP_FOR_GOOD, who, reason)

    async def set(self, values: Mapping[str, Any], *, who: str, reason: str = "") -> None:
        """Set how the study is carried out from now on, and what it may spend, in this session.

        Args:
            values: Name in the study file (one of `penstock.study.settings.SETTABLE`) -> value.
            who: Who does it.
            reason: Why, in their words.

        Raises:
            ValidationError: everything that cannot be set, or not so; then nothing is.
            StoreError: it is done, and cannot be kept.
        """
        before = self.settings
        self.settings = before.changed(values, self._runner.study.budget)
        if "execution.concurrency" in values:
            self._runner.concurrency = values["execution.concurrency"]

        for act in self._followers:
            act(self.settings)

        for name in values:
            old, new = before.value(name), self.settings.value(name)
            if old != new:
                await self._keep(f"{SET} {name}", who, reason, old=old, new=new)

    async def unblind(self, *, who: str, reason: str) -> bool:
        """Show what conditions came to, although runs are left; return whether it was withheld.

        Args:
            who: Who looks.
            reason: Why, in their words.

        Raises:
            PenstockError: no reason is given.
            StoreError: it cannot be kept, so nothing is shown.
        """
        is_shown = partial(unblind, self._runner.output_dir, reason, who=who)
        if await call_in_thread(is_shown) is None:
            return False

        self._announce(ActionTaken, who=who, what=UNBLIND, reason=reason)
        return True

    async def _keep(
        self, what: str, who: str, reason: str, *, old: Any = None, new: Any = None
    ) -> None:
        said = {"who": who, "what": what, "reason": reason, "old": old, "new": new}
        if self._early is not None:
            self._early.append(said)
            return

        try:
            await self._save(said)
        except PenstockError as error:
            raise StoreError(f"{what}: it is done, and could not be kept: {error}") from error
        finally:
            self._announce(ActionTaken, **said)

    async def _save(self, said: Mapping[str, Any]) -> None:
        if self._write is None:  # the session has ended
            await call_in_thread(partial(keep_action, self._runner.output_dir, **said))
            return

        now = self._runner.summary
        action = made_action(**said, ended=now.done, planned=now.planned)
        await self._write(statements_of(action))
