"""A crew: the threads that make calls for one event loop.

Calls wait in one queue. A thread that takes one wakes another thread if more of them wait, and then
makes it. While a call blocks, the other thread takes the next: it holds up nobody. Where calls do
not block, the first thread has made all that waited before the other has its turn, and one wake-up
of the event loop tells of all of them.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import Context, copy_context
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

import anyio.from_thread
import anyio.lowlevel

from penstock._base.loop import call_soon_from_threads, running_loop
from penstock._base.memory import has_room_for_thread
from penstock._base.scopes import new_scope

__all__ = ["Crew", "ThreadCall", "not_of_a_person"]

Result = TypeVar("Result")

_IDLE_S = 1.0
"""How long a thread waits for another call before it ends."""

_PAUSE_S = 0.01


class Crew:
    """The threads that serve one event loop, and the calls that wait for them.

    It has no lock: each operation on a deque, a list or a flag is atomic, and the order of them is
    such that nothing is missed.
    """

    def __init__(self, most: float, name: str) -> None:
        self.loop = running_loop()
        self.token = anyio.lowlevel.current_token()
        self.idle: list[_Worker] = []
        self.workers: set[_Worker] = set()
        self.name = name
        self._most = most
        self._waiting: deque[ThreadCall[Any]] = deque()
        self._news: deque[Callable[[], None]] = deque()
        self._is_waking = False  # somebody was woken, and has not yet looked at what waits
        self._is_short = False  # there is no other thread to be had
        self._is_told = False  # the loop will look at the news
        self._call_soon = call_soon_from_threads()

    def begin(self, call: ThreadCall[Any]) -> None:
        """Have a thread make a call; in the event loop.

        Raises:
            RuntimeError: not one thread can be started.
        """
        self._waiting.append(call)
        if not self._is_waking and self._wake():
            return

        if not self.workers:
            self._waiting.remove(call)
            raise RuntimeError("the system starts no thread, or has no memory for one")

        if self._is_short:
            call.queue()

    def make_calls(self) -> None:
        """Make what calls wait; in a thread that was woken."""
        self._is_waking = False
        if self._news:  # of one that blocks now
            self._tell()

        while True:
            try:
                call = self._waiting.popleft()
            except IndexError:
                return

            call.is_taken = True
            if call.is_queueing:
                self._note(call.take_up)
                self._tell()

            self.let_go_on()
            call.make()
            self._note(call.end)
            del call
            if not (self._is_waking and self._waiting):  # else who was woken tells of it
                self._tell()

    def let_go_on(self) -> None:
        """Wake a thread if calls wait and nobody is about to take them."""
        if self._waiting and not self._is_waking:
            self._wake()

    def _wake(self) -> bool:
        """Wake a thread that has nothing to do, or another; return whether there is one."""
        try:
            worker = self.idle.pop()
        except IndexError:
            count = len(self.workers)
            try:
                if count >= self._most or (count and not has_room_for_thread()):
                    return self._fall_short()

                worker = _Worker(self)
            except (RuntimeError, MemoryError):
                return self._fall_short()

            self._is_short = False

        self._is_waking = True
        worker.bell.put(None)
        return True

    def _fall_short(self) -> bool:
        if not self._is_short:
            self._is_short = True
            self._call_soon(self._queue_all)

        return False

    def _queue_all(self) -> None:
        for call in self._waiting.copy():
            call.queue()

    def _note(self, news: Callable[[], None]) -> None:
        while True:
            try:
                return self._news.append(news)
            except MemoryError:  # whoever waits for the call must hear of it
                time.sleep(_PAUSE_S)

    def _tell(self) -> None:
        if not self._is_told:
            self._is_told = True
            self._call_soon(self._hear)

    def _hear(self) -> None:
        self._is_told = False
        while self._news:
            self._news.popleft()()


class _Worker:
    """A thread that makes calls when it is woken, and ends when it has been idle for a while."""

    def __init__(self, crew: Crew) -> None:
        self.bell: SimpleQueue[None] = SimpleQueue()
        self._crew = crew
        Thread(target=self._work, name=crew.name, daemon=True).start()
        crew.workers.add(self)

    def _work(self) -> None:
        crew = self._crew
        while True:
            try:
                self.bell.get(timeout=_IDLE_S)
            except Empty:
                with suppress(ValueError):  # somebody has just taken it, to wake it
                    crew.idle.remove(self)
                    crew.workers.discard(self)
                    return

                continue

            crew.make_calls()
            crew.idle.append(self)
            crew.let_go_on()  # with what came before it was known to be idle


class ThreadCall(Generic[Result]):
    """A call in a thread, and what becomes of it.

    Attributes:
        scope: What is asked by `anyio.from_thread.check_cancelled` in the thread.
        is_taken: Whether a thread has it.
        is_queueing: Whether it waits for a thread, as there can be no more of them.
    """

    def __init__(
        self,
        function: Callable[[], Result],
        crew: Crew,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.scope = new_scope()
        self.is_taken = self.is_queueing = False
        self._function = function
        self._crew = crew
        self._context = _context_of_thread()
        self._waiting = waiting
        self._queueing: AbstractContextManager[None] | None = None
        self._is_abandoned = self._is_over = False
        self._waiter: Any = None
        self._returned: list[Result] = []
        self._raised: BaseException | None = None

    def make(self) -> None:
        """Make the call; in the thread."""
        if self._is_abandoned:
            return

        # What anyio's own worker threads set. Without it anyio.from_thread asks for a token.
        known_to_anyio = vars(anyio.from_thread).get("threadlocals")
        if known_to_anyio is not None:
            known_to_anyio.current_token = self._crew.token
            known_to_anyio.current_cancel_scope = self.scope

        try:
            self._returned.append(self._context.run(self._function))
        except BaseException as error:  # noqa: BLE001 - raised where the call was made
            self._raised = not_of_a_person(error)

    def queue(self) -> None:
        """Note that it waits until a thread is free; in the event loop, as all that follows."""
        if not self.is_queueing:
            self._queueing = self._waiting()
            self._queueing.__enter__()
            self.is_queueing = True
            if self.is_taken:  # meanwhile, and nobody has told
                self.take_up()

    def take_up(self) -> None:
        """Note that a thread has it."""
        if self._queueing is not None:
            self._queueing.__exit__(None, None, None)
            self._queueing = None

    def end(self) -> None:
        """Let whoever waits for its end go on."""
        self._is_over = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def over(self) -> None:
        """Wait until it has ended; whoever is interrupted may wait again."""
        while not self._is_over:
            self._waiter = self._crew.loop.create_future()
            await self._waiter

    def abandon(self) -> None:
        """Leave the thread behind, which may ask whether it was."""
        self._is_abandoned = True
        self.take_up()
        self.scope.cancel()

    def outcome(self) -> Result:
        """Return or raise what the function did."""
        if self._raised is None:
            return self._returned.pop()

        try:
            raise self._raised
        finally:
            self._raised = None  # else the error and this frame would hold each other


def _context_of_thread() -> Context:
    context = copy_context()
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None:  # no event loop runs in the thread, so one may be started there
        context.run(sniffio.current_async_library_cvar.set, None)

    return context


def not_of_a_person(error: BaseException) -> BaseException:
    """Mark what was raised in another thread or process: no Ctrl-C of a person arrives there."""
    if isinstance(error, KeyboardInterrupt):
        vars(error)["is_of_a_person"] = False

    return error
