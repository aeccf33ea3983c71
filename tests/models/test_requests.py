"""The model that a run chooses: as a factor, known before the study runs, told when it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.models.prompts.forecast import forecasts
from penstock.planning.plan import plan
from penstock.runner import StudyRunner
from tests.builders import make_study
from tests.models.studies import rows

pytestmark = pytest.mark.anyio

FAKE = {"provider": "simulated", "simulator": {"latency_s": 0.0, "answers": ["42"]}}
CHOICE = {"chat": {"model": "{{ condition.tone }}", "max_tokens": 20}}


def a_study(tmp_path: Path, levels: tuple[str, ...] = ("one", "two"), **fields: Any) -> ps.Study:
    given: dict[str, Any] = {
        "models": {"one": FAKE, "two": {**FAKE, "model": "two-2026", "temperature": 0.5}},
        "agents": {"gpt": CHOICE},
        "agent_specs": ("gpt",),
        "base_dir": tmp_path,
        "output_dir": "results",
    }
    return make_study(levels, **(given | fields))


async def test_a_template_makes_the_model_a_factor(tmp_path: Path) -> None:
    study = a_study(tmp_path)
    summary = await StudyRunner(study).run()

    assert summary.succeeded == 2
    found = rows(study, "SELECT model_name, cost_usd FROM runs ORDER BY model_name")
    assert found == [
        {"model_name": "one", "cost_usd": 0.0},
        {"model_name": "two-2026", "cost_usd": 0.0},
    ]


def test_a_level_that_is_no_model_is_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ps.ValidationError, match=r"agent 'gpt': model: 'three' is not a model"):
        StudyRunner(a_study(tmp_path, ("one", "three")))


def test_an_unknown_name_in_the_template_is_told(tmp_path: Path) -> None:
    agents = {"gpt": {"chat": {"model": "{{ conditon.tone }}"}}}
    with pytest.raises(ps.ValidationError, match="model: 'conditon' is unknown"):
        StudyRunner(a_study(tmp_path, agents=agents))


async def test_a_model_that_is_added_leaves_the_results_of_others_as_they_are(
    tmp_path: Path,
) -> None:
    await StudyRunner(a_study(tmp_path, ("one",))).run()
    two = {"two": {**FAKE, "model": "two-2026", "temperature": 0.5}}
    models = {"one": FAKE, **two, "three": FAKE}
    summary = await StudyRunner(a_study(tmp_path, ("one", "three"), models=models)).run()

    assert summary.succeeded == 2
    assert summary.session.restored == 1


async def test_a_model_that_changes_is_refused_with_what_changed(tmp_path: Path) -> None:
    await StudyRunner(a_study(tmp_path)).run()
    models = {"one": FAKE, "two": {**FAKE, "model": "two-2026", "temperature": 1.0}}
    with pytest.raises(ps.PenstockError, match="has another temperature of model 'two' \\(2"):
        await StudyRunner(a_study(tmp_path, models=models)).run()


async def test_an_agent_may_name_what_it_said_in_place_before(tmp_path: Path) -> None:
    in_place = {"gpt": {"chat": {**FAKE, "model": "m", "max_tokens": 20}}}
    await StudyRunner(a_study(tmp_path, agents=in_place, models={})).run()
    named = a_study(
        tmp_path,
        agents={"gpt": {"chat": {"model": "one"}}},
        models={"one": {**FAKE, "model": "m", "max_tokens": 20}},
    )
    summary = await StudyRunner(named).run()

    assert summary.session.restored == 2


def test_each_model_is_forecast_at_its_own_price(tmp_path: Path) -> None:
    price = {"input_usd_per_million": 0.0, "output_usd_per_million": 1e6}
    models = {"one": FAKE, "two": {**FAKE, "price": price, "max_tokens": 5}}
    study = a_study(tmp_path, models=models, agents={"gpt": {"chat": {"model": "two"}}})
    (found,) = forecasts(plan(study))

    assert found.low_usd == 0.0
    assert found.high_usd == pytest.approx(2 * 5.0)
