"""A study names its subscribers; one is never active by being installed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from tests.packages import install_package

MODULE = "a_lab_s_subscribers"
SOURCE = """
    heard = []


    async def upload(stream):
        async for event in stream:
            heard.append(type(event).__name__)


    def not_a_coroutine(stream):
        pass
"""
OWN = """
import json
from pathlib import Path


async def costs(stream):
    kinds = [type(event).__name__ async for event in stream]
    (Path(__file__).parent / "heard.json").write_text(json.dumps(kinds))


async def failing(stream):
    raise OSError("no network")
"""


@pytest.fixture(autouse=True)
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(tmp_path / "packages")
    registered = {"lab-upload": f"{MODULE}:upload", "lab-wrong": f"{MODULE}:not_a_coroutine"}
    install_package(
        tmp_path / "packages",
        "lab-subscribers",
        entry_points={"penstock.subscribers": registered},
        modules={MODULE: SOURCE},
    )
    yield
    sys.modules.pop(MODULE, None)


async def answer(ctx: ps.RunContext) -> str:
    return "yes"


def study(tmp_path: Path, *names: str) -> ps.Study:
    (tmp_path / "own.py").write_text(OWN)
    return ps.Study(
        study_id="s",
        title="t",
        subscribers=names,
        problem_ids=("p",),
        agent_specs=("a",),
        base_dir=tmp_path,
    )


def run(made: ps.Study, **options: Any) -> ps.StudyResult:
    return ps.run_study(made, agent_bindings={"a": answer}, **options)


def test_what_a_package_registers_hears_a_study_that_names_it(tmp_path: Path) -> None:
    run(study(tmp_path, "lab-upload"))
    heard = sys.modules[MODULE].heard
    assert heard[0] == "StudyStarted"
    assert {"RunStarted", "RunSucceeded", "RunsSaved"} <= {*heard}


def test_what_is_installed_and_not_named_is_not_imported(tmp_path: Path) -> None:
    run(study(tmp_path))
    assert MODULE not in sys.modules


def test_a_file_beside_the_study_holds_subscribers_too(tmp_path: Path) -> None:
    results = run(study(tmp_path, "own.py:costs", "own.py:failing"))
    assert json.loads((tmp_path / "heard.json").read_text())[-1] == "StudyFinished"
    assert results[0].status == "success", "one that fails stops no study"


def test_a_name_that_nobody_has_is_told_before_anything_runs(tmp_path: Path) -> None:
    report = ps.check(
        study(tmp_path, "nobody", "lab-wrong", "own.py:nothing"), agent_bindings={"a": answer}
    )
    nobody, wrong, nothing = report.errors
    assert nobody == "subscriber 'nobody': no installed package registers 'nobody'"
    assert "a subscriber is a coroutine function over a stream of events" in wrong
    assert nothing.startswith("subscriber 'own.py:nothing': ")


def test_who_hears_a_study_changes_neither_its_files_nor_its_results(tmp_path: Path) -> None:
    run(study(tmp_path))
    before = (tmp_path / "artifacts" / "s" / "study.yaml").read_bytes()
    assert b"subscribers" not in before
    summary = run(study(tmp_path, "lab-upload")).summary
    assert summary.session.started == 0
    assert b"lab-upload" in (tmp_path / "artifacts" / "s" / "study.yaml").read_bytes()
    run(study(tmp_path))
    assert (tmp_path / "artifacts" / "s" / "study.yaml").read_bytes() == before
