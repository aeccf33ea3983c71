"""What an extra brings, loaded when something needs it and not before."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from penstock.errors import ValidationError

__all__ = ["load_extra", "refuse_without"]


def load_extra(module: str, *, extra: str, what: str) -> Any:
    """Import a module that needs an extra.

    Args:
        module: The module's full name, of the library's or of ours.
        extra: The extra's name, for the error.
        what: What needs it, for the error.

    Raises:
        ValidationError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        missing = (error.name or module).partition(".")[0]
        raise _refusal(missing, extra, what) from error


def refuse_without(package: str, *, extra: str, what: str) -> None:
    """Refuse to go on where a package is not there, without importing it: that may take long.

    Raises:
        ValidationError: it is not installed.
    """
    if find_spec(package) is None:
        raise _refusal(package, extra, what)


def _refusal(missing: str, extra: str, what: str) -> ValidationError:
    sentence = f"{what} needs {missing}, which is not installed: "
    return ValidationError([f"{sentence}pip install 'penstock[{extra}]'"])
