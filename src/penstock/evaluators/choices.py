r"""Choices: which option of a multiple-choice question an answer chooses, by letter or by text.

The options stand in the problem's payload. A choice is the whole answer (``B``, ``(b)``,
``B. Paris``, ``Paris``), else what the answer marks (``the answer is B``, ``\boxed{B}``), else
the only letter or the only option that is mentioned. An answer that chooses several chooses none.
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

CHOICE_VERSION = 1


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
    """Bring options to a mapping from label to text."""
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
_AND = re.compile(r"[\s*_)\]]*(?:,|/|&|\+|\band\b|\bor\b)(?:\s|\bor\b|\band\b)*[(\[]?")


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
        label = rf"(?P<label>{labels})(?![^\W_])"
        self._alone = re.compile(rf"{_OPENING}{_NAMED}{_OPENING}{label}{_CLOSING}", re.IGNORECASE)
        self._leading = re.compile(rf"{_OPENING}{_NAMED}{_OPENING}{label}", re.IGNORECASE)
        self._listed = re.compile(rf"[\s*_]*[(\[]?{label}[*_]*[)\].:]")
        self._named = re.compile(
            rf"\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s*[(\[*_\"']*{label}"
            rf"|[(\[]{label.replace('label', 'bracketed')}[)\]]"
        )
        self._capital = re.compile(rf"(?<![\w']){label}(?!')")

    def chosen(self, answer: str) -> str | None:
        """Return the label of the option that an answer chooses; None for none, or several."""
        answer = normal(answer).strip()
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

        listed = self._listed.match(answer)
        if listed is None:
            return self._mentioned(answer)

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

    def _at_the_start(self, text: str) -> str | None:
        """Return the label that a marked answer begins with; empty where it goes on with others."""
        leading = self._leading.match(text)
        if leading is not None and (leading["label"].isupper() or not leading["label"].isalpha()):
            joined = _AND.match(text, leading.end())
            if joined and self._leading.match(text, joined.end()):
                return ""

            return self._canonical(leading["label"])

        sentence = re.split(r"[.;!?](?=\s|$)|\n", text, maxsplit=1)[0]
        return self._only_text(sentence)

    def _mentioned(self, answer: str) -> str | None:
        named = {found["label"] or found["bracketed"] for found in self._named.finditer(answer)}
        if named:
            return self._canonical(named.pop()) if len(named) == 1 else None

        by_text = self._only_text(answer)
        if by_text is not None:
            return by_text or None

        # "A" and "I" are words as well.
        capitals = {found["label"] for found in self._capital.finditer(answer)} - {"A", "I"}
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


def _key(text: str) -> str:
    """Write the text of an option so that case, spaces and punctuation around it do not count."""
    return " ".join(normal(text).casefold().split()).strip(" .,;:!?*_`\"'()[]")
