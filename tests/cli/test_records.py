from __future__ import annotations

import runpy
from typing import Any

import pytest

from penstock.cli.exit_codes import ExitCode
from penstock.cli.records import Record
from tests.conftest import ROOT

DOCS = ROOT / "docs"


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(DOCS)
    return runpy.run_path(str(DOCS / "make_command_line.py"))


def test_the_page_has_the_commands_the_exit_codes_and_the_lines_for_machines(
    maker: dict[str, Any],
) -> None:
    text = (DOCS / "command-line.md").read_text(encoding="utf-8")
    assert text == maker["page"](text), "write it anew: python docs/make_command_line.py"
    assert not [*maker["unmarked"]()]


def test_each_field_of_a_line_is_described(maker: dict[str, Any]) -> None:
    for name, shape in maker["shapes"]().items():
        assert list(maker["described"](shape)) == list(shape.model_fields), name


def test_each_line_for_machines_begins_with_what_it_is(maker: dict[str, Any]) -> None:
    for name, shape in maker["shapes"]().items():
        if issubclass(shape, Record):
            assert next(iter(shape.model_fields)) == "event"
            assert shape.model_fields["event"].default == name


def test_each_exit_code_says_what_it_means() -> None:
    assert all(code.__doc__ for code in ExitCode)
    assert len({code.__doc__ for code in ExitCode}) == len(ExitCode)
