"""The command that tells a durable subscriber what it has not heard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.replay import replay
from penstock.store.files.lock import hold_directory
from tests.builders import make_study
from tests.command_line import json_lines

HOOKS = """
from pathlib import Path

import penstock as ps

HEARD = Path("heard")


def post(event: ps.RunFinished) -> None:
    heard = HEARD.read_text().split() if HEARD.exists() else []
    if Path("down").exists() and len(heard) == 1:
        raise ConnectionError("the receiver is down")

    HEARD.write_text(" ".join([*heard, str(event.seq)]))


async def vague(x):
    pass
"""


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    async def agent(ctx: ps.RunContext) -> str:
        return "42"

    monkeypatch.chdir(tmp_path)
    (tmp_path / "hooks.py").write_text(HOOKS)
    options: dict[str, Any] = {"show_progress": False, "report": False}
    results = tmp_path / "results"
    ps.run_study(make_study(), agent_bindings={"agent-a": agent}, output_dir=results, **options)
    return results


def heard(results: Path) -> list[int]:
    file = results.parent / "heard"
    return [int(each) for each in file.read_text().split()] if file.exists() else []


def test_what_was_not_heard_is_told_and_the_place_kept(results: Path, cli: Any) -> None:
    named = ("--name", "hook", "--event", "RunFinished")
    (results.parent / "down").touch()
    failed = cli("deliver", results, "hooks.py:post", *named)
    assert failed.exit_code == 1
    assert "hook failed after event" in failed.stderr
    assert "ConnectionError: the receiver is down. Its place is kept" in failed.stderr
    assert len(heard(results)) == 1

    (results.parent / "down").unlink()
    done = cli("deliver", results, "hooks.py:post", *named, "--json")
    (line,) = json_lines(done.stdout)
    seqs: list[int] = []
    replay(results, lambda event: seqs.append(event.seq), types=[ps.RunFinished])
    assert heard(results) == seqs
    assert (line["name"], line["before"], line["acknowledged"]) == ("hook", seqs[0], seqs[1])

    again = cli("deliver", results, "hooks.py:post", *named)
    assert (again.exit_code, len(heard(results))) == (0, 2)
    assert "nothing that hook has not heard" in again.stderr


@pytest.mark.parametrize(
    ("subscriber", "options", "why"),
    [
        ("hooks.py:nothing", (), "'hooks.py:nothing'"),
        ("hooks.py:vague", (), "does not say what it takes"),
        ("hooks.py:post", ("--event", "RunFinshed"), "RunFinished"),
        ("hooks.py:post", ("--event", "LimitChanged"), "announced once and not kept"),
    ],
)
def test_what_cannot_be_told_is_refused(
    results: Path, cli: Any, subscriber: str, options: tuple[str, ...], why: str
) -> None:
    refused = cli("deliver", results, subscriber, "--name", "hook", *options)
    assert refused.exit_code == 3
    assert why in refused.stderr


def test_a_study_that_somebody_runs_delivers_itself(results: Path, cli: Any) -> None:
    with hold_directory(results):
        refused = cli("deliver", results, "hooks.py:post", "--name", "hook")

    assert refused.exit_code == 3
    assert "is in use" in refused.stderr
    assert heard(results) == []
