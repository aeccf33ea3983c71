"""The commands of the documentation: each can be given, and the README's do what they say."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from penstock.cli import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^ *```\w*\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^ *(?:\$ |srun .*)?penstock ([a-z-]+(?: .*)?)$", re.MULTILINE)


def commands_in(text: str) -> Iterator[list[str]]:
    for block in FENCED.findall(text):
        for command in COMMAND.findall(block.replace("\\\n", " ")):
            words = shlex.split(command, comments=True)
            yield [word for word in words if word != "&"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_command_in_the_documentation_can_be_given(document: Path) -> None:
    group = typer.main.get_group(app)
    for words in commands_in(document.read_text(encoding="utf-8")):
        name, command, arguments = group.resolve_command(typer.Context(group), words)
        assert command is not None
        command.make_context(name, arguments)


def test_commands_are_found_in_the_documentation() -> None:
    found = [words for document in DOCUMENTS for words in commands_in(document.read_text("utf-8"))]
    assert len(found) > 50


def test_the_way_from_idea_to_a_finding_in_the_readme_can_be_gone(
    tmp_path: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = [block for block in FENCED.findall(readme) if "penstock init" in block]
    for words in commands_in(f"```\n{block}```"):
        if "old" in words:
            shutil.copytree("study", "old")

        ended = cli(*words)
        assert ended.exit_code == 0, (words, ended.stderr)
