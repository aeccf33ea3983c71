"""Who is there of a cluster, though its scheduler is away for a while, or for good."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from penstock.engines.dask_members import Members

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


class Scheduled:
    """What a client of Dask tells, where nothing is behind it."""

    def __init__(self, *workers: str) -> None:
        self.status = "running"
        self.workers = set(workers)
        self.taught = 0
        self.scheduler: Any = SimpleNamespace(address="tls://there:1", identity=self.identity)

    async def identity(self) -> dict[str, Any]:
        return {"workers": dict.fromkeys(self.workers)}

    async def register_plugin(self, plugin: Any) -> None:
        assert plugin.idempotent  # or what workers make would be cancelled
        self.taught += 1

    def subscribe_topic(self, _: str, hear: Any) -> None:
        self.hear = hear


async def test_workers_that_came_and_went_while_the_scheduler_was_away_are_found() -> None:
    client, said = Scheduled("one", "two"), list[tuple[str, Any]]()
    members = Members(
        client,
        lambda address: said.append(("came", address)),
        lambda address: said.append(("gone", address)),
        lambda error: said.append(("failed", str(error))),
    )
    await members.begin()
    assert sorted(said) == [("came", "one"), ("came", "two")]

    said.clear()
    client.hear((0.0, {"action": "add-worker", "worker": "three"}))
    client.hear((0.0, {"action": "add-worker", "worker": "three"}))
    client.hear((0.0, {"action": "remove-worker", "worker": "one"}))
    assert said == [("came", "three"), ("gone", "one")]

    said.clear()
    client.status, client.workers = "connecting", {"three", "four"}
    await anyio.sleep(2)
    client.status = "running"
    await anyio.sleep(2)
    assert (sorted(said), client.taught) == ([("came", "four"), ("gone", "two")], 2)

    said.clear()
    client.status, client.scheduler = "closed", None  # as Dask leaves it
    await anyio.sleep(2)
    assert said == [("failed", "the scheduler at tls://there:1 is gone")]
    members.close()
