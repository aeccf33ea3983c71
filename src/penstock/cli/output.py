"""What the command line says: lines for people, and JSON for machines."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import typer

from penstock._base.text import printable
from penstock.cli.exit_codes import ExitCode
from penstock.errors import PenstockError, StudyFileError, SubscriberError, ValidationError

__all__ = [
    "counted",
    "emit",
    "ensure_descriptors",
    "errors_told",
    "listed",
    "say",
]


def say(*lines: str) -> None:
    """Write lines for a person to stderr; that nobody can read them stops nothing."""
    with suppress(OSError, ValueError):
        sys.stderr.write("".join(f"{printable(line)}\n" for line in lines))
        sys.stderr.flush()


def emit(event: str, /, *, to: TextIO | None = None, **fields: Any) -> None:
    """Write one JSON object for a machine, on a line of its own, to stdout."""
    out = to or sys.stdout
    out.write(json.dumps({"event": event, **fields}, default=str) + "\n")
    out.flush()


def counted(number: int, noun: str) -> str:
    """Write ``1 run`` or ``1,000 runs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(rows: Sequence[tuple[str, ...]], most: int = 12) -> Iterator[str]:
    """Lay rows out in columns, and say how many more there are than are shown."""
    shown = rows[:most]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        yield "  " + "  ".join(map(str.ljust, row, widths)).rstrip()

    if len(rows) > most:
        yield f"  ... and {len(rows) - most:,} more"


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
        _tell(error, _sentences(error), ExitCode.REFUSED)
    except (PenstockError, OSError) as error:
        _tell(error, [f"error: {error}"], ExitCode.REFUSED)
    except SystemExit as error:
        said = f"error: the study's own code called exit({error.code!r}) when it was loaded"
        _tell(error, [said], ExitCode.REFUSED)
    except Exception as error:  # noqa: BLE001 - the last resort, and it says so
        said = f"internal error: {type(error).__name__}: {error}"
        advice = "PENSTOCK_DEBUG=1 in the environment shows where; what was saved is safe"
        _tell(error, [said, advice], ExitCode.INTERNAL_ERROR)


def _sentences(error: ValidationError) -> list[str]:
    if isinstance(error, StudyFileError):
        return [f"error: {error}"]

    if len(error.errors) == 1:
        return [f"error: {error.errors[0]}"]

    count = counted(len(error.errors), "error")
    return [f"error: the study cannot be run: {count}", *(f"  {each}" for each in error.errors)]


def _tell(error: BaseException, lines: Iterable[str], code: ExitCode) -> None:
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
