"""Who is there of a cluster, though its scheduler or a worker is away for a while, or for good."""

from __future__ import annotations

from time import time
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
import structlog
from distributed.client import ClosedClientError

from penstock.engines.boot import Boot
from penstock.engines.dask import DaskEngine
from penstock.engines.dask_members import Members
from penstock.engines.engine import Batch, Joined, Lost
from penstock.engines.messages import Ended, written
from penstock.engines.roster import Roster
from penstock.errors import EngineError

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

    def unsubscribe_topic(self, topic: str) -> None:
        assert topic == "all"
        if self.status == "closed":
            raise ClosedClientError

        del self.hear


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


async def test_a_scheduler_that_stays_hears_that_nobody_listens_to_it_any_more() -> None:
    client = Scheduled("one")
    members = Members(client, *[lambda _: None] * 3)
    await members.begin()
    members.close()
    assert not hasattr(client, "hear")  # else it logs that


class Silent:
    """A worker that answers nothing for a while, and has made a run meanwhile."""

    def __init__(self, late: bytes) -> None:
        self.is_silent = False
        self.booted = self.left = 0
        self.late = late

    def __call__(self, _: str) -> Silent:
        return self

    async def penstock_boot(self, **_: Any) -> dict[str, Any]:
        self.booted += 1
        return {"capacity": 5, "refusal": ""}

    async def penstock_poll(self, *, after: int, hold_s: float, **_: Any) -> list[Any]:
        if self.is_silent:
            await anyio.sleep_forever()

        if self.booted == 1 and after == 0 and hold_s < 5:
            return [(1, self.late)]

        await anyio.sleep(hold_s)
        return []

    async def penstock_leave(self, **_: Any) -> None:
        self.left += 1


class OfAnotherTime(Silent):
    """A worker whose clock is an hour behind."""

    async def penstock_boot(self, **of: Any) -> dict[str, Any]:
        return {**await super().penstock_boot(**of), "now": time() - 3600}


async def test_a_worker_whose_clock_differs_is_told_of() -> None:
    engine = engine_of(OfAnotherTime(b""))
    joined = await anext(engine.incoming())
    engine._attending["worker-1"].task.cancel()
    engine._arrivals.close()
    engine._arrived.close()
    with structlog.testing.capture_logs() as logs:
        Roster(print).join(Joined("worker-0", 5))
        Roster(print).join(joined)

    warned = [(log["worker"], log["ahead_s"]) for log in logs if log["log_level"] == "warning"]
    assert warned == [("worker-1", -3600)]


class OfAnotherVersion(Silent):
    """A worker whose code is not ours, and does not know what it is told."""

    async def penstock_boot(self, **_: Any) -> dict[str, Any]:
        raise ValueError("extra fields not permitted")


def engine_of(worker: Silent) -> Any:
    engine: Any = DaskEngine("tls://there:1")
    engine._boot = Boot(study="{}", base_dir=None, study_file=None, fingerprint="")
    engine._pool = worker
    engine._arrivals, engine._arrived = anyio.create_memory_object_stream[Any](10)
    engine._greet("tls://worker:1")
    return engine


async def test_a_worker_that_does_not_understand_is_refused_with_what_it_says() -> None:
    engine = engine_of(OfAnotherVersion(b""))
    assert await anext(engine.incoming()) == Joined("worker-1", 0, "extra fields not permitted")
    engine._arrivals.close()
    engine._arrived.close()


class WithoutPenstock(Scheduled):
    """A cluster one of whose workers cannot import what it is taught."""

    async def register_plugin(self, plugin: Any) -> None:
        raise Exception("ModuleNotFoundError(\"No module named 'penstock'\")")


async def test_a_cluster_whose_workers_lack_penstock_is_an_error_that_says_so() -> None:
    members = Members(WithoutPenstock("one"), *[lambda _: None] * 3)
    with pytest.raises(EngineError, match=r"No module named 'penstock'.*install penstock\[dask\]"):
        await members.begin()


async def test_a_worker_that_was_silent_is_heard_again_and_joins_under_another_name() -> None:
    ended = Ended(lease=1, run_id="r", result={"attempt": 1})
    worker = Silent(written([ended]))
    engine = engine_of(worker)
    arrivals = engine.incoming()
    assert await anext(arrivals) == Joined("worker-1", 5)
    worker.is_silent = True
    assert await anext(arrivals) == Lost("worker-1", "it did not answer in time", may_live=True)
    worker.is_silent = False
    assert await anext(arrivals) == Batch("worker-1", 1, [ended])
    assert await anext(arrivals) == Joined("worker-2", 5)
    assert (worker.left, worker.booted) == (1, 2)
    for task in (engine._attending["worker-2"].task, *engine._heard_again):
        task.cancel()

    engine._arrivals.close()
    engine._arrived.close()
