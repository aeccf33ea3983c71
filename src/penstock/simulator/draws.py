"""Randomness that depends on what is drawn for and on nothing else, such as when or how often."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

__all__ = ["Draws"]

T = TypeVar("T")


class Draws:
    """Numbers drawn by name: the same seed and the same names give the same number.

    Args:
        seed: Another seed gives other numbers.
    """

    def __init__(self, seed: int) -> None:
        self._key = blake2b(str(seed).encode(), digest_size=32).digest()

    def whole(self, *names: object) -> int:
        """Draw a whole number of 64 bits."""
        text = "\x1f".join(map(str, names)).encode("utf-8", "replace")
        return int.from_bytes(blake2b(text, digest_size=8, key=self._key).digest())

    def uniform(self, *names: object) -> float:
        """Draw a number from 0 up to, and not including, 1."""
        return (self.whole(*names) >> 11) / 2**53

    def choice(self, choices: Sequence[T], *names: object) -> T:
        """Draw one of several."""
        return choices[self.whole(*names) % len(choices)]
