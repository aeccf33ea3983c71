"""Log events as readable lines on stderr; the one place that configures structlog."""

from __future__ import annotations

from collections import Counter
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog
from structlog.typing import Processor

from penstock._base.text import printable
from penstock.cli.streams import ToStderr

__all__ = ["show_logs"]

_SHOWN_OF_A_KIND = 20


def show_logs(*, verbose: bool) -> None:
    """Show warnings and errors; the first few of each kind, unless everything is asked for."""
    sieve: list[Processor] = [] if verbose else [_without_what_was_said, _Few()]
    structlog.configure(
        processors=[*sieve, structlog.processors.format_exc_info, _line],
        wrapper_class=structlog.make_filtering_bound_logger("info" if verbose else "warning"),
        logger_factory=_loggers,
    )


def _loggers(*_: Any) -> structlog.PrintLogger:
    return structlog.PrintLogger(cast("TextIO", ToStderr()))


def _without_what_was_said(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Drop what the command line itself has just told."""
    is_interrupt = event["event"] == "study.stopping" and event["reason"].startswith(
        "interrupted by "
    )
    if is_interrupt or event["event"] == "calls.lost":
        raise structlog.DropEvent

    return event


class _Few:
    """Drops what says the same as an event before it, and events of a kind once there are many.

    How many failures were alike is told at the end of a command, and by `status`.
    """

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()
        self._seen: Counter[str] = Counter()

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        kind = str(event["event"])
        if "error" in event:
            same = (kind, str(event["error"]))
            if same in self._said:
                raise structlog.DropEvent

            self._said.add(same)

        self._seen[kind] += 1
        if self._seen[kind] > _SHOWN_OF_A_KIND + 1:
            raise structlog.DropEvent

        if self._seen[kind] > _SHOWN_OF_A_KIND:
            return {"event": f"{kind}: more of them are not shown; --verbose shows all"}

        return event


def _line(_logger: Any, level: str, event: MutableMapping[str, Any]) -> str:
    """Write ``error: run.failed run_id=run-1 error=...``; a traceback follows on its own lines."""
    event.pop("study_id", None)  # there is one study here
    kind, exception = event.pop("event"), event.pop("exception", None)
    trace = event.pop("traceback", exception)
    pairs = [f"{key}={value}" for key, value in event.items()]
    line = " ".join([f"{level}: {kind}", *pairs]).replace("\n", " ")
    return printable(f"{line}\n{trace.rstrip()}" if trace else line)
