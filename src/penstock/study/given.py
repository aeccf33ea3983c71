"""What is given from Python where a study, or conditions, are wanted: refused in words if not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import Any

from penstock.errors import ValidationError
from penstock.study.conditions import Condition
from penstock.study.model import Study

__all__ = ["refuse_other_conditions", "refuse_other_study"]


def refuse_other_study(given: Any) -> None:
    """Refuse what is no study.

    Raises:
        TypeError: it is something else; how a study is made of it.
    """
    if isinstance(given, Study):
        return

    if isinstance(given, (str, PathLike)):
        advice = f"penstock.load_study({fspath(given)!r}) reads one from a file"
    elif isinstance(given, Mapping):
        advice = "penstock.Study(**fields) makes one of its fields"
    else:
        advice = "penstock.Study makes one, and penstock.load_study reads one from a file"

    raise TypeError(f"{given!r:.80} is not a study; {advice}")


def refuse_other_conditions(given: Any) -> None:
    """Refuse what is no sequence of conditions.

    Raises:
        ValidationError: it is something else, or holds something else; how conditions are made.
    """
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise ValidationError([_no_condition("conditions", given)])

    for at, each in enumerate(given):
        if not isinstance(each, Condition):
            raise ValidationError([_no_condition(f"conditions[{at}]", each)])


def _no_condition(place: str, given: Any) -> str:
    advice = "penstock.conditions(rows) makes a list of them from mappings of factors to values"
    return f"{place}: must be a condition (got {given!r:.80}); {advice}"
