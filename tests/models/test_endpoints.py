"""What all chat models of a study share: clients, gates, keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penstock.errors import ValidationError
from penstock.events import LimitChanged
from penstock.models.endpoints import StudyEndpoints
from penstock.models.keys import Keys
from penstock.models.session import Session
from penstock.runner import StudyRunner
from penstock.simulator import SimulatedProvider, SimulatorOptions
from penstock.study.chat import ChatOptions
from tests.models.studies import chat, chat_study

pytestmark = pytest.mark.anyio

URL = "http://127.0.0.1:9/v1"


def options(**fields: Any) -> ChatOptions:
    return ChatOptions(**{"base_url": URL, "model": "some-model", **fields})


def nothing(*_: object) -> None:
    pass


async def test_who_asks_at_one_endpoint_with_one_key_shares_its_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_TEST_KEY", "a-key-of-a-test")
    endpoints = StudyEndpoints(chat_study(tmp_path, chat(URL)))
    one = endpoints.clients.of(options(timeout_s=5))
    same = endpoints.clients.of(options(timeout_s=5, model="another-model"))
    patient = endpoints.clients.of(options(timeout_s=50))
    keyed = endpoints.clients.of(options(timeout_s=5, api_key_env="PENSTOCK_TEST_KEY"))
    async with endpoints.open(Session(0.0, 0, nothing, nothing)):
        assert same.client is one.client
        assert patient.client is not one.client
        assert endpoints.gate(patient) is endpoints.gate(one)
        assert endpoints.gate(keyed) is not endpoints.gate(one)


async def test_limits_are_found_with_or_without_a_slash_at_the_end(tmp_path: Path) -> None:
    study = chat_study(tmp_path, chat(URL), limits={f"{URL}/": {"max_in_flight": 7}})
    endpoints = StudyEndpoints(study)
    client = endpoints.clients.of(options())
    async with endpoints.open(Session(0.0, 0, nothing, nothing)):
        assert endpoints.gate(client).limit <= 7

    assert endpoints.clients.unused_limits() == []


@pytest.mark.field("studies-SEC6")
async def test_no_more_calls_are_in_flight_than_the_process_may_have_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.models.endpoints.room_for_connections", lambda: 5)
    async with SimulatedProvider(SimulatorOptions(latency_s=0.001)) as provider:
        study = chat_study(
            tmp_path,
            chat(provider.url),
            limits={provider.url: {"max_in_flight": 64}},
            run_budget={"replicates": 20, "parallelism": 40},
        )
        summary = await StudyRunner(study, show_progress=False).run()

        assert summary.succeeded == 40
        assert provider.stats()["max_in_flight"] == 5


async def test_a_change_of_an_endpoints_limit_is_an_event(tmp_path: Path) -> None:
    settings = SimulatorOptions(latency_s=0.0, faults_at={5: "overloaded"}, retry_after_s=0.01)
    async with SimulatedProvider(settings) as provider:
        study = chat_study(
            tmp_path,
            chat(provider.url),
            limits={provider.url: {"max_in_flight": 64}},
            run_budget={"replicates": 50, "parallelism": 20},
        )
        runner = StudyRunner(study, show_progress=False)
        heard: list[LimitChanged] = []
        runner.on(LimitChanged)(heard.append)
        await runner.run()

    assert heard
    assert {event.endpoint for event in heard} == {provider.url}


def test_the_environment_comes_before_the_dotenv_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(
        "ONE=from file\nTWO = 'a # b'  # said\nexport THREE=x#y\n"
        'FOUR= # none\n no line\nFIVE="q"\n'
    )
    monkeypatch.setenv("ONE", "from environment")
    for name in ("TWO", "THREE", "FOUR", "FIVE"):
        monkeypatch.delenv(name, raising=False)

    keys = Keys(dotenv)
    found = [keys.find(name) for name in ("ONE", "TWO", "THREE", "FIVE")]
    assert found == ["from environment", "a # b", "x#y", "q"]
    with pytest.raises(ValidationError, match="FOUR is set neither in the environment nor in"):
        keys.find("FOUR")


def test_a_dotenv_file_that_cannot_be_read_is_an_error_that_quotes_nothing_of_it(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").write_bytes(b"KEY=secret\xff\n")
    with pytest.raises(ValidationError) as caught:
        Keys(tmp_path / ".env").find("KEY")

    assert "secret" not in str(caught.value)
