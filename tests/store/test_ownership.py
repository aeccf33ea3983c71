"""Nothing of anybody else's is overwritten, moved, or written through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ForeignDirectoryError, StoreError
from penstock.export.artifacts import export_artifacts
from penstock.store.files.lock import hold_directory
from penstock.store.files.ownership import ARTIFACTS, RECORD, TIDY, claim_files

STUDY_FILE = """\
study_id: mine
title: t
factors: [{name: tone, levels: [warm, cold]}]
agents: {a: "agents.py:a"}
problems: {file: problems.jsonl}
"""


async def answer(ctx: ps.RunContext) -> str:
    return "yes"


def study(**fields: object) -> ps.Study:
    given = {"study_id": "mine", "title": "t", "problem_ids": ("p",), "agent_specs": ("a",)}
    return ps.Study.model_validate({**given, **fields})


def run(directory: Path, **options: Any) -> ps.StudyResult:
    return ps.run_study(study(), agent_bindings={"a": answer}, output_dir=directory, **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def write(folder: Path, files: Mapping[str, str]) -> dict[str, bytes]:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    return contents(folder)


PROJECTS: list[dict[str, str]] = [
    {"study.yaml": STUDY_FILE, "problems.jsonl": "{}\n", "agents.py": ""},
    {"study.yaml": STUDY_FILE},
    {"problems.jsonl": "{}\n"},
    {"runs.csv": "my,own,table\n"},
    {"notes.txt": "mine"},
    {"other-study/study.sqlite": ""},
    {"conditions.csv": "study_id,condition_id\r\nanother,cond-1\r\n"},
]


@pytest.mark.field("studies-SEC2")
@pytest.mark.parametrize("files", PROJECTS, ids="+".join)
def test_a_study_does_not_begin_among_the_files_of_others(
    tmp_path: Path, files: Mapping[str, str]
) -> None:
    before = write(tmp_path, files)
    with pytest.raises(ForeignDirectoryError, match="only in a directory that is new, empty"):
        run(tmp_path)

    assert contents(tmp_path) == before, "nothing was written, a lock neither"


@pytest.mark.field("studies-SEC2")
def test_a_study_file_that_names_its_own_folder_is_refused_before_a_call(tmp_path: Path) -> None:
    problem = '{"problem_id": "p", "brief": "b"}\n'
    before = write(
        tmp_path,
        {
            "study.yaml": f"{STUDY_FILE}output_dir: .\n",
            "agents.py": "def a(ctx):\n    raise SystemExit('called')\n",
            "problems.jsonl": problem,
        },
    )
    with pytest.raises(ForeignDirectoryError, match=r"holds agents.py, problems.jsonl, study"):
        ps.run_study(ps.load_study(tmp_path / "study.yaml"))

    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    assert not (tmp_path / "study.sqlite").exists()


@pytest.mark.parametrize("left", [[], [".gitkeep"], [".DS_Store", ".lock", ".started"]])
def test_a_study_begins_in_a_directory_that_a_person_would_call_empty(
    tmp_path: Path, left: list[str]
) -> None:
    write(tmp_path, dict.fromkeys(left, ""))
    assert len(run(tmp_path)) == 1


def test_files_that_others_put_into_a_study_s_own_directory_stay(tmp_path: Path) -> None:
    run(tmp_path)
    write(tmp_path, {"notes.txt": "mine", "analysis/plot.py": "mine", "my.csv": "=mine"})
    (tmp_path / "runs.csv").unlink()
    run(tmp_path)
    export_artifacts(tmp_path)

    assert (tmp_path / "runs.csv").exists()
    for name in ("notes.txt", "analysis/plot.py", "my.csv"):
        assert (tmp_path / name).read_text().endswith("mine")


@pytest.mark.parametrize("name", ["runs.csv", "study.yaml", "analysis/runs.csv"])
def test_a_file_in_the_place_of_ours_that_we_did_not_write_stops_the_study_before_it_begins(
    tmp_path: Path, name: str
) -> None:
    run(tmp_path)
    record = json.loads((tmp_path / RECORD).read_text())
    record["files"].remove(name)  # as it is where a session was killed before it could export
    (tmp_path / RECORD).write_text(json.dumps(record))
    (tmp_path / name).write_text("mine")
    with pytest.raises(ForeignDirectoryError, match=f"^{name} in "):
        run(tmp_path)

    with pytest.raises(ForeignDirectoryError, match="did not write these"):
        export_artifacts(tmp_path)

    assert (tmp_path / name).read_text() == "mine"


def test_parquet_of_somebody_else_s_is_not_written_over(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "runs.parquet").write_text("mine")
    with pytest.raises(ForeignDirectoryError, match=r"^runs\.parquet in "):
        export_artifacts(tmp_path, parquet=True)

    assert (tmp_path / "runs.parquet").read_text() == "mine"


def test_a_directory_from_before_there_was_a_record_is_gone_on_with(tmp_path: Path) -> None:
    run(tmp_path)
    before = contents(tmp_path)
    (tmp_path / RECORD).unlink()
    (tmp_path / TIDY).unlink()  # there was none either
    run(tmp_path)
    export_artifacts(tmp_path)

    after = contents(tmp_path)
    assert after[RECORD] == before[RECORD]
    assert after["runs.csv"] == before["runs.csv"]


def test_a_table_of_somebody_elses_stays_and_ours_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path)
    (tmp_path / RECORD).unlink()
    (tmp_path / TIDY).write_text("mine")
    run(tmp_path)

    assert (tmp_path / TIDY).read_text() == "mine"
    assert "a file of that name is there" in "".join(capsys.readouterr())
    (tmp_path / TIDY).unlink()
    export_artifacts(tmp_path)
    assert (tmp_path / TIDY).read_text() != "mine"


def test_what_is_exported_is_what_is_claimed(tmp_path: Path) -> None:
    run(tmp_path / "results")
    to = export_artifacts(tmp_path / "results", tmp_path / "copy")
    assert {*contents(to)} - {RECORD} == {*ARTIFACTS, TIDY}


@pytest.mark.field("studies-SEC2")
@pytest.mark.parametrize("files", PROJECTS, ids="+".join)
def test_an_export_does_not_go_into_a_folder_of_others(
    tmp_path: Path, files: Mapping[str, str]
) -> None:
    run(tmp_path / "results")
    before = write(tmp_path / "project", files)
    with pytest.raises(ForeignDirectoryError, match="Give another"):
        export_artifacts(tmp_path / "results", tmp_path / "project")

    assert contents(tmp_path / "project") == before


def test_an_export_goes_into_a_folder_that_is_new_empty_or_of_an_earlier_one(
    tmp_path: Path,
) -> None:
    run(tmp_path / "results")
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty", "empty"):
        export_artifacts(tmp_path / "results", tmp_path / name, sqlite=True)

    (tmp_path / "empty" / RECORD).unlink()  # of an export from before there was a record
    (tmp_path / "empty" / "study.sqlite").unlink()
    export_artifacts(tmp_path / "results", tmp_path / "empty")
    assert (tmp_path / "empty" / "runs.csv").exists()


def test_an_export_does_not_go_where_results_are(tmp_path: Path) -> None:
    run(tmp_path / "results")
    run(tmp_path / "other-results")
    before = contents(tmp_path / "other-results")
    with pytest.raises(ForeignDirectoryError, match=r"study.sqlite"):
        export_artifacts(tmp_path / "results", tmp_path / "other-results", sqlite=True)

    assert contents(tmp_path / "other-results") == before


def test_an_export_of_one_study_does_not_take_the_place_of_another_s(tmp_path: Path) -> None:
    run(tmp_path / "results")
    export_artifacts(tmp_path / "results", tmp_path / "tables")
    ps.run_study(
        study(study_id="yours"), agent_bindings={"a": answer}, output_dir=tmp_path / "yours"
    )
    with pytest.raises(ForeignDirectoryError, match="holds files of study 'mine', not of 'you"):
        export_artifacts(tmp_path / "yours", tmp_path / "tables")


def test_a_copy_of_a_store_that_a_study_goes_on_in_is_not_replaced(tmp_path: Path) -> None:
    run(tmp_path / "results")
    export_artifacts(tmp_path / "results", tmp_path / "copy", sqlite=True)
    run(tmp_path / "copy")
    with pytest.raises(ForeignDirectoryError, match=r"^study.sqlite in "):
        export_artifacts(tmp_path / "results", tmp_path / "copy", sqlite=True)


@pytest.mark.field("studies-SEC1")
@pytest.mark.parametrize(
    "name",
    ["study.sqlite", "study.sqlite-wal", ".started", ".lock", "analysis", RECORD],
)
def test_nothing_is_written_through_a_link_in_a_results_folder(tmp_path: Path, name: str) -> None:
    results, target = tmp_path / "results", tmp_path / "elsewhere"
    run(results)
    if (results / name).is_dir():
        (results / name).rename(tmp_path / "moved")
        target.mkdir()
    else:
        (results / name).unlink(missing_ok=True)

    (results / name).symlink_to(target)
    before = contents(tmp_path)
    for act in (run, export_in, hold):
        with pytest.raises(StoreError, match="through a symbolic link"):
            act(results)

    assert contents(tmp_path) == before
    assert target.is_dir() is (name == "analysis"), "nothing came to be at the link's other end"


def export_in(directory: Path) -> None:
    with hold_directory(directory):
        export_artifacts(directory)


def hold(directory: Path) -> None:
    with hold_directory(directory):
        pass


def test_an_output_directory_that_is_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "disk")
    run(tmp_path / "results")
    export_artifacts(tmp_path / "results")
    assert (tmp_path / "disk" / "runs.csv").exists()


def test_a_table_that_became_a_link_is_replaced_and_what_it_leads_to_is_not(
    tmp_path: Path,
) -> None:
    run(tmp_path / "results")
    (tmp_path / "target").write_text("mine")
    (tmp_path / "results" / "runs.csv").unlink()
    (tmp_path / "results" / "runs.csv").symlink_to(tmp_path / "target")
    run(tmp_path / "results")

    assert (tmp_path / "target").read_text() == "mine"
    assert not (tmp_path / "results" / "runs.csv").is_symlink()


@pytest.mark.field("studies-SEC2")
def test_fresh_moves_no_folder_that_holds_no_results(tmp_path: Path) -> None:
    before = write(tmp_path / "project", PROJECTS[0])
    with pytest.raises(ForeignDirectoryError, match="no results that fresh could move aside"):
        run(tmp_path / "project", fresh=True)

    assert contents(tmp_path) == {f"project/{name}": text for name, text in before.items()}


@pytest.mark.field("studies-SEC2")
def test_fresh_moves_neither_the_study_s_folder_nor_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "results")
    with pytest.raises(ForeignDirectoryError, match="fresh would move"):
        ps.run_study(
            study(base_dir=tmp_path / "results" / "deep"),
            agent_bindings={"a": answer},
            output_dir=tmp_path / "results",
            fresh=True,
        )

    monkeypatch.chdir(tmp_path / "results")
    with pytest.raises(ForeignDirectoryError, match="fresh would move"):
        run(tmp_path / "results", fresh=True)

    monkeypatch.chdir(tmp_path)
    run(tmp_path / "results", fresh=True)
    assert len([*tmp_path.iterdir()]) == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"study_id": "mine", "files": 3}'])
def test_a_record_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    run(tmp_path)
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(ForeignDirectoryError, match="does not list what penstock wrote"):
        run(tmp_path)


@given(written=st.sets(st.sampled_from(ARTIFACTS)), mine=st.sets(st.sampled_from(ARTIFACTS)))
def test_whatever_is_claimed_nothing_that_was_there_before_may_be_written(
    written: set[str], mine: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("claims")
    claim_files(folder, "mine", ())
    claim_files(folder, "mine", written)
    write(folder, dict.fromkeys(written, "ours"))
    write(folder, dict.fromkeys(mine - written, "mine"))

    foreign = pytest.raises(ForeignDirectoryError) if mine - written else nullcontext()
    with foreign:
        claim_files(folder, "mine", ARTIFACTS)
