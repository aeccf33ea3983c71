"""Gates of one endpoint that several studies of a process share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog
from aiohttp import web
from structlog.testing import capture_logs

import penstock as ps
from penstock.errors import PenstockError
from penstock.events import LimitChanged
from penstock.models.gate.gate import Gate
from penstock.models.gate.shared import Account
from penstock.study.spending import EndpointLimits
from tests.models.loopback import answers, http_server
from tests.models.simulated_clock import SimulatedClock, settled
from tests.models.studies import chat, chat_study

pytestmark = [pytest.mark.anyio, pytest.mark.field("studies-N16")]

ACCOUNT = Account("http://127.0.0.1:9/v1", None)


@pytest.fixture(autouse=True)
def structlog_as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()


class Counting:
    """Answers when as many calls are there as may be, and knows how many there were at most."""

    def __init__(self, expected: int) -> None:
        self.most = self._now = 0
        self._expected = expected
        self._are_there = anyio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self._now += 1
        self.most = max(self.most, self._now)
        if self._now == self._expected:
            self._are_there.set()

        await self._are_there.wait()
        await settled()
        self._now -= 1
        return await answers()(request)


async def run_two(tmp_path: Path, url: str, *limits: int, **options: Any) -> list[Any]:
    """Run a study for each limit of calls in flight, at once; give what is logged."""
    with capture_logs() as logs:
        async with anyio.create_task_group() as group:
            for number, most in enumerate(limits):
                study = chat_study(
                    tmp_path,
                    chat(url),
                    study_id=f"study-{number}",
                    output_dir=f"results-{number}",
                    replicates=8,
                    limits={url: {"max_in_flight": most}},
                )
                group.start_soon(ps.StudyRunner(study, concurrency=16, **options).run)

    return logs


async def test_studies_that_share_their_endpoints_keep_to_their_limit_together(
    tmp_path: Path,
) -> None:
    provider = Counting(5)
    async with http_server(provider.answer) as url:
        logs = await run_two(tmp_path, url, 5, 5, endpoints=ps.Endpoints())

    assert provider.most == 5
    assert not [each for each in logs if each["event"] == "endpoint.used_twice"]


async def test_studies_that_do_not_share_an_endpoint_are_told_once(tmp_path: Path) -> None:
    provider = Counting(6)
    async with http_server(provider.answer) as url:
        logs = await run_two(tmp_path, url, 2, 2, 2)

    (told,) = [each for each in logs if each["event"] == "endpoint.used_twice"]
    assert provider.most == 6
    assert told["endpoint"] == url
    assert "penstock.Endpoints()" in told["what_to_do"]


async def test_one_study_after_another_is_nothing_to_tell(tmp_path: Path) -> None:
    shared = ps.Endpoints()
    async with http_server(answers()) as url:
        first = await run_two(tmp_path, url, 2, endpoints=shared)
        again = await run_two(tmp_path / "again", url, 2)

    assert not [each for each in (*first, *again) if each["event"] == "endpoint.used_twice"]


def limits(**fields: Any) -> EndpointLimits:
    return EndpointLimits(**fields)


async def test_each_limit_is_the_lowest_while_who_asks_for_it_is_there_and_all_are_told() -> None:
    shared, clock = ps.Endpoints(), SimulatedClock()
    make = partial(Gate, clock=clock, sleep=clock.sleep)
    told: list[tuple[str, int]] = []
    first = limits(max_in_flight=10, requests_per_minute=600)
    second = limits(max_in_flight=4, tokens_per_minute=50)

    with shared.gate(ACCOUNT, first, make, lambda most, _: told.append(("first", most))) as gate:
        assert gate.limit == 10
        with shared.gate(
            ACCOUNT, second, make, lambda most, _: told.append(("second", most))
        ) as it:
            assert it is gate
            assert gate.limit == 4
            assert told == [("first", 4), ("second", 4)]
            async with gate.admit("a", 40), anyio.create_task_group() as group:
                next_one = gate.admit("b", 40)
                group.start_soon(next_one.__aenter__)
                await anyio.wait_all_tasks_blocked()
                assert gate.waiting == 1, "50 tokens a minute hold for both"
                group.cancel_scope.cancel()

        async with gate.admit("a", 40), gate.admit("b", 40):
            assert gate.in_flight == 2, "who asked for it is gone"


async def test_accounts_are_told_apart_and_a_gate_ends_with_its_last_study() -> None:
    shared = ps.Endpoints()
    ask = partial(shared.gate, limits=limits(), make=Gate, on_limit_changed=lambda *_: None)
    with ask(ACCOUNT) as gate, ask(ACCOUNT._replace(key="other")) as keyed:
        assert gate is not keyed

    with ask(ACCOUNT) as later:
        assert later is not gate


async def test_studies_of_two_event_loops_cannot_share(tmp_path: Path) -> None:
    shared = ps.Endpoints()
    failures: list[BaseException] = []

    def run_elsewhere(study: ps.Study) -> None:
        try:
            ps.run_study(study, endpoints=shared)
        except PenstockError as error:
            failures.append(error)

    study = chat_study(tmp_path, chat(ACCOUNT.base_url))
    with shared.gate(ACCOUNT, limits(), Gate, lambda *_: None):
        thread = threading.Thread(target=run_elsewhere, args=(study,))
        thread.start()
        await anyio.to_thread.run_sync(thread.join)

    assert "another event loop uses these Endpoints" in str(failures)


async def test_one_key_under_two_names_is_one_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONE_KEY", "the-same-key")
    monkeypatch.setenv("OTHER_NAME", "the-same-key")
    provider, shared = Counting(2), ps.Endpoints()
    changed: list[LimitChanged] = []
    async with http_server(provider.answer) as url, anyio.create_task_group() as group:
        for name in ("ONE_KEY", "OTHER_NAME"):
            study = chat_study(
                tmp_path,
                chat(url, api_key_env=name),
                study_id=name,
                output_dir=name,
                replicates=3,
                limits={url: {"max_in_flight": 2}},
            )
            runner = ps.StudyRunner(study, concurrency=6, endpoints=shared)
            runner.on(LimitChanged)(changed.append)
            group.start_soon(runner.run)

    assert provider.most == 2
