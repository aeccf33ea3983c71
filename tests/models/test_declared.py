"""What binding says of declared chat models, and what the command line makes of a spent budget."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import anyio
import pytest

from penstock.errors import ValidationError
from penstock.runner import StudyRunner
from penstock.simulator import SimulatedProvider, SimulatorOptions
from penstock.study.factors import Constraint
from tests.children import COMMAND_LINE, run_python
from tests.models.studies import chat, chat_study

pytestmark = pytest.mark.anyio

URL = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize("missing", ["jinja2", "aiohttp"])
def test_without_the_extra_the_error_names_it_and_nothing_else(
    missing: str, tmp_path: Path
) -> None:
    path = tmp_path / "study.json"
    study = {"study_id": "s", "title": "S", "problems": [{"problem_id": "p"}]}
    path.write_text(json.dumps(study | {"agents": {"gpt": chat(URL)}}))
    code = f"import sys; sys.modules[{missing!r}] = None; from penstock.cli import main; main()"
    command = [sys.executable, "-c", code, "check", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ended.returncode == 3
    assert (
        f"needs {missing}, which is not installed: pip install 'penstock[models]'" in ended.stderr
    )
    assert "no agent is named" not in ended.stderr


def test_what_cannot_be_bound_is_said_too_where_no_plan_can_be_made(tmp_path: Path) -> None:
    study = chat_study(
        tmp_path,
        chat(URL, api_key_env="PENSTOCK_NO_SUCH_KEY"),
        constraints=(Constraint(constraint_id="none", description="none", expression="False"),),
        agent_specs=("gpt", "nobody"),
    )
    with pytest.raises(ValidationError) as caught:
        StudyRunner(study)

    said = "\n".join(caught.value.errors)
    assert "No admissible conditions" in said
    assert "agent 'gpt': there is no key: PENSTOCK_NO_SUCH_KEY" in said
    assert "no agent is named 'nobody'" in said


def test_limits_without_any_chat_model_are_an_error(tmp_path: Path) -> None:
    study = chat_study(
        tmp_path, {"call": "json:dumps"}, limits={URL: {"max_in_flight": 1}}, prices={}
    )
    with pytest.raises(ValidationError, match="limits no chat model of this study"):
        StudyRunner(study)


async def test_a_spent_budget_is_exit_code_11_and_said_to_machines(tmp_path: Path) -> None:
    async with SimulatedProvider(SimulatorOptions(latency_s=0.0)) as provider:
        study = chat_study(tmp_path, chat(provider.url), budget={"max_tokens": 100}, replicates=50)
        path = tmp_path / "study.json"
        path.write_text(json.dumps(study.to_dict()))
        command = partial(run_python, *COMMAND_LINE, "run", path, "--json")
        ended = await anyio.to_thread.run_sync(command)

    done = json.loads(ended.stdout.splitlines()[-1])
    assert ended.returncode == 11
    assert done["event"] == "done"
    assert "budget.max_tokens is exhausted" in done["stopped_because"]
    assert done["remaining"] > 0
    assert done["failed"] == 0
