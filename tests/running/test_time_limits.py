"""The time that a session may take."""

from __future__ import annotations

import anyio
import pytest

from penstock.running.time_limits import Deadline
from penstock.study.settings import Settings
from penstock.study.spending import Budget

pytestmark = pytest.mark.anyio


def allowing(seconds: float | None) -> Settings:
    return Settings(budget=Budget(max_duration_s=seconds))


async def test_a_session_ends_when_its_time_is_over_also_where_that_was_set_late() -> None:
    ended = anyio.Event()

    with Deadline(lambda _: ended.set()) as deadline:
        deadline.follow(allowing(1000.0))
        deadline.follow(allowing(0.001))
        with anyio.fail_after(10):
            await ended.wait()


async def test_a_limit_that_is_lifted_ends_nothing() -> None:
    said: list[str] = []

    with Deadline(said.append) as deadline:
        deadline.follow(allowing(1e-9))
        deadline.follow(allowing(None))
        await anyio.sleep(0.001)

    assert not said
