"""Tracebacks that are written once say what Python says."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import pytest

from penstock._base import tracebacks
from penstock._base.tracebacks import traceback_of


def plain(_: int) -> None:
    raise ValueError("no such thing")


def of_its_own(at: int) -> None:
    raise ValueError(f"thing {at} is missing")


def caused(at: int) -> None:
    try:
        plain(at)
    except ValueError as error:
        raise RuntimeError("outer") from (error if at % 2 else None)


def noted(at: int) -> None:
    error = OSError("the line broke")
    error.add_note(f"in call {at}")
    raise error


def grouped(at: int) -> None:
    raise ExceptionGroup("several", [ValueError(f"{at}"), OSError("b")])


def misnamed(at: int) -> None:
    once = at
    raise ValueError(f"{ones}, {once}")  # type: ignore[name-defined]  # noqa: F821


class UnreadableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("broken itself")


def unreadable() -> None:
    raise UnreadableError


def raised_by(fail: Callable[[int], None], at: int) -> BaseException:
    try:
        fail(at)
    except Exception as error:  # noqa: BLE001 - whatever it is
        return error

    raise AssertionError(fail)


@pytest.mark.parametrize(
    "fail", [plain, of_its_own, caused, noted, grouped, misnamed], ids=lambda each: each.__name__
)
def test_it_is_what_python_writes_however_often(
    fail: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracebacks, "_MOST_KEPT", 8)
    for at in range(20):
        error = raised_by(fail, at)
        assert traceback_of(error) == "".join(traceback.format_exception(error))

    assert len(tracebacks._written) <= 8


def test_an_error_that_cannot_be_written_says_where_it_was_raised() -> None:
    assert "in unreadable" in traceback_of(raised_by(lambda _: unreadable(), 0))


def test_errors_that_fail_alike_are_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracebacks, "_written", {})
    texts = {id(traceback_of(raised_by(plain, at))) for at in range(10)}

    assert len(texts) == len(tracebacks._written) == 1
