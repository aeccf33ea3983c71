"""What the extra ``designs`` brings, loaded when a design asks for it and not before."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from penstock.errors import ValidationError

__all__ = ["load_extra", "numpy_generator"]


def load_extra(module: str, what: str) -> Any:
    """Import a module of the extra ``designs``.

    Args:
        module: The module's full name, ``"scipy.stats.qmc"``.
        what: The design that needs it, for the error.

    Raises:
        ValidationError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ValidationError(
            [f"{what} needs {package}, which is not installed: pip install 'penstock[designs]'"]
        ) from error


def numpy_generator(seed: int) -> np.random.Generator:
    """Make numpy's generator from a study's seed, which may be negative."""
    return np.random.default_rng(seed % 2**64)
