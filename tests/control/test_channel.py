"""A study that is looked at and acted on through its socket, by clients of every kind."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import structlog.testing
from anyio.abc import SocketStream

import penstock as ps
from penstock.control import channel
from penstock.control.address import peer_uid, read_address
from penstock.control.connection import (
    Client,
    LostStudyError,
    UnreachableStudyError,
    connect,
)
from penstock.control.controlled import Requests
from penstock.control.protocol import LONGEST, Request, Snapshot, line
from penstock.errors import ValidationError
from penstock.store.actions import actions
from penstock.store.files.ownership import CONTROL
from penstock.store.reader import StoreReader
from tests.builders import make_study
from tests.control.running import Running
from tests.silent_clients import silent_clients

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def listening(results: Path, **options: Any) -> AsyncIterator[Running]:
    """A study that runs and listens."""
    study = Running(results, control=True, **options)
    async with study.running():
        with anyio.fail_after(30):
            while read_address(results) is None:
                await anyio.lowlevel.checkpoint()

        yield study


@asynccontextmanager
async def raw(results: Path) -> AsyncIterator[SocketStream]:
    address = read_address(results)
    assert address is not None
    async with await anyio.connect_unix(results / address.socket) as stream:
        yield stream


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[SocketStream, SocketStream]]:
    """Two ends of a connection."""
    first, second = socket.socketpair()
    here, there = await SocketStream.from_socket(first), await SocketStream.from_socket(second)
    async with here, there:
        yield here, there


async def lines(stream: SocketStream, count: int) -> list[dict[str, Any]]:
    text = b""
    with anyio.fail_after(30):
        while text.count(b"\n") < count:
            text += await stream.receive()

    return [json.loads(each) for each in text.splitlines()]


async def test_only_the_user_of_the_study_can_reach_its_socket_which_goes_with_it(
    results: Path,
) -> None:
    async with listening(results):
        folder = results / CONTROL
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "socket").stat().st_mode) == 0o600
        async with raw(results) as stream:
            assert peer_uid(stream.extra(anyio.abc.SocketAttribute.raw_socket)) in (
                None,
                os.geteuid(),
            )

    assert not folder.exists()


async def test_a_client_sees_where_the_study_stands_and_the_version_comes_first(
    results: Path,
) -> None:
    async with listening(results) as study, raw(results) as stream:
        await stream.send(line(Request(do="snapshot")))
        hello, reply = await lines(stream, 2)

        assert next(iter(hello)) == "penstock"
        assert (hello["penstock"], hello["study_id"], hello["pid"]) == (1, "tested", os.getpid())
        snapshot = reply["snapshot"]
        assert snapshot["summary"]["in_flight"] == 2
        assert snapshot["settings"]["execution.concurrency"] == 2
        assert not snapshot["is_paused"]
        assert study.runner.summary.planned == 16


async def test_each_request_does_what_it_says_and_is_kept_with_who_and_why(results: Path) -> None:
    async with listening(results) as study, connect(results) as client:
        said = {"who": "ada", "reason": "to see"}
        assert (await client.ask("pause", **said)).is_paused
        assert not (await client.ask("resume", **said)).is_paused
        values = {"execution.concurrency": 3}
        assert (await client.ask("set", values=values, **said)).limit == 3
        with pytest.raises(ValidationError, match="cannot be set while a study runs"):
            await client.ask("set", values={"replicates": 3}, **said)

        with pytest.raises(ValidationError, match="say why"):
            await client.ask("unblind", who="ada")

        assert (await client.ask("unblind", **said)).limit == 3  # nothing is withheld
        stopped = await client.ask("stop", now=True, **said)
        assert stopped.summary.stopped_because == "stopped by ada: to see"

    with StoreReader(results) as store:
        assert [(each.who, each.what, each.reason) for each in actions(store)] == [
            ("ada", each, "to see")
            for each in ("pause", "resume", "set execution.concurrency", "stop now")
        ]

    assert study.runner.summary.succeeded == 0


async def test_whoever_watches_gets_a_snapshot_then_what_changes_and_then_the_end(
    results: Path,
) -> None:
    seen = []
    async with listening(results) as study, connect(results) as client:
        async for snapshot in client.watch():
            seen.append(snapshot)
            if len(seen) == 1:
                await study.runner.steering.pause(who="ada")
            elif len(seen) == 2:
                study.let_go.set()
                await study.runner.steering.resume(who="ada")

    assert not seen[0].is_paused
    assert seen[1].is_paused
    assert seen[1].summary == seen[0].summary
    assert seen[-1].summary.succeeded == 16


async def test_changes_are_said_only_where_something_has_changed(results: Path) -> None:
    study = Running(results)
    async with study.running() as runner, pair() as (ours, theirs):
        quick = channel.Channel(runner, every_s=0.001)
        client, seen = Client(theirs), []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(quick.serve, ours)
            await client.hear_hello()
            async for snapshot in client.watch():
                seen.append(snapshot)
                if len(seen) == 1:
                    for _ in range(20):
                        await anyio.sleep(0.001)

                    await quick.say_end()

            tasks.cancel_scope.cancel()

    assert len(seen) == 2  # the second one is the end


GARBAGE = {
    "text": b"hello?\n",
    "no object": b"[1, 2]\n",
    "another thing to do": b'{"do": "format the disk"}\n',
    "an unknown field": b'{"do": "pause", "when": "later"}\n',
    "a reason without end": b'{"do": "pause", "reason": "' + b"x" * 3000 + b'"}\n',
    "bytes": b"\xff\xfe\x00\n",
}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_is_answered_with_what_is_wrong_and_left(results: Path, sent: bytes) -> None:
    async with listening(results) as study:
        async with raw(results) as stream:
            await stream.send(sent)
            _, reply = await lines(stream, 2)
            assert len(reply["errors"]) > 1
            assert reply["errors"][-1].endswith("speaks protocol 1")
            assert reply["snapshot"] is None
            with pytest.raises(anyio.EndOfStream), anyio.fail_after(30):
                await stream.receive()

        assert not study.runner.steering.is_paused

    assert study.runner.summary.succeeded == 16


async def test_clients_that_are_silent_flood_or_die_in_the_midst_of_a_line_cost_the_study_nothing(
    results: Path,
) -> None:
    async with listening(results) as study, anyio.create_task_group() as tasks:
        silent = [await tasks.start(held, results) for _ in range(4)]
        async with raw(results) as dying:
            await dying.send(b'{"do": "pau')

        with pytest.raises(anyio.BrokenResourceError):
            await flood(results)

        async with raw(results) as deaf:  # it watches, and reads nothing
            await deaf.send(line(Request(do="watch")))
            async with connect(results) as client:
                assert (await client.ask("snapshot")).summary.in_flight == 2

            study.let_go.set()

        for scope in silent:
            scope.cancel()

    assert study.runner.summary.succeeded == 16


async def flood(results: Path) -> None:
    async with raw(results) as stream:
        for _ in range(64):
            await stream.send(b"x" * LONGEST)


async def held(results: Path, *, task_status: anyio.abc.TaskStatus[anyio.CancelScope]) -> None:
    with anyio.CancelScope() as scope:
        async with raw(results) as stream:
            task_status.started(scope)
            await anyio.sleep_forever()
            await stream.receive()


async def test_one_client_too_many_takes_the_place_of_the_one_silent_longest_and_of_no_watcher(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "_MOST_CLIENTS", 3)
    async with (
        listening(results),
        connect(results) as first,
        connect(results) as second,
        raw(results) as watcher,
    ):
        await watcher.send(line(Request(do="watch")))
        await lines(watcher, 2)
        assert (await first.ask("snapshot")).limit == 2  # the second is silent for longer now
        async with connect(results) as third:
            with pytest.raises(LostStudyError):
                await second.ask("snapshot")

            assert (await third.ask("snapshot")).limit == 2
            await first.ask("set", values={"execution.concurrency": 3})
            changed: dict[str, Any] = {}
            while changed.get("limit") != 3:
                for each in await lines(watcher, 1):
                    changed |= each["changed"]


async def test_where_all_watch_nobody_else_is_answered(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "_MOST_CLIENTS", 1)
    async with listening(results), raw(results) as watcher:
        await watcher.send(line(Request(do="watch")))
        await lines(watcher, 2)
        async with raw(results) as second:
            with pytest.raises(anyio.EndOfStream), anyio.fail_after(30):
                await second.receive()


async def test_a_client_that_asks_for_nothing_is_left_in_the_end(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "_IDLE_S", 0.05)
    async with listening(results), raw(results) as client:
        await lines(client, 1)
        with pytest.raises(anyio.EndOfStream), anyio.fail_after(30):
            await client.receive()


async def test_thousands_of_clients_that_say_nothing_keep_nobody_from_steering(
    results: Path,
) -> None:
    async with listening(results) as study:
        place = results / CONTROL / "socket"
        with silent_clients(place) as said:
            assert await anyio.to_thread.run_sync(said.readline) == "connected\n"
            async with connect(results) as client:
                assert (await client.ask("snapshot")).limit == 2
                study.let_go.set()

            with anyio.fail_after(240):
                while study.runner.summary.succeeded < 16:
                    await anyio.lowlevel.checkpoint()

            assert await anyio.to_thread.run_sync(said.readline) == "left\n"


async def test_another_users_process_is_not_answered(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "peer_uid", lambda _: os.geteuid() + 1)
    async with listening(results), raw(results) as stream:
        with pytest.raises(anyio.EndOfStream), anyio.fail_after(30):
            await stream.receive()


async def test_a_process_of_another_user_is_not_believed_to_run_the_study(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(results):
        monkeypatch.setattr("penstock.control.connection.peer_uid", lambda _: os.geteuid() + 1)
        with pytest.raises(UnreachableStudyError, match="does not answer"):
            async with connect(results):
                pass


CONNECT_AS_NOBODY = """
import os, socket, sys

os.setgroups([])
os.setgid(65534)
os.setuid(65534)
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
except PermissionError:
    sys.exit(7)
"""


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be somebody else"
)
async def test_another_user_cannot_even_connect(results: Path) -> None:
    async with listening(results):
        place = results / CONTROL / "socket"
        command = [sys.executable, "-ISc", CONNECT_AS_NOBODY, str(place)]
        done = await anyio.run_process(command, check=False)

    assert done.returncode == 7, done.stderr


async def test_a_socket_that_cannot_be_made_is_a_warning_and_the_study_goes_on(
    results: Path,
) -> None:
    await anyio.Path(results).mkdir()
    await anyio.Path(results / CONTROL).touch()
    study = Running(results, control=True)
    study.let_go.set()
    with structlog.testing.capture_logs() as logs:
        await study.runner.run()

    assert study.runner.summary.succeeded == 16
    assert [each["event"] for each in logs if each["log_level"] == "warning"] == [
        "control.unavailable"
    ]


async def test_a_path_that_is_too_long_for_a_socket_leads_to_one_elsewhere(
    results: Path, tmp_path: Path
) -> None:
    long = tmp_path / ("a-long-name-" * 8) / "results"
    async with listening(long):
        address = read_address(long)
        assert address is not None
        place = Path(address.socket)
        assert place.parent.parent == results.parent  # $XDG_RUNTIME_DIR
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
        async with connect(long) as client:
            assert (await client.ask("snapshot")).limit == 2

    assert not place.parent.exists()


async def test_a_process_that_goes_without_a_word_is_noticed() -> None:
    async with pair() as (ours, theirs):
        await theirs.aclose()

        with pytest.raises(LostStudyError):
            await Client(ours).ask("snapshot")


def test_who_runs_a_study_in_a_process_of_its_own_lets_it_be_reached(results: Path) -> None:
    seen: list[bool] = []

    async def agent(ctx: ps.RunContext) -> str:
        with anyio.fail_after(30):
            while read_address(results) is None:
                await anyio.lowlevel.checkpoint()

        seen.append(True)
        return "42"

    async def unreached(ctx: ps.RunContext) -> str:
        seen.append(read_address(results) is not None)
        return "42"

    said: dict[str, Any] = {"output_dir": results, "show_progress": False, "report": False}
    ps.run_study(make_study(), agent_bindings={"agent-a": agent}, **said)
    assert seen == [True, True]

    seen.clear()
    said |= {"fresh": True, "control": False}
    ps.run_study(make_study(), agent_bindings={"agent-a": unreached}, **said)
    assert seen == [False, False]


async def test_a_snapshot_says_where_the_gates_before_endpoints_stand(results: Path) -> None:
    seen: list[Snapshot] = []

    async def agent(ctx: ps.RunContext) -> str:
        seen.append(watching.snapshot())
        return (await ctx.model("small").chat("How much is 1 and 1?")).text

    small = {"provider": "simulated", "simulator": {"latency_s": 0.0}}
    study = make_study(
        models={"small": {**small, "model": "m", "limits": {"max_in_flight": 3}}}, replicates=2
    )
    runner = ps.StudyRunner(study, agent_bindings={"agent-a": agent}, output_dir=results)
    watching = Requests(runner)
    assert watching.snapshot().endpoints == ()
    await runner.run()

    (gate,) = seen[0].endpoints
    assert (gate.in_flight, gate.limit, gate.waiting) == (0, 3, 0)
    assert gate.name
    assert Snapshot.model_validate_json(seen[0].model_dump_json()) == seen[0]
