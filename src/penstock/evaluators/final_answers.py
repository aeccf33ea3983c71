r"""Final answers: which number of a text is meant, as a careful reader finds it.

A number that is marked as the answer comes before all others. A mark is, the strongest first,
``\boxed{42}`` or ``#### 42``, then ``the answer is 42``, ``Answer: 42`` or ``<answer>42``, then a
line that begins with ``A:``; of equal marks the last one counts. Without a mark the last number
of the text is meant. What follows a next question (a line ``Question:`` or ``Q:``) is not read,
and a line that says how confident somebody is does not count as the last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from penstock.evaluators.markup import last_boxed, plain
from penstock.evaluators.numbers import Number, find_numbers, last_number

__all__ = ["MarkedPart", "final_number", "marked_parts", "single_number"]


def single_number(text: str, decimal: str = ".") -> Number | None:
    r"""Read a text that states one number, whatever words are around it; None for any other.

    Where the text marks its result (``... #### 72``, ``\boxed{72}``), that is read alone.
    """
    boxed = last_boxed(text)
    if boxed is None and "####" in text:
        boxed = text.rpartition("####")[2]

    stated = plain(text if boxed is None else boxed)
    numbers = [*islice(find_numbers(stated, decimal), 2)]
    if len(numbers) != 1 or stated.startswith("!", numbers[0].end):  # 5! is not 5
        return None

    return numbers[0] if numbers[0].value is not None else None


def final_number(text: str, decimal: str = ".") -> Number | None:
    """Find the number that a text gives as its answer; None where it gives none, or several.

    Args:
        text: An answer, as a model or a person wrote it.
        decimal: The mark before decimals, ``.`` or ``,``.
    """
    text = _before_next_question(text)
    boxed = last_boxed(text)
    if boxed is not None:
        return _of_statement(plain(boxed), decimal)

    for part in marked_parts(text):
        number = _marked(part, decimal)
        if number is not None:
            return number if number.value is not None else None

    return _last_stated(text, decimal)


_DIGIT = re.compile(r"\d")
_NEXT_QUESTION = re.compile(r"\n[ \t]{0,9}(?:Q|Question|Problem)[ \t]?\d{0,9}[ \t]?:")


def _before_next_question(text: str) -> str:
    if "\n" not in text:
        return text

    following = _NEXT_QUESTION.search(text)
    if following is None or not _DIGIT.search(text, 0, following.start()):
        return text

    return text[: following.start()]


def _of_statement(stated: str, decimal: str) -> Number | None:
    """Read what states a result: one number, or one behind the last equals sign."""
    numbers = [*islice(find_numbers(stated.rpartition("=")[2], decimal), 2)]
    return numbers[0] if len(numbers) == 1 and numbers[0].value is not None else None


_HASHES = re.compile(r"####")
_VERB = r"(?:is|was|are|equals|(?:would|should|will|must|has[ ]to)[ ]be)(?!\w)"
_ANSWER = re.compile(
    rf"""
    answers?[*_`"')\]]{{0,9}}
    (?:[ \t]{{1,9}}(?:to|for|of|in)\b[^\n.:=]{{0,80}}?)?        # the answer to the question is
    (?:[ \t]{{0,9}}\([^()\n]{{0,60}}\))?                        # the answer (in dollars) is
    (?:(?:[ \t]{{0,9}}[*_`"')\]]{{0,9}}[ \t]{{0,9}}(?:[:=>]|{_VERB}|[-\u2013\u2014](?=\s)))+
    |[*_`]{{0,9}}[ \t]{{0,9}}\n)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_A = re.compile(r"A:")
_MOST_MARKS = 20
_LONGEST_LINE = 2000


class MarkedPart(NamedTuple):
    """What follows a mark such as ``Answer:``.

    Args:
        rest: The text from there on.
        stated: Its first line, in plain writing.
        is_bare: Whether the mark is ``####``, which is also how headings begin.
        is_open: Whether the mark ends with a colon or a line, so that sentences may follow.
    """

    rest: str
    stated: str
    is_bare: bool
    is_open: bool


def marked_parts(text: str) -> Iterator[MarkedPart]:
    """List what a text marks as its answer, the strongest mark first."""
    for mark in _marks(text):
        lead = _LEAD.match(text, mark.end())
        rest = text[mark.end() if lead is None else lead.end() :]
        yield MarkedPart(
            rest,
            stated=plain(rest[:_LONGEST_LINE].partition("\n")[0]),
            is_bare=mark.re is _HASHES,
            is_open=mark[0].rstrip(" \t*_`").endswith((":", "\n")),
        )


def _marks(text: str) -> Iterator[re.Match[str]]:
    """List where a text says that its answer follows, the strongest mark first."""
    if (at := text.rfind("####")) >= 0 and (hashes := _HASHES.match(text, at)):
        yield hashes

    lower = text.lower()
    if len(lower) != len(text):  # some letters of Turkish become two
        lower = text

    at = len(text)
    for _ in range(_MOST_MARKS):
        at = lower.rfind("answer", 0, at)
        if at < 0:
            break

        if text[at - 1 : at] != "/" and (mark := _ANSWER.match(text, at)):
            yield mark

    at = text.rfind("\nA:") + 1
    if mark := _A.match(text, at):
        yield mark


_LEAD = re.compile(r"[\s*_`#>|:=]*(?:[-\u2013\u2014\u2022]\s+)?")
_FILLER = re.compile(
    r"(?:(?:approximately|about|around|roughly|exactly|nearly|just|only|simply|now|therefore|thus"
    r"|then|indeed|clearly|still|actually|also|equal to)\b[,:]?\s*)*(?:[A-Za-z]\w{0,2}\s*=)?",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.;!?](?=\s|$)")
_JOINS = re.compile(r"\s*(?:,?\s*\b(?:or|and|to)\b|[-\u2013\u2014+\u00d7*/\u2212])\s*")


def _marked(part: MarkedPart, decimal: str) -> Number | None:
    """Read the number behind a mark; None where none follows, no value where several may."""
    stated = part.stated
    filler = _FILLER.match(stated)
    first = next(find_numbers(stated, decimal), None)
    after = 0 if filler is None else filler.end()
    if first is not None and not any(map(str.isalnum, stated[after : first.start])):
        return first if part.is_bare else _of_chain(stated, first, decimal)

    if part.is_bare:
        return None  # a heading

    if part.is_open:
        return _last_stated(part.rest, decimal)

    end = _SENTENCE_END.search(stated)
    sentence = stated if end is None else stated[: end.start()]
    *_, last = [None, *find_numbers(sentence, decimal)]
    return last


def _of_chain(stated: str, first: Number, decimal: str) -> Number:
    """Follow ``6 x 7 = 42`` to its result; ``3 or 7`` and ``5 + 3`` are not one number."""
    end = _SENTENCE_END.search(stated, first.end)
    sentence = stated if end is None else stated[: end.start()]
    others = [number for number in find_numbers(sentence, decimal) if number.start >= first.end]
    result = sentence.rfind("=", first.end)
    if result >= 0:
        return next((number for number in others if number.start > result), first)

    if others and _JOINS.fullmatch(sentence, first.end, others[0].start):
        return first._replace(value=None)

    return first


_CONFIDENCE = re.compile(r"[\s*_`(\[]*(?:my[ ])?confidence\b", re.IGNORECASE)
_LIST_ITEM = re.compile(r"\s*\d{1,3}[.)]\s+(?=\S)")
_QUOTE = re.compile(r"\s*(?:>\s)+")


def _last_stated(text: str, decimal: str) -> Number | None:
    """Find the last number of a text; the number of a list's item counts where it is the only."""
    item = None
    for line in reversed(text.splitlines()):
        if (line.isascii() and not _DIGIT.search(line)) or _CONFIDENCE.match(line):
            continue

        quote, listed = _QUOTE.match(line), _LIST_ITEM.match(line)
        begin = quote.end() if quote else listed.end() if listed else 0
        if number := last_number(plain(line[begin:]), decimal):
            return number

        if listed and item is None:
            item = next(find_numbers(line[:begin], decimal), None)

    return item
