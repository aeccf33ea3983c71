"""Numbers as people write them: found in a text, read exactly, compared.

A number may have thousands separators, a sign, a currency, a fraction, a power, a percent sign or
a word such as *million* behind it. What looks like a number and is not one (a date, a time of
day, ``1.2.3``, ``2x``, the root of 2) is found too, without a value; digits of a name (``GPT-4``,
``CO2``, ``m^2``) are not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Context, Decimal
from itertools import takewhile
from typing import NamedTuple

from penstock.evaluators.number_context import MINUS, REACH, read_behind, read_front

__all__ = ["Number", "are_equal", "find_numbers", "last_number"]


class Number(NamedTuple):
    """A number in a text, or what only looks like one.

    Args:
        start: Where it begins in the text, its sign and currency included.
        end: Where it ends, a percent sign or a word of scale included.
        value: Its value; None where it cannot be read as one number.
        is_whole: Whether it is written as a whole number.
        is_percent: Whether it is a percentage; its value is the number before the sign.
    """

    start: int
    end: int
    value: Decimal | None
    is_whole: bool = False
    is_percent: bool = False


def find_numbers(text: str, decimal: str = ".", at: int = 0) -> Iterator[Number]:
    """Find the numbers of a text, and what looks like one, in order.

    Args:
        text: Plain text (see `penstock.evaluators.markup.plain`).
        decimal: The mark before decimals, ``.`` or ``,``; the other one separates thousands.
        at: Where to begin.
    """
    while digit := _DIGIT.search(text, at):
        number = _read(text, digit.start(), decimal)
        at = number.end
        if not _is_in_a_name(text, digit.start()):
            yield number


def last_number(text: str, decimal: str = ".") -> Number | None:
    """Find the last number of a text that has a value, without reading all those before it."""
    starts = [run.start() for run in _DIGITS.finditer(text)]
    until, skipped = len(text), 0
    while starts:
        at = starts.pop()
        if skipped < _MOST_JOINED and _DIGIT.search(text, max(0, at - REACH), at):
            skipped += 1
            continue  # the two may belong together, as in 3 x 10^8

        found = takewhile(lambda number: number.start < until, find_numbers(text, decimal, at))  # noqa: B023
        valued = [number for number in found if number.value is not None]
        if valued:
            return valued[-1]

        until, skipped = at, 0

    return None


def are_equal(
    found: Number, expected: Number, *, tolerance: float, relative_tolerance: float | None
) -> bool:
    """Return whether two numbers that have a value are the same.

    A percentage equals its hundredth, and beside a number from 1 on, which may be a percentage
    whose sign was left out, the number before its sign as well.

    Args:
        found: The number of an answer.
        expected: The right number.
        tolerance: The difference that does not count.
        relative_tolerance: The same as a share of the expected number. Where it is None, whole
            numbers must be equal and others may differ by a billionth.
    """
    if relative_tolerance is None:
        relative_tolerance = 0.0 if found.is_whole and expected.is_whole else 1e-9

    for value, right in _pairs(found, expected):
        difference = _EXACT.abs(_EXACT.subtract(value, right))
        allowed = _EXACT.multiply(_EXACT.abs(right), Decimal(relative_tolerance))
        if value == right or difference <= max(allowed, Decimal(tolerance)):
            return True

    return False


def _pairs(found: Number, expected: Number) -> Iterator[tuple[Decimal, Decimal]]:
    """Yield the values to compare: more than one pair where a percentage meets a plain number."""
    value, right = found.value, expected.value
    if value is None or right is None:
        return

    if found.is_percent == expected.is_percent:
        yield value, right
        return

    plain = right if found.is_percent else value
    if abs(plain) >= 1:
        yield value, right

    if found.is_percent:
        yield _EXACT.divide(value, Decimal(100)), right
    else:
        yield value, _EXACT.divide(right, Decimal(100))


_EXACT = Context(prec=60, traps=[])
_MOST_DIGITS = 4000
_MOST_JOINED = 20
"""How many groups of digits may belong to one number; a table of numbers has more."""

_DIGIT = re.compile(r"\d")
_DIGITS = re.compile(r"\d+")
_CHUNK = r"(?:\d{1,3}(?P<space>[ \xa0])\d{3}(?!\d)(?:(?P=space)\d{3}(?!\d))*|\d+)(?:[.,:'_]\d+)*"
_NUMBER = re.compile(
    rf"""
    (?P<digits>{_CHUNK})
    (?:[eE](?P<exponent>[-+\u2212]?\d+)(?!\w))?
    (?:[ ]?/[ ]?(?P<divisor>\d+(?:[.,:'_]\d+)*)        # 3/4
      |[ \xa0](?P<part>\d+)/(?P<parts>\d+))?           # 1 3/4
    (?P<times_ten>\s?[\u00d7xX*]\s?10(?=\s?\^|\*\*))?
    (?:(?:\s?\^\s?|\*\*)\(?(?P<power>[-+\u2212]?\d+)\)?)?
    """,
    re.VERBOSE,
)
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?(?!\d)|\d\d?-\d\d?-\d{4}(?!\d)")
_HAS_NO_VALUE_BEFORE = re.compile(
    r"""
    [inxyz](?!\w)                                          # 2x, 3i
    |(?!(?![xX])[A-Za-z\xb5]{1,4}[23](?!\w))[^\W\d_]+\d    # 0x1F, but not 5m2
    |[ \xa0]?[\u03c0\u221a]                                # 2 pi
    |\s?\^|[ ]?/[ ]?[\d(]|[.,:]\d                 # 10^x, 1/2/3, 10^2.5
    """,
    re.VERBOSE,
)


def _is_in_a_name(text: str, at: int) -> bool:
    """Distinguish the digits of ``CO2``, ``GPT-4``, ``x_1`` and ``m^2`` from a number."""
    before = text[at - 1] if at else " "
    if before in "_-" and at > 1:
        return text[at - 2].isalnum() if before == "_" else text[at - 2].isalpha()

    return before.isalnum() or before == "^"


_ENDS = frozenset('\n.,;!?)]}*`"')


def _read(text: str, at: int, decimal: str) -> Number:
    """Read the number whose first digit stands at a place of a text."""
    written = _NUMBER.match(text, at)
    if written is None:
        return Number(at, at + 1, None)

    start, end = at, written.end()
    if text[end : end + 1] == "-" and (date := _DATE.match(text, at)):
        return Number(start, date.end(), None)

    digits = written["digits"]
    if text[at - 1 : at] == decimal and not text[max(0, at - 2) : at - 1].isalnum():
        digits, start = f"0{decimal}{digits}", at - 1  # .5

    value = _value(written, digits, decimal)
    is_whole = end == written.end("digits") and decimal not in digits
    follows = text[end : end + 1]
    is_last = not follows or (is_whole and follows in _ENDS)
    if value is None or not (is_last or _HAS_NO_VALUE_BEFORE.match(text, end) is None):
        return Number(start, end, None)

    front = read_front(text, start, end)
    if front is None:
        return Number(start, end, None)

    scale, end, is_percent = (
        (1, end, False) if is_last else read_behind(text, end, has_currency=front.has_currency)
    )
    value = _scaled(value, -scale if front.is_negative else scale)
    return Number(front.start, end, value, is_whole, is_percent)


def _value(written: re.Match[str], digits: str, decimal: str) -> Decimal | None:
    """Work out what digits, exponent, fraction and power come to, without the sign."""
    value = _plain_number(digits, decimal, written["exponent"])
    if value is None:
        return None

    if written["divisor"] is not None:
        divisor = _plain_number(written["divisor"], decimal)
        value = None if divisor is None else _EXACT.divide(value, divisor)
    elif written["part"] is not None:
        part, parts = Decimal(written["part"]), Decimal(written["parts"])
        is_mixed = digits.isdigit() and part < parts
        value = _EXACT.add(value, _EXACT.divide(part, parts)) if is_mixed else None

    if value is not None and written["power"] is not None:
        power = Decimal(written["power"].replace(MINUS, "-"))
        is_scientific = written["times_ten"] is not None
        base = Decimal(10) if is_scientific else value
        raised = _EXACT.power(base, power)
        value = _EXACT.multiply(value, raised) if is_scientific else raised

    return value if value is not None and value.is_finite() else None


_GROUPED = {
    decimal: re.compile(
        rf"(?:\d{{1,3}}(?:([{thousands}' \xa0])\d{{3}}(?:\1\d{{3}})*)?"
        rf"|\d{{1,2}}(?:{thousands}\d\d)+{thousands}\d{{3}}"  # 12,34,567 in India
        rf"|\d+(?:_\d+)*)(?:[{decimal}]\d+)?"
    )
    for decimal, thousands in ((".", ","), (",", r"\."))
}


def _plain_number(digits: str, decimal: str, exponent: str | None = None) -> Decimal | None:
    """Read digits with separators; None where these are not those of a number."""
    if len(digits) > _MOST_DIGITS:
        return None

    if exponent is None and digits.isascii() and digits.isdigit():
        return Decimal(digits)

    if not _GROUPED[decimal].fullmatch(digits):
        return None

    whole, _, decimals = digits.partition(decimal)
    plain = f"{_SEPARATORS.sub('', whole)}.{decimals}"
    if exponent is None:
        return Decimal(plain)

    return _EXACT.create_decimal(f"{plain}E{exponent.replace(MINUS, '-')}")


_SEPARATORS = re.compile(r"[^\d]")


def _scaled(value: Decimal, scale: int) -> Decimal:
    if scale in (1, -1):
        return value if scale == 1 else value.copy_negate()

    return _EXACT.multiply(value, Decimal(scale))
