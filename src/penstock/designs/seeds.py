"""Seeds of designs that draw their conditions."""

from __future__ import annotations

import numpy as np

__all__ = ["numpy_generator"]


def numpy_generator(seed: int) -> np.random.Generator:
    """Make numpy's generator from a study's seed, which may be negative."""
    return np.random.default_rng(seed % 2**64)
