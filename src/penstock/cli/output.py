"""What the command line says: lines for people, and JSON for machines."""

from __future__ import annotations

import os
import re
import sqlite3
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from errno import EMFILE
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import typer
from rich.cells import cell_len, set_cell_size

from penstock._base.memory import out_of_memory
from penstock._base.open_files import lack_of_files
from penstock._base.text import printable
from penstock.cli.exit_codes import ExitCode
from penstock.errors import PenstockError, StudyFileError, SubscriberError, ValidationError

if TYPE_CHECKING:
    from penstock._base.fact import Fact
    from penstock.summary import Failure

__all__ = [
    "content_in_words",
    "counted",
    "emit",
    "ensure_descriptors",
    "errors_told",
    "failure_rows",
    "faults_of",
    "in_one_line",
    "listed",
    "say",
    "tell_faults",
]


_NARROWEST = 8
_WORD = re.compile(r"\s*\S+")
"""Columns of a table that are left of a cell, however narrow the terminal is."""


def say(*lines: str) -> None:
    """Write lines for a person to stderr, wrapped between words where a terminal shows them.

    That nobody can read them stops nothing.
    """
    width = _terminal_width()
    shown = (each for line in lines for each in _wrapped(printable(line), width))
    with suppress(OSError, ValueError):
        sys.stderr.write("".join(f"{line}\n" for line in shown))
        sys.stderr.flush()


def emit(record: Fact, to: TextIO | None = None, *, event: str | None = None) -> None:
    """Write one JSON object for a machine, on a line of its own, to stdout.

    Args:
        record: A `Record`, or a fact that is shown as it is.
        to: Where to, in place of stdout.
        event: The line's first field, where the fact has none of its own.
    """
    text = record.model_dump_json()
    out = to or sys.stdout
    out.write((text if event is None else f'{{"event":"{event}",{text[1:]}') + "\n")
    out.flush()


def counted(number: int, noun: str) -> str:
    """Write ``1 run`` or ``1,000 runs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def in_one_line(text: str) -> str:
    """Write a text in one line, so that what is listed has a line each."""
    return " ".join(text.split())


def failure_rows(failures: Iterable[Failure]) -> list[tuple[str, str]]:
    """Write why runs failed as rows: how often, what, in which stage."""
    return [(f"{each.runs:,} x", f"{in_one_line(each.error)} ({each.stage})") for each in failures]


def listed(
    rows: Sequence[tuple[str, ...]], most: int = 12, *, of: int | None = None
) -> Iterator[str]:
    """Lay rows out in columns, and say how many more there are than are shown.

    Where a terminal shows them, the widest columns are cut until a row fits into a line.

    Args:
        rows: The rows, or the first of them.
        most: So many are shown.
        of: How many there are; None where all are given.
    """
    shown = [tuple(map(printable, row)) for row in rows[:most]]
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    room = (_terminal_width() or sys.maxsize) - 2 * len(widths)
    while sum(widths) > room and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1

    for row in shown:
        yield "  " + "  ".join(map(_fitted, row, widths)).rstrip()

    if (left := (of or len(rows)) - len(shown)) > 0:
        yield f"  ... and {left:,} more"


def _fitted(cell: str, width: int) -> str:
    if cell_len(cell) > width:
        cell = set_cell_size(cell, width - 1) + "…"

    return set_cell_size(cell, width)


def _terminal_width() -> int | None:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or None
    except (OSError, ValueError):  # a file, a pipe, a buffer: whoever reads it may wrap it
        return None


def _wrapped(line: str, width: int | None) -> list[str]:
    """Wrap a line between words, further in than it begins; a word is never broken."""
    if width is None or "\n" in line or cell_len(line) <= width:
        return [line]

    lines, indent = [""], " " * (len(line) - len(line.lstrip(" ")) + 2)
    for word in _WORD.findall(line):
        if lines[-1].strip() and cell_len(lines[-1] + word) > width:
            lines.append(indent + word.lstrip())
        else:
            lines[-1] += word

    return lines


@contextmanager
def errors_told() -> Iterator[None]:
    """Turn whatever is raised into one readable message on stderr and an exit code.

    With ``PENSTOCK_DEBUG=1`` in the environment the traceback is shown before it.
    """
    try:
        yield
    except (typer.Exit, typer.BadParameter):  # an ending, or a wrong command line
        raise
    except KeyboardInterrupt as error:
        _tell(error, ["interrupted"], ExitCode.INTERRUPTED)
    except SubscriberError as error:
        _tell(error, [f"error: {error}"], ExitCode.INTERNAL_ERROR)
    except ValidationError as error:
        tell_faults(faults_of(error))
        _tell(error, [], ExitCode.REFUSED)
    except (PenstockError, OSError) as error:
        _tell(error, [f"error: {error}", *_advice(error)], ExitCode.REFUSED)
    except sqlite3.Error as error:
        said = f"error: study.sqlite cannot be read: {error}"
        _tell(error, [said, "`penstock doctor` says what is wrong with it"], ExitCode.REFUSED)
    except MemoryError as error:
        _tell(error, [f"error: {out_of_memory()}", "what was saved is safe"], ExitCode.REFUSED)
    except SystemExit as error:
        said = f"error: the study's own code called exit({error.code!r}) when it was loaded"
        _tell(error, [said], ExitCode.REFUSED)
    except Exception as error:  # noqa: BLE001 - the last resort, and it says so
        said = f"internal error: {type(error).__name__}: {error}"
        advice = "PENSTOCK_DEBUG=1 in the environment shows where; what was saved is safe"
        _tell(error, [said, advice], ExitCode.INTERNAL_ERROR)


def _advice(error: Exception) -> Iterator[str]:
    """Return what to do where the system's own message does not say it."""
    lack = lack_of_files() if getattr(error, "errno", None) == EMFILE else None
    if lack is not None:
        yield lack


def faults_of(error: ValidationError) -> tuple[str, ...]:
    """List what is wrong with a study, a line each, with the file where it was read from one."""
    place = f"{error.path}: " if isinstance(error, StudyFileError) else ""
    return tuple(in_one_line(f"{place}{fault}") for fault in error.errors)


def tell_faults(faults: Sequence[str]) -> None:
    """Print what keeps a study from being run, a line each."""
    say(*(f"error: {fault}" for fault in faults))
    if len(faults) > 1:
        say(f"the study cannot be run: {counted(len(faults), 'error')}")


def _tell(error: BaseException, lines: Iterable[str], code: ExitCode) -> NoReturn:
    if os.environ.get("PENSTOCK_DEBUG") == "1":
        say("".join(traceback.format_exception(error)).rstrip())

    say(*lines)
    raise typer.Exit(code) from None


def ensure_descriptors() -> None:
    """Open what the caller closed, so that no file of a study gets the number of stdout."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one

    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, "w", closefd=False))  # noqa: SIM115


def content_in_words(content: Any) -> str:
    """Write a content, as it is kept or as it is sent; an image is only described."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else repr(content or "")

    return "\n".join(map(_part_in_words, content))


def _part_in_words(part: Mapping[str, Any]) -> str:
    if part["type"] == "text":
        return str(part["text"])

    if "image_url" in part:
        return f"[image {part['image_url']['url']}]"

    if "source" in part:
        source = part["source"]
        return f"[image {source.get('url') or source['media_type']}]"

    return f"[image {part['media_type']}, {part['bytes']:,} bytes]"
