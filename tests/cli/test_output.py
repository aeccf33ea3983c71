from __future__ import annotations

import errno
from typing import Any

import pytest

from penstock.cli import output, target
from tests.command_line import StudyFolder


def test_an_internal_error_is_one_message_unless_debugging(
    folder: StudyFolder, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the \x1b[2Jroof")

    monkeypatch.setattr(target, "find_study", broken)
    told = cli("check", folder.file)
    assert told.exit_code == 1
    assert "internal error: RuntimeError: the \\x1b[2Jroof" in told.stderr
    assert "Traceback" not in told.stderr
    monkeypatch.setenv("PENSTOCK_DEBUG", "1")
    assert "Traceback" in cli("check", folder.file).stderr


@pytest.mark.field("studies-SEC7")
def test_too_many_open_files_are_told_with_what_to_do(
    folder: StudyFolder, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OSError(errno.EMFILE, "Too many open files", "study.yaml")

    monkeypatch.setattr(target, "find_study", broken)
    monkeypatch.setattr(
        output, "lack_of_files", lambda: "raise the limit, as `ulimit -n 1024` does"
    )
    told = cli("check", folder.file)
    assert told.exit_code == 3
    assert told.stderr.splitlines() == [
        "error: [Errno 24] Too many open files: 'study.yaml'",
        "raise the limit, as `ulimit -n 1024` does",
    ]


@pytest.mark.field("studies-SEC13")
def test_a_process_without_memory_ends_in_a_sentence(
    folder: StudyFolder, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(target, "find_study", broken)
    told = cli("check", folder.file)
    assert told.exit_code == 3
    assert told.stderr.startswith("error: this process is out of memory")
    assert "what was saved is safe" in told.stderr


def test_ctrl_c_before_a_study_begins_is_exit_code_130(
    folder: StudyFolder, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(target, "find_study", interrupted)
    assert cli("check", folder.file).exit_code == 130


def test_a_study_module_that_exits_is_refused(folder: StudyFolder, cli: Any) -> None:
    (folder.path / "agents.py").write_text("import sys\nsys.exit(0)\n")
    refused = cli("check", folder.file)
    assert refused.exit_code == 3
    assert "exit(0)" in refused.stderr


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("  one two three", ["  one two", "    three"]),
        ("漢字 漢字 漢字", ["漢字 漢字", "  漢字"]),
        ("  a     b c d e f", ["  a     b c", "    d e f"]),
        ("https://example.test/a b", ["https://example.test/a", "  b"]),
        ("    ", ["    "]),
    ],
)
def test_long_lines_are_wrapped_between_words_as_wide_as_these_are(
    line: str, shown: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "_terminal_width", lambda: 11)
    output.say(line)
    assert capsys.readouterr().err.splitlines() == shown
