"""Markup: LaTeX, tags and typographic characters, rewritten to what a plain reader looks for."""

from __future__ import annotations

import re
import unicodedata

__all__ = [
    "INVISIBLE",
    "SPACES",
    "THOUGHT_TAG",
    "last_boxed",
    "normal",
    "plain",
    "without_thoughts",
]

THOUGHT_TAG = r"(?:think|thinking|thoughts?|reasoning|seed:think)"
"""The names of tags between which models were trained to reason."""

SPACES = "\xa0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
"""Spaces beside the plain one: some that do not break, some of a width of their own."""

INVISIBLE = "\xad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff" + "".join(
    map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
)
"""Characters that are not seen: joiners, marks of direction, soft hyphens."""


def normal(text: str) -> str:
    """Return a text in one way: Unicode's composed form, one kind of space, nothing invisible."""
    return text if text.isascii() else unicodedata.normalize("NFC", text).translate(_SPACES)


_SPACES: dict[int, str | None] = {
    **dict.fromkeys(map(ord, SPACES), " "),
    **dict.fromkeys(map(ord, INVISIBLE), None),
}


def without_thoughts(text: str) -> str:
    """Return what follows the reasoning that some models write into their answer.

    It ends with ``</think>``, whether it is opened in the answer or in the prompt; where it is
    opened and never ends, the answer was cut off before it began.
    """
    if "<" not in text:
        return text

    ends = [*_THOUGHTS_END.finditer(text)]
    if ends:
        text = text[ends[-1].end() :].lstrip()

    return "" if _THOUGHTS.match(text) else text


_THOUGHTS = re.compile(rf"\s*<{THOUGHT_TAG}>", re.IGNORECASE)
_THOUGHTS_END = re.compile(rf"</{THOUGHT_TAG}>", re.IGNORECASE)


def plain(text: str) -> str:
    r"""Rewrite a piece of an answer so that numbers in it are written in one way.

    ``\frac{1}{2}`` becomes ``1/2``, ``12{,}500`` and ``12\,500`` lose what LaTeX needs, ``⁸`` and
    ``^{8}`` become ``^8``, ``½`` becomes ``1/2``; tags and invisible characters go, and the many
    minus signs, spaces, apostrophes and multiplication signs become one of each.
    """
    if "<" in text:
        text = _TAGS.sub(" ", text)

    if "\\" in text or "{" in text:
        text = _without_latex(text)

    return text if text.isascii() else _without_typography(text)


def last_boxed(text: str) -> str | None:
    r"""Return what stands in the last ``\boxed{...}`` of a text, or None where there is none.

    Braces inside are kept; a box that is never closed reaches to the end of its line.
    """
    if "box" not in text:
        return None

    boxes = list(_BOX.finditer(text))
    if not boxes:
        return None

    opening = boxes[-1]

    depth = 1
    for brace in _BRACE.finditer(text, opening.end()):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return text[opening.end() : brace.start()]

    return text[opening.end() :].partition("\n")[0]


_BOX = re.compile(r"\\f?boxed\s*\{|\\fbox\s*\{")
_BRACE = re.compile(r"(?<!\\)[{}]")
_TAGS = re.compile(r"<<[^<>]*>>|</?[A-Za-z][^<>]*>")


def _without_latex(text: str) -> str:
    for pattern, written in _LATEX:
        text = pattern.sub(written, text)

    return text


_GROUP = r"\{([^{}]*)\}"
_LATEX = [
    (re.compile(pattern), written)
    for pattern, written in (
        (r"\\!", ""),
        (r"\\[,;:> ]|~|\\q?quad\b", "\u00a0"),
        (r"\{([-+,.])\}", r"\1"),
        (r"\\([$%#&_-])", r"\1"),
        (r"\\(?:left|right|big|displaystyle|limits)(?![A-Za-z])|\\[()\[\]]", ""),
        (
            rf"\\(?:text|mathrm|mathbf|mathit|textbf|textit|mbox|operatorname|hbox)\s*{_GROUP}",
            r" \1 ",
        ),
        (r"\\(?:times|cdot|ast)(?![A-Za-z])", "\u00d7"),
        (r"\^\s*\{?\s*\\circ\s*\}?|\\(?:degree|circ)(?![A-Za-z])", "\u00b0"),
        (r"\\pi(?![A-Za-z])", "\u03c0"),
        (r"\\sqrt(?![A-Za-z])", "\u221a"),
        (r"\\(log|ln|lg|exp|sin|cos|tan|arcsin|arccos|arctan)(?![A-Za-z])", r" \1"),
        (r"\\pm(?![A-Za-z])", "\u00b1"),
        (r"\\(?:leq?|geq?|lt|gt)(?![A-Za-z])", "<"),
        (r"\\(?:approx|sim|simeq)(?![A-Za-z])", "="),
        (rf"\^\s*{_GROUP}", r"^\1"),
        (r"(?<=\d)\s*\\[dtc]?frac\s*(?=[\d{])", r" \\frac"),
        (rf"\\[dtc]?frac\s*{_GROUP}\s*{_GROUP}", r"\1/\2"),
        (r"\\[dtc]?frac\s*(\d)\s*(\d)", r"\1/\2"),
        (r"\\[A-Za-z]+\*?", " "),
        (r"[{}]", ""),
    )
]


def _without_typography(text: str) -> str:
    text = _SUPERSCRIPTS.sub(lambda found: "^" + found[0].translate(_RAISED), text)
    text = _FRACTIONS.sub(_vulgar_fraction, text)
    return text.translate(_ONE_OF_EACH)


_RAISED = str.maketrans(
    "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b\u207a", "0123456789-+"
)
_SUPERSCRIPTS = re.compile("[\u207b\u207a]?[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+")
_VULGAR = {
    "\u00bd": "1/2", "\u2153": "1/3", "\u2154": "2/3", "\u00bc": "1/4", "\u00be": "3/4",
    "\u2155": "1/5", "\u2156": "2/5", "\u2157": "3/5", "\u2158": "4/5", "\u2159": "1/6",
    "\u215a": "5/6", "\u215b": "1/8", "\u215c": "3/8", "\u215d": "5/8", "\u215e": "7/8",
}  # fmt: skip
_FRACTIONS = re.compile(f"(\\d\\s?)?([{''.join(_VULGAR)}])")


def _vulgar_fraction(found: re.Match[str]) -> str:
    whole = f"{found[1].strip()} " if found[1] else ""
    return whole + _VULGAR[found[2]]


def _each_to(one: str | None, characters: str) -> dict[int, str | None]:
    return {ord(character): one for character in characters}


_ONE_OF_EACH = {
    **_each_to("\u2212", "\ufe63\uff0d"),
    **_each_to("-", "\u2010\u2011"),
    **_each_to("\u2014", "\u2015\u2e3a"),
    **_each_to("\u00a0", SPACES),
    **_each_to("'", "\u2018\u2019\u02bc\u2032\uff07\u00b4"),
    **_each_to("\u00d7", "\u00b7\u22c5\u2219\u2715\u2a2f\u2217"),
    **_each_to("/", "\u2044\u2215\uff0f"),
    **_each_to(",", "\uff0c\u066c"),
    **_each_to(".", "\uff0e\u066b"),
    **_each_to("%", "\uff05\u066a"),
    **_each_to("$", "\uff04"),
    **_each_to("<", "\u2264\u2265\u226a\u226b"),
    **_each_to("=", "\u2248\u2243\uff1d"),
    **_each_to(":", "\uff1a"),
    **_each_to(None, INVISIBLE),
    **{0xFF10 + digit: str(digit) for digit in range(10)},
}  # fmt: skip
