"""A study's own files are those of its folder that it names, also by way of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.study.own_files import own_files

STUDY = """\
study_id: s
title: "t: not a file"
agents:
  a: agents.py:solve
  b: more.deep:solve
problems: {file: data/problems.csv}
evaluators: {e: "score:check", outside: "../other.py:f", installed: "os.path:join"}
design_spec: {kind: custom_matrix, matrix_path: matrix.json}
output_dir: results
"""
FILES = {
    "study.yaml": STUDY,
    "agents.py": "import numpy\nfrom helpers import shared\nfrom more import other",
    "helpers/__init__.py": "",
    "helpers/shared.py": "from . import sibling\nimport more.deep",
    "helpers/sibling.py": "",
    "more/__init__.py": "",
    "more/deep.py": "",
    "more/other.py": "import agents",
    "score.py": "this is not Python",
    "data/problems.csv": "problem_id\n",
    "matrix.json": '["unrelated.py"]',
    "unrelated.py": "",
    ".env": "KEY=secret",
    "results/runs.csv": "",
    "../other.py": "",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    return folder


def test_code_and_data_that_are_named_are_found_and_nothing_else(folder: Path) -> None:
    found = {str(path.relative_to(folder)) for path in own_files(folder / "study.yaml")}
    assert found == {*FILES} - {"unrelated.py", ".env", "results/runs.csv", "../other.py"}


def test_what_lies_outside_of_the_folder_or_is_hidden_is_left_out(folder: Path) -> None:
    (folder / "study.yaml").write_text(
        "a: .env\nb: link.py:f\nc: /etc/hostname\nd: ../other.py\ne: \"\\0\"\nf: ''\ng: [[score]]\n"
    )
    (folder / "link.py").symlink_to(folder.parent / "other.py")
    found = [path.name for path in own_files(folder / "study.yaml")]
    assert found == ["score.py", "study.yaml"]


def test_a_study_file_that_cannot_be_read_is_the_only_one(folder: Path) -> None:
    (folder / "study.yaml").write_text("[")
    assert own_files(folder / "study.yaml") == [folder / "study.yaml"]
