"""What an extra brings, loaded when something needs it and not before."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from penstock.errors import ValidationError

__all__ = ["load_extra"]


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
        sentence = f"{what} needs {missing}, which is not installed: "
        raise ValidationError([f"{sentence}pip install 'penstock[{extra}]'"]) from error
