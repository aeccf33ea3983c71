"""The session of docs/first-hour.md, played to the letter."""

from __future__ import annotations

import difflib
import runpy
from pathlib import Path
from typing import Any

import pytest

MAKER = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "make_first_hour.py"))


def test_the_first_hour_is_as_the_page_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Any
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    def run(command: str, folder: Path) -> str:
        arguments = MAKER["arguments_of"](command)
        if arguments is None:
            printed: str = MAKER["in_a_shell"](command, folder)
            return printed

        monkeypatch.chdir(folder)  # in this process: importing everything takes longest
        return str(cli(*arguments).output)

    page = MAKER["PAGE"].read_text(encoding="utf-8")
    played = MAKER["played"](page, tmp_path, run)

    differing = difflib.unified_diff(page.splitlines(), played.splitlines(), lineterm="")
    assert played == page, "python docs/make_first_hour.py writes it anew:\n" + "\n".join(differing)
