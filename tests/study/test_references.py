"""References to Python objects: beside the study file first, and every failure is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from penstock.study.references import load_reference


def test_a_file_beside_the_study_is_imported_once(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("loaded = []\ndef f():\n    return 1\n")
    function = load_reference("mine.py:f", tmp_path)
    assert function() == 1
    assert load_reference("mine.py:loaded", tmp_path) is load_reference("mine:loaded", tmp_path)


@pytest.mark.field("studies-B4")
def test_a_file_that_was_edited_is_imported_again(tmp_path: Path) -> None:
    for word in (
        "one",
        "two",
    ):  # as long, and in the same second: a cache by time and size is wrong
        (tmp_path / "mine.py").write_text(f"def f():\n    return {word!r}\n")
        assert load_reference("mine.py:f", tmp_path)() == word


@pytest.mark.field("studies-C4")
def test_a_file_imports_what_lies_beside_it_and_not_beside_another(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a_helper_beside.py").write_text(f"word = {name!r}\n")
        (tmp_path / name / "agents.py").write_text("from a_helper_beside import word\n")

    found = [load_reference("agents.py:word", tmp_path / name) for name in ("one", "two")]
    assert found == ["one", "two"]
    assert str(tmp_path / "one") not in sys.path


def test_files_of_one_name_in_two_folders_are_two_modules(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "agents.py").write_text(f"name = {name!r}\n")

    found = [load_reference("agents.py:name", tmp_path / name) for name in ("one", "two")]
    assert found == ["one", "two"]


def test_a_module_beside_the_study_comes_before_an_installed_one(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("dumps = 'mine'\n")
    assert load_reference("json:dumps", tmp_path) == "mine"
    assert load_reference("json:dumps", tmp_path / "elsewhere") is sys.modules["json"].dumps


def test_attributes_may_be_nested() -> None:
    assert load_reference("pathlib:Path.cwd") == Path.cwd


@pytest.mark.parametrize("ref", ["json", "json:", ":dumps", ""])
def test_a_text_that_is_no_reference_is_told_how_to_write_one(ref: str) -> None:
    with pytest.raises(ImportError, match=r"write `module:name` or `file\.py:name`"):
        load_reference(ref)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImportError, match=r"there is no file .*none\.py"):
        load_reference("none.py:f", tmp_path)

    with pytest.raises(ImportError, match="no_such_module_anywhere"):
        load_reference("no_such_module_anywhere:f", tmp_path)

    with pytest.raises(AttributeError, match=r"'json:nothing': .* has no 'nothing'"):
        load_reference("json:nothing", tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0\n", r"'bad\.py:f' cannot be imported: ZeroDivisionError: division by zero"),
        ("def f(:\n", r"'bad\.py:f' cannot be imported: SyntaxError"),
        ("import no_such_module_anywhere\n", "no_such_module_anywhere"),
    ],
)
def test_a_file_that_cannot_be_imported_says_why_and_can_be_tried_again(
    tmp_path: Path, source: str, message: str
) -> None:
    (tmp_path / "bad.py").write_text(source)
    with pytest.raises(ImportError, match=message):
        load_reference("bad.py:f", tmp_path)

    (tmp_path / "bad.py").write_text("def f():\n    return 'mended'\n")
    assert load_reference("bad.py:f", tmp_path)() == "mended"
