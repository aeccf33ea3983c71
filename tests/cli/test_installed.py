"""Commands that installed packages add stand beside our own and take nothing from them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock._base.entry_points import entry_point_names
from tests.packages import install_package

MODULE = "a_lab_s_commands"
SOURCE = """
    import typer


    def upload(directory: str) -> None:
        "Send a directory to the lab."
        typer.echo(f"sent {directory}")


    archive = typer.Typer(add_completion=False)


    @archive.command()
    def add(name: str) -> None:
        "Add a study to the archive."
        typer.echo(f"added {name}")


    @archive.command()
    def drop(name: str) -> None:
        "Take a study out of the archive."
"""


@pytest.fixture(autouse=True)
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(tmp_path / "packages")
    commands = {
        "upload": f"{MODULE}:upload",
        "archive": f"{MODULE}:archive",
        "torn": f"{MODULE}:absent",
        "status": f"{MODULE}:upload",
    }
    install_package(
        tmp_path / "packages",
        "lab-commands",
        entry_points={"penstock.commands": commands},
        modules={MODULE: SOURCE},
    )
    yield
    sys.modules.pop(MODULE, None)


def test_the_older_verbs_are_registered_as_this_project_says() -> None:
    assert {"run-study", "bundle-results"} <= set(entry_point_names("penstock.commands")), (
        "the installed package is older than pyproject.toml: pip install --no-deps -e ."
    )


def test_a_function_of_a_package_is_a_command(cli: Any) -> None:
    said = cli("upload", "here")
    assert (said.exit_code, said.stdout) == (0, "sent here\n")


def test_a_typer_of_a_package_is_a_command_with_commands_of_its_own(cli: Any) -> None:
    assert cli("archive", "add", "s").stdout == "added s\n"
    assert "Take a study out" in cli("archive", "--help").stdout


def test_the_help_lists_them_after_our_own(cli: Any) -> None:
    said = cli("--help")
    assert said.exit_code == 0
    assert "Send a directory to the lab." in said.stdout
    assert said.stdout.index("From installed packages") > said.stdout.index("simulate-model")


def test_one_that_cannot_be_imported_says_so_and_leaves_the_others_alone(cli: Any) -> None:
    assert "Cannot be loaded: 'torn'" in cli("--help").stdout
    said = cli("torn")
    assert said.exit_code == 3
    assert "lab-commands 1.0" in said.stderr
    assert cli("upload", "here").exit_code == 0


def test_a_package_cannot_take_the_place_of_one_of_our_commands(cli: Any) -> None:
    assert "sent" not in cli("status", "nowhere").stdout


def test_a_command_of_ours_imports_no_package(cli: Any) -> None:
    cli("plan", "nowhere.yaml")
    assert MODULE not in sys.modules


def test_a_name_that_nobody_has_is_a_usage_error(cli: Any) -> None:
    said = cli("nothing-of-the-kind")
    assert said.exit_code == 2
    assert "No such command" in said.stderr
