from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.cli.plan_forecast import endpoint_limits
from tests.command_line import StudyFolder, json_lines


def test_a_plan_is_counted_by_condition_agent_and_problem(folder: StudyFolder, cli: Any) -> None:
    shown = cli("plan", folder.file)
    assert shown.exit_code == 0
    assert shown.stdout == ""
    for part in ("40 runs planned", "tone=warm", "worker  40", "p1  20", "replicate 1"):
        assert part in shown.stderr

    (plan,) = json_lines(cli("plan", folder.file, "--json").stdout)
    assert plan["planned"] == 40
    assert [condition["runs"] for condition in plan["conditions"]] == [20, 20]
    assert (plan["agents"], plan["problems"]) == ({"worker": 40}, {"p1": 20, "p2": 20})
    assert [run["position"] for run in plan["first_runs"]] == [0, 1, 2, 3, 4]
    assert not folder.results.exists()


def test_a_plan_shows_the_first_of_many_rows(folder: StudyFolder, cli: Any) -> None:
    levels = ", ".join(f"l{number}" for number in range(20))
    folder.file.write_text(folder.file.read_text().replace("[warm, cold]", f"[{levels}]"))
    assert "... and 8 more" in cli("plan", folder.file).stderr


def test_a_plan_of_an_invalid_study_is_refused(folder: StudyFolder, cli: Any) -> None:
    folder.file.write_text(
        folder.file.read_text().replace("replicates: 10", "replicates: 10, max_runs: 1")
        + "agent_specs: [worker, worker]\n"
    )
    shown = cli("plan", folder.file)
    assert shown.exit_code == 3
    assert "max_runs" in shown.stderr
    assert "Duplicate" in shown.stderr


@pytest.mark.field("studies-N11")
def test_a_plan_says_what_is_done_and_what_is_left(folder: StudyFolder, cli: Any) -> None:
    folder.set_up(failing=["p2"])
    assert cli("run", folder.file).exit_code == 10
    assert f"20 done, 20 left: {folder.results}" in cli("plan", folder.file).stderr
    (plan,) = json_lines(cli("plan", folder.file, "--json").stdout)
    assert (plan["planned"], plan["done"], plan["left"], plan["unscored"]) == (40, 20, 20, 0)
    dry = cli("run", folder.file, "--dry-run")
    assert f"20 done, 20 left: {folder.results}" in dry.stderr
    launch, done = json_lines(cli("run", folder.file, "--dry-run", "--json").stdout)
    assert (launch["restored"], done["restored"], done["remaining"]) == (20, 20, 20)


def test_a_dry_run_from_nothing_looks_at_no_results(folder: StudyFolder, cli: Any) -> None:
    assert cli("run", folder.file).exit_code == 0
    dry = cli("run", folder.file, "--dry-run", "--fresh")
    assert "results would go to" in dry.stderr
    assert len(list(folder.path.glob("results*"))) == 1


CHAT = """\
agents:
  chat: {chat: {base_url: "http://127.0.0.1:9/v1", model: m, prompt: "{{ problem.brief }}"}}
"""


@pytest.mark.field("studies-N11")
def test_what_is_left_is_priced_and_a_price_that_is_not_known_is_said_so(
    folder: StudyFolder, cli: Any
) -> None:
    text = folder.file.read_text().replace('agents: {worker: "agents.py:worker"}\n', CHAT)
    folder.file.write_text(text)
    priced = text + "prices: {m: {input_usd_per_million: 1, output_usd_per_million: 2}}\n"
    assert "40 calls" in cli("plan", folder.file).stderr
    assert "price not known" in cli("plan", folder.file).stderr
    folder.file.write_text(priced)
    assert "price not known" not in cli("plan", folder.file).stderr
    (plan,) = json_lines(cli("plan", folder.file, "--json").stdout)
    assert plan["chat_models_left"] == plan["chat_models"]
    assert plan["chat_models"][0]["calls"] == 40
    assert "40 calls" in cli("run", folder.file, "--dry-run").stderr


def test_a_pilot_forecasts_what_the_rest_takes_and_whether_it_is_enough(
    tmp_path: Path, cli: Any
) -> None:
    study = _paired(tmp_path, cli)
    before = cli("plan", study)
    assert "forecast from a pilot (penstock run --problems 5)" in before.stderr

    assert cli("run", study, "--problems", "8", "--no-progress").exit_code == 0
    told = cli("plan", study)
    (plan,) = json_lines(cli("plan", study, "--json").stdout)

    assert "what 220 runs will take, from 80 runs in" in told.stderr
    assert "h1: 30 problems x 5: power 0." in told.stderr
    assert plan["pilot"] == str(tmp_path / "artifacts" / "paired")
    assert (plan["resources"]["runs"], plan["resources"]["attempts"]["value"]) == (220, 220)
    (power,) = plan["power"]
    assert (power["problems"], power["replicates"], power["delta"]) == (30, 5, 0.05)
    low, value, high = (power["power"][name] for name in ("low", "value", "high"))
    assert 0 < low <= value <= high < 1
    assert power["problems_needed"]["value"] > 30
    assert "verified-direct =" not in told.stderr, "a forecast does not show what was found"


def test_a_pilot_may_have_been_moved_aside(tmp_path: Path, cli: Any) -> None:
    study = _paired(tmp_path, cli)
    assert cli("run", study, "--problems", "8", "--no-progress").exit_code == 0
    moved = tmp_path / "moved"
    (tmp_path / "artifacts" / "paired").rename(moved)

    (plan,) = json_lines(cli("plan", study, "--pilot", moved, "--json").stdout)

    assert (plan["done"], plan["resources"]["runs"]) == (0, 300)
    assert cli("plan", study, "--pilot", tmp_path / "nowhere").exit_code == 3


def test_limits_of_an_endpoint_say_how_long_it_takes_at_least(tmp_path: Path) -> None:
    limits = {"http://localhost:1/v1": {"requests_per_minute": 10, "tokens_per_minute": 100}}
    chat = {"base_url": "http://localhost:1/v1", "model": "m", "prompt": "p", "max_tokens": 5}
    judge = {**chat, "prompt": "{{ answer }}", "scale": [1, 5]}
    study = ps.Study(
        study_id="limited",
        title="t",
        agents={"asks": {"chat": chat}},
        evaluators={"judged": {"judge": judge}},
        limits=limits,
    )

    least_s = endpoint_limits(study)

    assert least_s is not None
    # 20 runs are 40 calls, their judge's among them; short ones meet the limit of requests first.
    assert least_s({"asks": 20.0}, 1.0) == pytest.approx(4 * 63)
    assert least_s({"asks": 20.0}, 100.0) == pytest.approx(40 * 63)


def _paired(folder: Path, cli: Any) -> Path:
    assert cli("init", folder, "--template", "paired").exit_code == 0
    return folder / "study.yaml"
