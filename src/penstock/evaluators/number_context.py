"""What stands around the digits of a number: sign and currency before, scale and percent behind."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["MINUS", "REACH", "Front", "read_behind", "read_front"]

MINUS = "\u2212"
REACH = 12
"""How many characters before its digits may belong to a number: ``- US$ 5``."""

_FUNCTION = r"\b(?:sqrt|cbrt|log|ln|lg|exp|sin|cos|tan|arcsin|arccos|arctan)(?:_\w+)?"
_NOT_A_NUMBER_AFTER = re.compile(
    rf"(?:(?<![-=<>])[<>]=?|[\xb1\u221a/]|{_FUNCTION})[ \xa0]?\(?$", re.IGNORECASE
)
_NEGATIVE_AFTER = re.compile(r"(?:^|[^\d\s)%]\s*)\b(?:minus|negative)[ \xa0]$", re.IGNORECASE)


class Front(NamedTuple):
    """What stands before the digits of a number."""

    start: int
    is_negative: bool = False
    has_currency: bool = False


_CURRENCY = (
    r"(?:[A-Z]{1,3})?[$\xa2-\xa5\u20a0-\u20bf]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|Rs\.?)"
)
_BEFORE = re.compile(
    rf"(?:(?P<sign>[-+\u2212\u2013])(?P<gap>[ \xa0]?))?"
    rf"(?:(?<![A-Za-z])(?P<currency>{_CURRENCY})[ \xa0]?)?"
    rf"(?:(?P<inner>[-+\u2212])[ \xa0]?)?$"
)


def read_front(text: str, start: int, end: int) -> Front | None:
    """Read the sign and currency before a number; None after what makes it something else."""
    reach = text[max(0, start - REACH) : start]
    if not reach:
        return Front(start)

    if _NOT_A_NUMBER_AFTER.search(reach):
        return None

    if reach[-1] == " " and reach[-2:-1].islower():  # most numbers follow a word
        return Front(start, is_negative=_NEGATIVE_AFTER.search(reach) is not None)

    before = _BEFORE.search(text, max(0, start - REACH), start)
    if before is None or before.start() == start:
        return Front(start)

    has_currency = before["currency"] is not None
    sign, begin = before["inner"], before.start()
    if sign is None and before["sign"] is not None:
        if _is_sign(text, before, end):
            sign = before["sign"]
        else:
            begin = before.end("gap")

    return Front(begin, sign not in (None, "+"), has_currency)


def _is_sign(text: str, before: re.Match[str], end: int) -> bool:
    """Distinguish a sign from a hyphen, a dash of a range or of a list, and a subtraction."""
    at, sign = before.start("sign"), before["sign"]
    ahead = text[max(0, at - REACH) : at]
    last = ahead.rstrip(" \xa0")[-1:]
    if last.isdigit() or (last and last in ")]%-\u2013\u2014"):
        return False

    if not before["gap"] or sign == MINUS:
        return not ahead[-1:].isalpha()

    is_alone = not text[:at].strip() and not text[end:].strip(" .\n")
    return is_alone or (last != "" and last in "=([{")


_SCALES = {
    "dozen": 12,
    "hundred": 100,
    "thousand": 10**3,
    "lakh": 10**5,
    "million": 10**6,
    "mln": 10**6,
    "mio": 10**6,
    "crore": 10**7,
    "billion": 10**9,
    "bln": 10**9,
    "mrd": 10**9,
    "trillion": 10**12,
}
_SHORT_SCALES = {"k": 10**3, "m": 10**6, "mn": 10**6, "b": 10**9, "bn": 10**9, "t": 10**12}
_JOINED_SCALES = frozenset({"k", "M", "B"})
"""What scales other numbers than money too, where it is joined to them; 300K is a temperature."""
_SCALE = re.compile(rf"[ \xa0-]({'|'.join(_SCALES)})s?\b", re.IGNORECASE)
_SHORT_SCALE = re.compile(rf"[ \xa0]?({'|'.join(_SHORT_SCALES)})\b", re.IGNORECASE)
_PERCENT = re.compile(r"[ \xa0]?%|[ \xa0-](?:percent|per cent|pct)\b", re.IGNORECASE)


def read_behind(text: str, end: int, *, has_currency: bool) -> tuple[int, int, bool]:
    """Read what follows a number: by how much it is scaled, where that ends, whether it is %."""
    scale = 1
    while word := _SCALE.match(text, end):
        scale *= _SCALES[word[1].lower()]
        end = word.end()

    short = _SHORT_SCALE.match(text, end)
    if short and scale == 1 and (has_currency or short[0] in _JOINED_SCALES):
        scale, end = _SHORT_SCALES[short[1].lower()], short.end()

    percent = _PERCENT.match(text, end)
    return scale, end if percent is None else percent.end(), percent is not None
