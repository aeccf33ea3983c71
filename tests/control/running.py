"""A study whose runs wait until a test lets them go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

import penstock as ps
from penstock.events import ActionTaken, RunsSaved
from tests.builders import make_study


class Running:
    """A study whose runs wait to be let go, and what was said and done of it."""

    def __init__(self, directory: Path, *, free: int = 0, **options: Any) -> None:
        fields = options.pop("fields", {})
        self.let_go = anyio.Event()
        self.free = free
        self.begun = 0
        self.woken = anyio.Event()
        self.said: list[ActionTaken] = []
        self.runner = ps.StudyRunner(
            make_study(replicates=8, **fields),
            agent_bindings={"agent-a": self.agent},
            output_dir=directory,
            show_progress=False,
            **{"concurrency": 2, **options},
        )
        self.runner.on(ActionTaken)(self.said.append)
        self.is_saved = anyio.Event()
        self.runner.on(RunsSaved)(lambda _: self.is_saved.set())

    async def agent(self, ctx: ps.RunContext) -> str:
        self.begun += 1
        self.woken.set()
        if self.begun > self.free:
            await self.let_go.wait()

        return "42"

    async def have_begun(self, count: int) -> None:
        with anyio.fail_after(30):
            while self.begun < count:
                self.woken = anyio.Event()
                await self.woken.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ps.StudyRunner]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.runner.run)
            await self.have_begun(self.free + self.runner.concurrency)
            yield self.runner
            self.let_go.set()
