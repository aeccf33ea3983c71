from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import redirect_stderr

import pytest
import structlog

from penstock._base.text import printable
from penstock.cli.logs import show_logs
from penstock.cli.streams import Outlet, ToStderr
from tests.command_line import fill


def test_an_outlet_keeps_what_a_full_pipe_does_not_take_and_gives_it_in_order() -> None:
    reading, writing = os.pipe()
    fill(writing)
    outlet = Outlet(writing)
    outlet.write(b"first ")
    outlet.drain(0.01)
    outlet.write(b"second")
    os.read(reading, 8192)
    outlet.drain()
    os.close(writing)
    with os.fdopen(reading, "rb") as left:
        assert left.read().lstrip(b"x") == b"first second"


def test_an_outlet_keeps_no_more_than_it_must_for_a_reader_that_does_not_read() -> None:
    reading, writing = os.pipe()
    fill(writing)
    outlet = Outlet(writing)
    for _ in range(40):
        assert outlet.write(b"y" * 65536) == 65536

    os.read(reading, 1 << 20)
    outlet.write(b"")
    with os.fdopen(reading, "rb", buffering=0) as left:
        assert left.read(65536) == b"y" * 65536

    os.close(writing)


def test_an_outlet_without_a_reader_takes_everything_and_fails_never() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    outlet = Outlet(writing)
    assert outlet.write(b"anything") == 8
    assert outlet.write(b"more") == 4
    outlet.drain()
    os.close(writing)


def test_text_goes_to_whatever_stderr_is_at_the_moment() -> None:
    kept = ToStderr()
    with redirect_stderr(io.StringIO()) as first:
        print("one", file=kept)

    with redirect_stderr(io.StringIO()) as second:
        print("two", file=kept)

    assert (first.getvalue(), second.getvalue()) == ("one\n", "two\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\nlines é 漢", "plain\ttext\nlines é 漢"),
        ("\x1b[2J\r\x07", "\\x1b[2J\\r\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb", "a\\u202eb"),
        ("\udc80", "\\udc80"),
    ],
)
def test_controls_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.fixture
def structlog_restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("structlog_restored")
def test_logs_are_readable_lines_and_the_first_of_each_kind(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_logs(verbose=False)
    log = structlog.get_logger("penstock")
    log.info("study.started")
    log.warning("study.stopping", reason="interrupted by SIGINT")
    for number in range(100):
        log.error("run.failed", study_id="s", run_id=f"run-{number}", error=f"a\n\x1b{number}")

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error: run.failed run_id=run-0 error=a \\x1b0"
    assert len(lines) == 21
    assert "--verbose shows all" in lines[-1]


@pytest.mark.usefixtures("structlog_restored")
def test_verbose_logs_show_everything_and_tracebacks(capsys: pytest.CaptureFixture[str]) -> None:
    show_logs(verbose=True)
    log = structlog.get_logger("penstock")
    log.info("study.started", planned=3)
    for _ in range(30):
        log.warning("run.retried")

    log.error("agent.broke", exc_info=ValueError("\x1b"))

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "info: study.started planned=3"
    assert lines.count("warning: run.retried") == 30
    assert lines[-1] == "ValueError: \\x1b"


@pytest.mark.field("studies-N17")
@pytest.mark.usefixtures("structlog_restored")
def test_failures_that_are_alike_are_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    show_logs(verbose=False)
    log = structlog.get_logger("penstock")
    for number in range(300):
        log.error("run.failed", run_id=f"run-{number}", error="refused")
        log.warning("run.retried", run_id=f"run-{number}", error="refused")

    assert capsys.readouterr().err.splitlines() == [
        "error: run.failed run_id=run-0 error=refused",
        "warning: run.retried run_id=run-0 error=refused",
    ]
