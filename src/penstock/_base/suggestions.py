"""What was probably meant: how an error about a name that is not known ends."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["did_you_mean"]


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "", *, mark: str = "'") -> str:
    """Return ``; did you mean 'tone'?`` where a known name is near.

    Args:
        name: The name that is not known.
        known: Those that are.
        otherwise: What is returned where none is near.
        mark: What stands around a name.
    """
    near = get_close_matches(name, [*known], n=1)
    return f"; did you mean {mark}{near[0]}{mark}?" if near else otherwise
