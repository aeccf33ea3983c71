"""One run as a conversation, and lists of runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import penstock as ps
from penstock.cli.show import _tell_list
from penstock.export.artifacts import export_artifacts
from tests.builders import make_study
from tests.command_line import json_lines
from tests.models.loopback import http_server
from tests.models.test_conversing import Turn, provider
from tests.models.test_run_model import a_study

FAKE = {"provider": "simulated", "simulator": {"latency_s": 0.0, "answers": ["7"]}}


PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


async def doubter(ctx: ps.RunContext) -> str:
    model = ctx.model("small")
    images = [{"url": f"data:image/png;base64,{PIXEL}"}, {"url": "https://example.test/a.png"}]
    content = [*images, "6 x 7?\nThink."]
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    first = await model.chat(messages)
    ctx.observe("thought", "let me see", depth=2)
    messages.append({"role": "assistant", "content": first.text})
    messages.append({"role": "user", "content": "Sure?"})
    second = await model.chat(messages)
    if ctx.condition["tone"] == "b":
        raise ValueError("I am not sure")

    return second.text


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shown")
    judge = {"model": "small", "prompt": "Score {{ answer }}", "max_tokens": 5}
    study = make_study(
        models={"small": {**FAKE, "max_tokens": 20}},
        agents={"doubter": doubter},
        agent_specs=("doubter",),
        evaluators={"grade": {"judge": judge}},
        base_dir=folder,
        output_dir="results",
    )
    ps.run_study(study, show_progress=False)
    return folder / "results"


def run_of(results: Path, tone: str) -> str:
    with closing(sqlite3.connect(results / "study.sqlite")) as store:
        query = "SELECT run_id FROM runs JOIN conditions USING (condition_id) WHERE factors = ?"
        ((run_id,),) = store.execute(query, (f'{{"tone":"{tone}"}}',))
        return str(run_id)


def test_a_run_is_shown_as_a_conversation_in_which_nothing_is_said_twice(
    results: Path, cli: Any
) -> None:
    run_id = run_of(results, "a")
    shown = cli("show", results, run_id)

    assert shown.exit_code == 0
    said = shown.stderr
    assert f"{run_id}: success, attempt 1" in said
    assert "condition: tone=a; problem p1; agent doubter" in said
    assert "[1] agent asks small: " in said
    shown_images = "  user: [image image/png, 67 bytes]\n    [image https://example.test/a.png]\n"
    assert f"{shown_images}    6 x 7?\n    Think.\n  assistant: 7\n" in said
    assert "(after 2 messages from above)\n  user: Sure?\n" in said
    assert "[3] judge grade asks small: " in said
    assert said.count("6 x 7?") == 1
    assert "  thought  depth=2  let me see" in said
    assert "  grade  grade  7\n" in said
    assert "answer:\n  text: 7\n" in said


def test_a_run_that_failed_says_why(results: Path, cli: Any) -> None:
    said = cli("show", results, run_of(results, "b")).stderr

    assert ": failed, attempt 1" in said
    assert "failed: ValueError: I am not sure" in said
    assert "[2] agent asks small" in said


def test_the_beginning_of_an_id_is_enough(results: Path, cli: Any) -> None:
    run_id = run_of(results, "a")
    assert run_id in cli("show", results, run_id[:8]).stderr
    assert run_id in cli("show", results, run_id.removeprefix("run-")[:6]).stderr


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (["run-ffffffffffff"], "holds no attempt at a run 'run-ffffffffffff'"),
        (["run-"], "may be any of"),
    ],
)
def test_a_run_that_is_not_there_or_not_one_is_refused(
    results: Path, cli: Any, named: list[str], said: str
) -> None:
    shown = cli("show", results, *named)

    assert shown.exit_code == 3
    assert said in shown.stderr


def test_an_attempt_that_is_not_there_is_refused_with_those_that_are(
    results: Path, cli: Any
) -> None:
    shown = cli("show", results, run_of(results, "a"), "--attempt", "7")

    assert shown.exit_code == 3
    assert "there is no attempt 7" in shown.stderr
    assert "(attempts: 1)" in shown.stderr


def test_runs_are_listed_by_what_is_said_of_them(results: Path, cli: Any) -> None:
    all_of_them = cli("show", results).stderr
    failed = cli("show", results, "--failed").stderr
    dear = cli("show", results, "--where", "output_tokens > 0 AND status = 'success'").stderr

    assert all_of_them.startswith("2 runs: p1, doubter, #1\n")
    assert failed.startswith("1 run\n")
    assert "ValueError: I am not sure" in failed
    assert run_of(results, "a") in dear
    assert cli("show", results, "--problem", "p2").stderr == "0 runs\n"


def test_a_condition_that_is_not_sql_is_a_wrong_command_line(results: Path, cli: Any) -> None:
    shown = cli("show", results, "--where", "no_such_column > 1")

    assert shown.exit_code == 2
    assert "no such column" in shown.stderr


def test_machines_read_the_same(results: Path, cli: Any) -> None:
    listed = json_lines(cli("show", results, "--json").stdout)
    (one,) = json_lines(cli("show", results, run_of(results, "a"), "--json").stdout)

    assert [each["event"] for each in listed] == ["run", "run"]
    assert (one["event"], one["attempt"], one["status"]) == ("shown_run", 1, "success")
    assert [call["role"] for call in one["calls"]] == ["agent", "agent", "judge"]
    assert one["calls"][1]["messages"][-1] == {"role": "user", "content": "Sure?"}
    assert one["outputs"] == {"text": "7"}


def test_an_attempt_that_was_killed_is_shown_as_far_as_it_came(
    results: Path, cli: Any, tmp_path: Path
) -> None:
    copy, run_id = tmp_path / "study.sqlite", run_of(results, "a")
    with closing(sqlite3.connect(results / "study.sqlite")) as store:
        store.execute("VACUUM INTO ?", (str(copy),))

    with closing(sqlite3.connect(copy)) as store, store:
        store.execute("DELETE FROM attempt WHERE run_id = ?", (run_id,))

    said = cli("show", tmp_path, run_id).stderr
    assert "cut off, or under way" in said
    assert "[2] agent asks small" in said


def test_an_export_has_the_calls_in_plan_order(results: Path) -> None:
    header, *lines = (results / "calls.csv").read_text(encoding="utf-8").split("\n")

    assert header.startswith("run_id,session_id,attempt,number,role")
    begun = [line[:16] for line in lines if line.startswith("run-")]
    assert begun == [run_of(results, "a")] * 3 + [run_of(results, "b")] * 2


def test_calls_are_written_as_parquet_too_with_their_types(results: Path, tmp_path: Path) -> None:
    export_artifacts(results, tmp_path, parquet=True)
    read = pq.read_table(tmp_path / "calls.parquet")

    header, *_ = (results / "calls.csv").read_text(encoding="utf-8").split("\n")
    assert read.column_names == header.strip().split(",")
    begun = [each[:16] for each in read.column("run_id").to_pylist()]
    assert begun == [run_of(results, "a")] * 3 + [run_of(results, "b")] * 2
    first = read.to_pylist()[0]
    assert (first["number"], first["is_cached"], first["cost_usd"]) == (1, False, 0.0)
    assert (first["answer"], first["evaluator_id"], type(first["input_tokens"])) == ("7", None, int)
    assert first["started_at"].tzinfo is not None
    assert first["provider_s"] >= 0


def test_a_study_without_chat_models_has_no_file_of_calls(tmp_path: Path) -> None:
    study = make_study(base_dir=tmp_path, output_dir="results")
    ps.run_study(study, agent_bindings={"agent-a": lambda: "42"}, show_progress=False)

    assert (tmp_path / "results" / "runs.csv").exists()
    export_artifacts(tmp_path / "results", tmp_path / "parquet", parquet=True)
    assert (tmp_path / "parquet" / "runs.parquet").exists()
    assert not [*tmp_path.rglob("calls.*")]


@pytest.mark.anyio
async def test_tools_are_named_by_what_was_called_and_nothing_that_is_zero_is_left_out(
    tmp_path: Path, cli: Any
) -> None:
    def fail(text: str) -> None:
        raise ValueError("not \x1b[31mtoday\n" + text)

    async def agent(ctx: ps.RunContext) -> str:
        return (await ctx.model("small").run("Go", tools=[fail])).text

    turns: list[Turn] = [[("fail", {"text": "שלום 漢字"})], "done"]
    async with http_server(provider(*turns, asked=[])) as url:
        study = a_study(tmp_path, agent, url, evaluators={"grade": lambda _: 0.0})
        (result,) = await ps.arun_study(study, show_progress=False)

    shown = cli("show", tmp_path / "results", result.spec.run_id).stderr
    assert '    calls fail({"text":"שלום 漢字"})\n' in shown
    assert "  tool fail failed: ValueError: not \\x1b[31mtoday\n    שלום 漢字\n" in shown
    assert "  tool_call  tool=fail, is_error=true, seconds=" in shown
    assert "  grade  grade  0\n" in shown


def test_what_all_runs_have_in_common_is_said_once_and_holds_for_those_that_are_not_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def row(number: int, status: str) -> tuple[Any, ...]:
        return (f"run-{number}", status, "cond-1", "p", "agent", 1, 0.5, 2.0, None, None, 1)

    _tell_list(row(n, "success" if n < 120 else "failed") for n in range(121))

    first, second, *_, last = capsys.readouterr().err.splitlines()
    assert first == "121 runs: cond-1, p, agent, #1"
    assert second.split() == ["run-0", "success", "$0.5000", "2.00", "s"]
    assert last == "  ... and 71 more"
