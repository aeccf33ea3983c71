"""What was purged is in no file: not in free pages, the log, copies or the cache."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.errors import DirectoryInUseError, ForeignDirectoryError, StoreError
from penstock.export.purging import purge_study
from penstock.models.calls.cache import empty_cache
from penstock.store.files.lock import hold_directory
from penstock.store.files.purged import Wanted
from tests.builders import make_study
from tests.command_line import StudyFolder, cli, folder, json_lines

__all__ = ["cli", "folder"]

WORDS = ("brief", "payload", "answer", "other", "seen", "meta", "note", "said", "reason", "error")
CANARY = "canary"


async def agent(ctx: ps.RunContext) -> Any:
    if ctx.spec.replicate == 3:
        raise ValueError(sign(ctx, "error"))

    ctx.record(note=sign(ctx, "note"), cost_usd=0.25, steps=3)
    ctx.observe("tool_call", sign(ctx, "seen"), detail=sign(ctx, "meta"))
    outputs = {"text": sign(ctx, "answer"), "other": [sign(ctx, "other") * 500]}
    return ps.AgentResult(outputs=outputs, metadata={"said": sign(ctx, "said")})


def judge(answer: str, problem: ps.Problem) -> dict[str, Any]:
    reason = f'{{"why": "{CANARY}-reason-{problem.problem_id}"}}'
    return {"metric_name": "good", "metric_value": 0.5, "notes_json": reason}


def sign(ctx: ps.RunContext, word: str) -> str:
    return f"{CANARY}-{word}-{ctx.spec.problem_id}"


def study_of(folder: Path) -> ps.Study:
    problems = tuple(
        ps.Problem(
            problem_id=name,
            brief=f"{CANARY}-brief-{name}",
            payload={"expected": f"{CANARY}-payload-{name}"},
        )
        for name in ("ann", "ben")
    )
    return make_study(
        ("a",), replicates=3, problems=problems, evaluators={"good": judge}, output_dir=folder
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study, one that was moved aside, a page, and a copy from before a migration."""
    parent = tmp_path_factory.mktemp("purged")
    folder = parent / "results"
    for fresh in (False, True):
        options: dict[str, Any] = {"fresh": fresh, "show_progress": False, "report": False}
        ps.run_study(study_of(folder), agent_bindings={"agent-a": agent}, **options)

    for name in ("report.html", "study.layout-4.sqlite"):
        (folder / name).write_text(f"{CANARY}-answer-ann {CANARY}-answer-ben")

    return parent


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "results"


def canaries(folder: Path) -> set[str]:
    """What is found in any file of a folder, as text or inside a page of SQLite."""
    found: set[str] = set()
    for path in folder.rglob("*"):
        if path.is_file():
            texts = re.findall(rb"canary-\w+-(?:ann|ben)", path.read_bytes())
            found.update(each.decode() for each in texts)

    return found


def counts(folder: Path) -> Any:
    with closing(sqlite3.connect(folder / "study.sqlite")) as store:
        query = """
SELECT (SELECT count(*) FROM runs), (SELECT sum(status = 'success') FROM runs),
    (SELECT sum(cost_usd) FROM runs), (SELECT count(*) FROM events),
    (SELECT sum(metric_value) FROM evaluations), (SELECT count(*) FROM evaluations)"""
        return store.execute(query).fetchone()


def test_all_that_was_said_is_in_no_file_and_what_was_counted_stays(
    results: Path, tmp_path: Path
) -> None:
    assert {each.split("-")[1] for each in canaries(tmp_path)} == {*WORDS}
    before = counts(results)

    done = purge_study(results, Wanted(texts=True))

    assert canaries(tmp_path) == set()
    assert counts(results) == before
    assert (done.rows.attempts, done.rows.problems) == (6, 2)
    assert len(done.purged) == 2, "also what was moved aside"
    assert [path.name for path in done.deleted] == ["report.html", "study.layout-4.sqlite"]
    purged = ps.StudyResult.open(results)
    assert purged.summary.cost_usd == 1.0
    assert {result.outputs.get("text") for result in purged} <= {"", None}
    assert (results / "runs.csv").exists()


def test_what_was_said_of_one_problem_goes_and_of_another_stays(
    results: Path, tmp_path: Path
) -> None:
    of_ben = {each for each in canaries(tmp_path) if each.endswith("ben")}
    before = counts(results)

    purge_study(results, Wanted(problems=("ann",)))

    assert canaries(tmp_path) == of_ben
    assert counts(results) == before
    with pytest.raises(ForeignDirectoryError, match="purged of the texts of problem 'ann' on"):
        ps.run_study(study_of(results), agent_bindings={"agent-a": agent}, report=False)

    study = study_of(results)
    rest = study.model_copy(update={"problems": study.problems[1:]})
    kept = ps.run_study(rest, agent_bindings={"agent-a": agent}, report=False)
    assert kept.summary.session.restored == 2


def test_a_study_that_was_purged_is_refused_by_check_and_run_until_it_is_begun_anew(
    results: Path,
) -> None:
    purge_study(results, Wanted(texts=True))
    run: dict[str, Any] = {
        "agent_bindings": {"agent-a": agent},
        "show_progress": False,
        "report": False,
    }

    with pytest.raises(ForeignDirectoryError, match=r"was purged of its texts on .* \(--fresh\)"):
        ps.run_study(study_of(results), **run)

    assert ps.run_study(study_of(results), fresh=True, **run).summary.session.succeeded == 4


def test_what_was_moved_aside_is_deleted_where_that_is_wanted(
    results: Path, tmp_path: Path
) -> None:
    done = purge_study(results, Wanted(), aside=True)

    assert [path.name.startswith("results.2") for path in done.deleted] == [True, False]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["results"]
    assert f"{CANARY}-answer-ann" in canaries(results)


def test_a_study_that_runs_or_does_not_hold_the_problem_is_not_purged(results: Path) -> None:
    with hold_directory(results), pytest.raises(DirectoryInUseError):
        purge_study(results, Wanted(texts=True))

    with pytest.raises(StoreError, match="holds no problem 'eve'"):
        purge_study(results, Wanted(problems=("eve",)))

    assert f"{CANARY}-answer-ann" in canaries(results)


def test_what_is_no_response_cache_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("notes")
    with pytest.raises(StoreError, match="the response cache"):
        empty_cache(tmp_path / "cache")


def test_calls_go_from_the_store_and_the_cache_and_answers_stay(
    folder: StudyFolder, cli: Any
) -> None:
    study = json.dumps(
        {
            "study_id": "called",
            "title": "t",
            "agents": {
                "gpt": {
                    "chat": {
                        "provider": "simulated",
                        "model": "m",
                        "simulator": {"latency_s": 0, "answers": [f"{CANARY}-answer-ann"]},
                        "prompt": "{{ problem.brief }} really?",
                    }
                }
            },
            "problems": [{"problem_id": "ann", "brief": f"{CANARY}-brief-ann"}],
            "response_cache": "cache.sqlite",
            "output_dir": "results",
        }
    )
    folder.file.write_text(study)
    ps.run_study(ps.load_study(folder.file), report=False, show_progress=False)
    assert cli("purge", folder.file).exit_code == 2

    purged = cli("purge", folder.results, "--calls", "--json")

    assert purged.exit_code == 0, purged.stderr
    (line,) = json_lines(purged.stdout)
    assert (line["event"], line["calls"], line["attempts"], line["cached"]) == ("purge", 1, 0, 1)
    with closing(sqlite3.connect(folder.results / "study.sqlite")) as store:
        query = "SELECT messages, answer, input_tokens > 0, model FROM calls"
        assert store.execute(query).fetchall() == [(None, None, 1, "m")]

    assert b"ann really?" not in (folder.results / "study.sqlite").read_bytes()
    assert CANARY.encode() not in (folder.path / "cache.sqlite").read_bytes()
    assert f"{CANARY}-answer-ann" in canaries(folder.results), "the answer is the run's"
    again = ps.run_study(ps.load_study(folder.file), report=False, show_progress=False)
    assert again.summary.session.restored == 1


def test_a_bundle_without_texts_holds_counts_and_scores_alone(
    results: Path, tmp_path: Path, cli: Any
) -> None:
    before = counts(results)
    packed = tmp_path / "sent.tar.gz"
    (results / "notes.txt").write_text(f"{CANARY}-note-ann")

    done = cli("bundle", results, "--to", packed, "--texts", "none", "--json")

    assert done.exit_code == 0, done.stderr
    (line,) = json_lines(done.stdout)
    assert "what was asked and said" in line["missing"]
    with tarfile.open(packed) as bundle:
        bundle.extractall(tmp_path / "received", filter="data")

    received = tmp_path / "received" / "results"
    assert canaries(received) == set()
    assert counts(received) == before
    assert (received / "runs.csv").exists()
    assert f"{CANARY}-answer-ann" in canaries(results), "the study itself keeps them"


def test_a_bundle_of_a_study_from_python_says_that_its_code_is_missing(
    results: Path, cli: Any
) -> None:
    done = cli("bundle", results)

    assert done.exit_code == 0, done.stderr
    assert "it does not hold the study's own code: it was made in Python" in done.stderr
    assert results.with_name("results.tar.gz").is_file()
