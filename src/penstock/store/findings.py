"""What a look at a study's directory finds."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EDITED", "SHOWN", "Finding"]

SHOWN = 3
"""So many examples of a fault are named."""

EDITED = "the file was edited by something else; restore a copy of it"


class Finding(NamedTuple):
    """Something that was found."""

    is_wrong: bool
    """Whether something is damaged; else it is only worth knowing."""

    what: str
    advice: str = ""
