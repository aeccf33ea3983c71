r"""Choices: which option of a multiple-choice question an answer chooses, by letter or by text.

The options stand in the problem's payload. A choice is the whole answer (``B``, ``(b)``,
``B. Paris``, ``Paris``), else what the answer marks (``the answer is B``, ``\boxed{B}``), else
the letter that its last line is, else the only letter or the only option that is mentioned. What is
denied (``not B``, ``B is wrong``) is not mentioned. An answer that chooses several chooses none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from string import ascii_uppercase
from typing import Any

from penstock.evaluators.expected import MISSING, ExpectedError, accepted, texts_of
from penstock.evaluators.final_answers import marked_parts
from penstock.evaluators.markup import last_boxed, normal, plain
from penstock.evaluators.texts import contains_text
from penstock.study.problem import Problem
from penstock.study.scoring import ChoiceOptions

__all__ = ["CHOICE_VERSION", "choice_check"]

CHOICE_VERSION = 2


def choice_check(options: ChoiceOptions, problem: Problem) -> Callable[[Any], bool]:
    """Make what tells whether an answer chooses an expected option.

    Raises:
        ExpectedError: the problem has no options that could be chosen from, or its expected
            answer is none of them.
    """
    choices = _Choices(_labelled(problem.payload.get(options.options), options))
    right = {_expected(choices, value, options.count_from) for value in accepted(problem)}
    return lambda value: choices.chosen(texts_of(value)[0]) in right


def _labelled(given: Any, options: ChoiceOptions) -> dict[str, str]:
    """Convert options to a mapping from label to text."""
    if given is None:
        return {}

    if isinstance(given, Mapping) and given.keys() >= {"label", "text"}:
        return _paired(given["label"], given["text"])

    if isinstance(given, Mapping):
        return _paired(given.keys(), given.values())

    if isinstance(given, (list, tuple)) and len(given) <= len(ascii_uppercase):
        if all(isinstance(each, Mapping) and each.keys() >= {"label", "text"} for each in given):
            return _paired([each["label"] for each in given], [each["text"] for each in given])

        return _paired(ascii_uppercase, given)

    raise ExpectedError(
        f"has options that cannot be read; make payload.{options.options} a list of texts, a "
        "mapping from letter to text, or the two lists `label` and `text`",
        MISSING,
    )


def _paired(labels: Iterable[Any], texts: Iterable[Any]) -> dict[str, str]:
    return {
        texts_of(label)[0].strip(): texts_of(text)[0]
        for label, text in zip(labels, texts, strict=False)
    }


def _expected(choices: _Choices, value: Any, count_from: int | None) -> str:
    """Return the label of the option that is expected."""
    if count_from is not None and isinstance(value, int) and not isinstance(value, bool):
        at = value - count_from
        if 0 <= at < len(choices.texts):
            return [*choices.texts][at]

        raise ExpectedError("is not the place of an option", value)

    label = choices.whole(texts_of(value)[0])
    if label is None:
        hint = ""
        if isinstance(value, int) and choices.texts:
            hint = "; where it is the place of one, say count_from: 0 or count_from: 1"

        raise ExpectedError(f"is neither the letter nor the text of one option{hint}", value)

    return label


_OPENING = r"[\s*_`\"'(\[{<]{0,9}"
_CLOSING = r"[\s*_`\"')\]}>.,:;!]*"
_NAMED = r"(?:(?:option|choice|answer|letter)\b[\s:.]{0,9})?"
_AND = re.compile(r"[\s*_)\]]{0,9}(?:,|/|&|\+|\band\b|\bor\b)(?:[\s/]|\bor\b|\band\b){0,9}[(\[]?")
_WORD = r"[^\W_\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]"
"""A character that a letter must not stand beside: Chinese and Korean write no spaces."""

_CHOOSES = (
    r"[Oo]ption|[Cc]hoice|[Aa]nswer|[Cc]h(?:oo|o)s(?:e|ing)|[Pp]ick(?:ing)?|[Ss]elect(?:ing)?"
    r"|[Gg]o(?:ing)?\s+(?:with|for)"
)
_NOT = (
    r"(?i:(?:\b(?:not|never|neither|nor|except|cannot|rather\s+than|instead\s+of|anything\s+but"
    r"|rul(?:e|es|ed|ing)\s+out|eliminat(?:e|es|ed|ing))|n't)\b"
    r"(?:[\s*_`\"'(\[]{0,9}\b(?:be|the|an?|option|choice|answer|letter|correct|right|just)\b){0,4})"
    r"[\s*_`\"'(\[]{0,9}"
)
_IS_WRONG = (
    r"(?i:[\s*_`\"')\]]{0,9}\b(?:(?:is|are|was|were|must\s+be|can\s+be)\s+(?:also\s+)?"
    r"(?:not|wrong|incorrect|false|impossible|ruled\s+out|out|eliminated)|isn't|aren't|cannot\s+be"
    r"|can't\s+be)\b)"
)
_FULL_WIDTH = {0xFF01 + place: 0x21 + place for place in range(94)}
"""Letters, digits and brackets as wide as a Chinese character."""


class _Choices:
    """The options of one problem, and how an answer names one.

    Args:
        texts: Text by label; empty where the problem has no options, and any letter is a label.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self._by_text: dict[str, str | None] = {}
        for label, text in texts.items():
            key = _key(text)
            self._by_text[key] = None if key in self._by_text else label

        labels = "|".join(sorted(map(re.escape, texts), key=len, reverse=True)) or "[A-Z]"
        label = rf"(?P<label>{labels})(?!{_WORD})"
        self._alone = re.compile(rf"{_OPENING}{_NAMED}{_OPENING}{label}{_CLOSING}", re.IGNORECASE)
        self._leading = re.compile(rf"{_OPENING}{_NAMED}{_OPENING}{label}", re.IGNORECASE)
        self._listed = re.compile(rf"[\s*_]*[(\[]?{label}[*_]*[)\].:]")
        self._named = re.compile(
            rf"\b(?:{_CHOOSES})\s*[(\[*_\"']*{label}"
            rf"|[(\[]{label.replace('label', 'bracketed')}[)\]]"
            rf"|(?<![\w']){label.replace('label', 'praised')}[\s*_)\]]+is\s+(?:the\s+)?"
            r"(?:right|correct|best|true|answer)\b"
        )
        self._capital = re.compile(rf"(?<!{_WORD})(?<!['_]){label}(?!')")
        self._denied = _denials(labels, texts.values())

    def chosen(self, answer: str) -> str | None:
        """Return the label of the option that an answer chooses; None for none, or several."""
        answer = normal(answer).translate(_FULL_WIDTH).strip()
        boxed = last_boxed(answer)
        if boxed is not None:
            return self.whole(plain(boxed))

        label = self.whole(answer)
        if label is not None or not answer:
            return label

        for part in marked_parts(answer):
            label = self.whole(part.stated) or self._at_the_start(part.stated)
            if label is not None:
                return label or None

        label = self._last_line(answer)
        return self._begun_or_mentioned(answer) if label is None else label or None

    def _begun_or_mentioned(self, answer: str) -> str | None:
        listed = self._listed.match(answer)
        if listed is None:
            return self._mentioned(answer)

        if self._goes_on(answer, listed.end()):
            return None

        label = self._canonical(listed["label"])
        named = self._by_text.get(_key(answer[listed.end() :]), label)
        return label if named == label else None  # "B. Paris" where Paris is A

    def whole(self, text: str) -> str | None:
        """Return the label of the option that a text names and says nothing else."""
        if text in self.texts:
            return text

        by_text = self._by_text.get(_key(text))
        if by_text is not None:
            return by_text

        alone = self._alone.fullmatch(text)
        if alone is not None:
            return self._canonical(alone["label"])

        listed = self._listed.match(text)
        if listed is None:
            return None

        label = self._canonical(listed["label"])
        return label if self._by_text.get(_key(text[listed.end() :])) == label else None

    def _last_line(self, answer: str) -> str | None:
        """Return the label that the last line is; empty where a line before chooses another.

        Options that are written out again, a line each, are not choices.
        """
        lines = [line.strip() for line in answer.splitlines() if line.strip()]
        last = self._alone.fullmatch(lines[-1])
        if last is None or len(lines) == 1:
            return None

        begun = [found for line in lines[:-1] if (found := self._listed.match(line))]
        alone = [found for line in lines if (found := self._alone.fullmatch(line))]
        if len(begun) == 1:
            alone += begun

        labels = {self._canonical(found["label"]) for found in alone}
        return labels.pop() if len(labels) == 1 else ""

    def _at_the_start(self, text: str) -> str | None:
        """Return the label that a marked answer begins with; empty where it goes on with others."""
        leading = self._leading.match(text)
        if leading is not None and _is_a_label(leading["label"]):
            return "" if self._goes_on(text, leading.end()) else self._canonical(leading["label"])

        sentence = re.split(r"[.;!?](?=\s|$)|\n", text, maxsplit=1)[0]
        return self._only_text(self._without_denials(sentence))

    def _goes_on(self, text: str, at: int) -> bool:
        """Return whether another label follows the one that ends at a place: ``B and C``."""
        joined = _AND.match(text, at)
        other = joined and self._leading.match(text, joined.end())
        return other is not None and _is_a_label(other["label"])

    def _without_denials(self, answer: str) -> str:
        return self._denied.sub(lambda found: found["kept"] or " ", answer)

    def _mentioned(self, answer: str) -> str | None:
        answer = self._without_denials(answer)
        named = {
            found["label"] or found["bracketed"] or found["praised"]
            for found in self._named.finditer(answer)
        }
        if named:
            return self._canonical(named.pop()) if len(named) == 1 else None

        by_text = self._only_text(answer)
        if by_text is not None:
            return by_text or None

        letters = [*self._capital.finditer(answer)]
        if any(self._goes_on(answer, found.end()) for found in letters):
            return None

        capitals = {found["label"] for found in letters} - {"A", "I"}  # which are words as well
        return self._canonical(capitals.pop()) if len(capitals) == 1 else None

    def _only_text(self, answer: str) -> str | None:
        """Return the label of the one option whose text is mentioned; empty where several are."""
        text = _key(answer)
        found = [
            (each, label)
            for each, label in self._by_text.items()
            if each and label and contains_text(text, each)
        ]
        longest = [
            label for each, label in found if not any(each != o and each in o for o, _ in found)
        ]
        if not longest:
            return None

        return longest[0] if len(longest) == 1 else ""

    def _canonical(self, label: str) -> str:
        return label if label in self.texts or not self.texts else self._folded()[label.casefold()]

    def _folded(self) -> dict[str, str]:
        return {label.casefold(): label for label in self.texts}


def _is_a_label(found: str) -> bool:
    """Distinguish a letter from the words ``a`` and ``i``."""
    return found.isupper() or not found.isalpha()


def _denials(labels: str, texts: Iterable[str]) -> re.Pattern[str]:
    """Compile what finds an option that is denied; one whose own text denies is kept."""
    spelt = sorted({text.strip() for text in texts if text.strip()}, key=len, reverse=True)
    kept = "|".join(map(re.escape, spelt)) or r"(?!)"
    option = rf"(?:(?:{labels})(?!{_WORD})|(?i:{kept})(?!\w))[)\]*_]{{0,4}}"
    several = rf"(?<!{_WORD}){option}(?:{_AND.pattern}{option}){{0,9}}"
    return re.compile(rf"{_NOT}{several}|{several}{_IS_WRONG}|(?P<kept>\b(?i:{kept})(?!\w))")


def _key(text: str) -> str:
    """Write the text of an option so that case, spaces and punctuation around it do not count."""
    return " ".join(normal(text).casefold().split()).strip(" .,;:!?*_`\"'()[]")
