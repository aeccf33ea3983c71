"""Study files and answers that mean harm."""

from __future__ import annotations

import csv
import json
import string
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.errors import StudyFileError
from penstock.study.files import load_study
from tests.faults.conftest import IS_LONG, Prove
from tests.faults.study import build_study, run

BASE = "study_id: s\ntitle: t\nagents: {a: agents.py:a}\nproblems: [{problem_id: p}]\n"
LETTERS = string.ascii_lowercase[:9]
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n" for before, after in pairwise(LETTERS)
)


@pytest.mark.parametrize(
    "text",
    [
        f"{BOMB}{BASE}",
        f"{BASE}provenance_metadata: &self {{x: *self}}\n",
        f"{BASE}provenance_metadata: !!python/object/apply:os.system ['touch owned']\n",
        f"{BASE}description: a\0b\n",
        f"{BASE}provenance_metadata: {'[' * (100_000 if IS_LONG else 5_000)}\n",
    ],
    ids=["bomb", "alias of itself", "python tag", "NUL", "depth"],
)
def test_a_study_file_that_means_harm_is_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proved: Prove
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "study.yaml"
    file.write_text(text)
    with pytest.raises(StudyFileError):
        load_study(file)

    assert not (tmp_path / "owned").exists()
    proved(
        "a study file that means harm",
        "refused in one sentence: bombs of aliases, python tags, NULs, depth",
        "{ways:.0f} files",
        ways=1,
    )


@pytest.mark.parametrize("name", ["../../evil", "a/b/../../..", "a\u001b[31m", "a\nb", "a\0"])
def test_an_id_that_would_leave_the_folder_or_rewrite_a_terminal_is_refused(
    name: str, proved: Prove
) -> None:
    assert ps.validate_study(build_study(study_id=name, output_dir=None))
    proved(
        "an id with separators or control characters",
        "refused before anything is run or written",
        "{ways:.0f} ids",
        ways=1,
    )


LEAVES = "leaves the folder of the study file"
MISLEADING = {
    "../beside": LEAVES,
    "a/../../beside": LEAVES,
    "a\\..\\..\\beside": LEAVES,
    "./..": LEAVES,
    "~/results": "only a shell expands",
    "C:\\results": "of another system",
    "C:..": "of another system",
    "\\\\host\\share": "of another system",
    "a\0b": "a control character",
    "a\x1b[2Jb": "a control character",
}


@pytest.mark.parametrize("path", MISLEADING)
def test_a_path_that_would_leave_the_folder_of_the_study_file_is_refused(
    path: str, tmp_path: Path, proved: Prove
) -> None:
    file = tmp_path / "inside" / "study.json"
    file.parent.mkdir()
    (tmp_path / "beside").write_text("not to be touched")
    payload = {
        "study_id": "s",
        "title": "t",
        "problems": {"file": path},
        "output_dir": path,
        "response_cache": path,
        "design_spec": {"matrix_path": path, "options": {"matrix_path": path}},
        "notes": 5,
    }
    file.write_text(json.dumps(payload))
    with pytest.raises(StudyFileError) as refused:
        load_study(file)

    told = [error for error in refused.value.errors if MISLEADING[path] in error]
    assert sorted(error.partition(":")[0] for error in told) == [
        "design_spec.matrix_path",
        "design_spec.options.matrix_path",
        "output_dir",
        "problems",
        "response_cache",
    ]
    assert all("write an absolute path" in error for error in told)
    assert [error for error in refused.value.errors if error.startswith("notes")]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["beside", "inside"]
    proved(
        "a path in a study file that leaves its folder",
        "refused when the file is read, with its place in the file and what to write",
        "{ways:.0f} paths, in 5 places each",
        ways=1,
    )


def test_paths_that_stay_inside_are_absolute_or_are_the_users_own_word_are_followed(
    tmp_path: Path,
) -> None:
    inside = tmp_path / "inside"
    (inside / "a").mkdir(parents=True)
    (inside / "away").symlink_to(tmp_path)
    file = inside / "study.yaml"
    for path in ("a/../results", "away/results", "a..b/..c", str(tmp_path / "results"), "a/~"):
        file.write_text(f"{BASE}output_dir: {path}\n")
        study = load_study(file)
        assert study.resolve(study.output_dir or "") == inside / path

    for own in ("../elsewhere", tmp_path / "a" / ".." / "elsewhere"):
        runner = ps.StudyRunner(study, agent_bindings={"a": lambda problem: "x"}, output_dir=own)
        assert runner.output_dir == tmp_path / "elsewhere"

    assert not ps.validate_study(build_study(output_dir="../elsewhere"))  # in Python


def test_a_text_of_megabytes_in_a_study_file_is_read(tmp_path: Path) -> None:
    length = 10_000_000 if IS_LONG else 1_000_000  # the reader of YAML takes 2 s a megabyte
    file = tmp_path / "study.yaml"
    file.write_text(f"{BASE}description: {'x' * length}\n")
    assert len(load_study(file).description) == length


PLANES = "".join(chr((plane << 16) + 0x1F0) for plane in range(17))
ANSWERS = {
    "p1": "\x1b]0;owned\x07\x1b[2J" + PLANES + "\x00\r\n",
    "p2": "=HYPERLINK(1)" + "x" * 200_000,
}


def test_answers_that_mean_harm_are_kept_to_the_letter_and_quoted_where_that_is_asked_for(
    tmp_path: Path, cli: Any, capfd: pytest.CaptureFixture[str], proved: Prove
) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        if ctx.problem.problem_id == "p1" and ctx.spec.replicate == 1:
            raise ValueError(ANSWERS["p1"])

        return ANSWERS[ctx.problem.problem_id]

    study = build_study(run_budget={"replicates": 2})
    results = run(tmp_path / "results", agent, study=study, show_progress=True)
    texts = {each.spec.problem_id: each.outputs.get("text") for each in results if not each.error}
    assert texts == ANSWERS
    assert "\x1b" not in capfd.readouterr().err

    copy = tmp_path / "copy"
    said = cli("export", tmp_path / "results", "--to", copy, "--spreadsheet-safe")
    assert said.exit_code == 0, said.stderr
    limit = csv.field_size_limit(1_000_000)
    with (copy / "events.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]

    csv.field_size_limit(limit)
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert f"'{ANSWERS['p2']}" in cells
    assert cli("export", tmp_path / "results", "--spreadsheet-safe").exit_code == 2
    proved(
        "an answer that means harm",
        "kept to the letter, shown unarmed; `export --spreadsheet-safe` quotes formulas in a copy",
        "{planes:.0f} planes of Unicode, cells of {size:,.0f} characters",
        planes=17,
        size=200_013,
    )
