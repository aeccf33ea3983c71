"""The logger of the host, or one for hosts that have configured none."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["find_logger", "log_from", "logged_from", "logger"]


def find_logger() -> tuple[Any, bool]:
    """Return the host's logger and that it is; where it configured none, one to stderr."""
    import structlog  # noqa: PLC0415 - 90 ms that `penstock --help` need not wait

    if structlog.is_configured():
        return structlog.get_logger("penstock"), True

    warnings = structlog.make_filtering_bound_logger("warning")
    return structlog.wrap_logger(structlog.PrintLogger(sys.stderr), wrapper_class=warnings), False


def logger() -> Any:
    """Return the host's logger, or one to stderr."""
    return find_logger()[0]


def logged_from() -> int:
    """Return from which level on the host logs; 0 where structlog does not know."""
    import structlog  # noqa: PLC0415 - as above

    try:
        return int(structlog.get_logger().get_effective_level())
    except (AttributeError, TypeError):
        return 0


def log_from(level: int) -> None:
    """Log from a level on in this process, as another does."""
    import structlog  # noqa: PLC0415 - as above

    if level:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
