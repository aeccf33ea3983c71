"""A provider that answers within the session: for a first study, and for rehearsals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.models.chat_model import ChatMessage, CompletionRequest
from penstock.models.model_errors import ModelError, OverloadedError
from penstock.models.simulated import SimulatedModel, simulator_options
from penstock.runner import StudyRunner
from penstock.simulator.simulator_options import SimulatorOptions
from tests.models.studies import chat_study, rows

pytestmark = pytest.mark.anyio

ASKED = CompletionRequest(model="m", messages=(ChatMessage(role="user", content="6 x 7?"),))


async def test_it_answers_while_it_is_open() -> None:
    model = SimulatedModel(SimulatorOptions(latency_s=0.0, answers=("42",)))
    async with model:
        answer = await model.complete(ASKED)

    assert (answer.text, answer.model, answer.finish_reason) == ("42", "m", "stop")
    with pytest.raises(ModelError, match="is not open"):
        await model.complete(ASKED)


async def test_its_errors_name_it_and_no_port() -> None:
    options = simulator_options({"latency_s": 0.0, "faults": {"unavailable": 1.0}}, Path)
    async with SimulatedModel(options) as model:
        with pytest.raises(OverloadedError, match="the simulated provider answered 503"):
            await model.complete(ASKED)


def test_files_that_it_replays_lie_beside_the_study(tmp_path: Path) -> None:
    options = simulator_options({"replay": "answers.jsonl"}, tmp_path.joinpath)
    assert options.replay == tmp_path / "answers.jsonl"


@pytest.mark.parametrize(
    ("simulator", "said"),
    [
        ({"latncy_s": 1}, "simulator.latncy_s: unknown key; did you mean `latency_s`"),
        ({"latency_s": -1}, "simulator.latency_s: "),
    ],
)
def test_options_that_it_does_not_have_are_told_when_the_study_is_checked(
    tmp_path: Path, simulator: dict[str, Any], said: str
) -> None:
    agent = {"chat": {"provider": "simulated", "model": "m", "simulator": simulator}}
    with pytest.raises(ps.ValidationError, match=f"agent 'gpt': {said}"):
        StudyRunner(chat_study(tmp_path, agent))


async def test_a_study_needs_no_endpoint_and_costs_nothing(tmp_path: Path) -> None:
    agent = {"chat": {"provider": "simulated", "model": "m", "simulator": {"latency_s": 0.0}}}
    study = chat_study(tmp_path, agent, prices={}, limits={"simulated": {"max_in_flight": 1}})
    summary = await StudyRunner(study).run()

    assert (summary.succeeded, summary.cost_usd) == (2, 0.0)
    assert {row["cost_usd"] for row in rows(study, "SELECT cost_usd FROM runs")} == {0.0}
