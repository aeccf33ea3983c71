"""Answers that were recorded, found again by what a request says of its problem."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import orjson

from penstock.errors import ValidationError
from penstock.simulator.draws import Draws
from penstock.simulator.question import Question
from penstock.simulator.simulator_options import SimulatorOptions

__all__ = ["Answers", "PromptIndex", "RecordedAnswers"]

_ANSWER_FIELDS = ("answer", "solution", "completion", "response", "text", "output")
_PROMPT_FIELDS = ("prompt", "question", "brief", "problem")
_LONGEST_BEGINNING = 32


class Answers(Protocol):
    """Whoever answers questions."""

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models that it answers for."""
        ...

    def key_of(self, question: Question) -> str | None:
        """Return which problem a question is about, where that can be told."""
        ...

    def text(self, question: Question, key: str | None) -> str:
        """Answer a question about a problem.

        Raises:
            LookupError: there is no answer; the sentence says why.
        """
        ...


class RecordedAnswers:
    """Answers from a file of JSON lines.

    A request's problem is, in this order: what ``replay_pattern`` finds in its messages; its
    ``metadata.problem_id``; its ``user``; the problem whose text is a part of its last user
    message, the longest of them. Of several recordings of one problem by one model the question
    draws one. A recording without a ``model`` serves any.

    Raises:
        ValidationError: a file cannot be read; every line that is wrong is listed.
    """

    def __init__(self, draws: Draws, options: SimulatorOptions) -> None:
        self._draws = draws
        self._pattern = _pattern_of(options.replay_pattern)
        self._recordings: dict[tuple[str | None, str], list[str]] = defaultdict(list)
        self._prompts = PromptIndex()
        errors: list[str] = []
        for place, row in _rows_of(options.replay, errors):
            self._add(place, row, options, errors)

        for place, row in _rows_of(options.replay_problems, errors):
            key, prompt = row.get(options.replay_key), _first(row, _PROMPT_FIELDS)
            if isinstance(key, str) and prompt:
                self._prompts.add(prompt, key)
            else:
                errors.append(f"{place}: needs {options.replay_key!r} and the problem's text")

        if not errors and not self._recordings:
            errors.append(f"{options.replay}: no recorded answers")

        if errors:
            raise ValidationError(errors)

        self._prompts.build()
        named = {model for model, _ in self._recordings if model is not None}
        self._models = tuple(sorted(named)) or ("simulated",)

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models that were recorded."""
        return self._models

    def text(self, question: Question, key: str | None) -> str:
        """Return the recorded answer."""
        if key is None:
            raise LookupError("nothing in the request tells which recorded answer is asked for")

        found = self._recordings.get((question.model, key)) or self._recordings.get((None, key))
        if not found:
            raise LookupError(f"no recorded answer of model {question.model!r} to {key[:100]!r}")

        return found[0] if len(found) == 1 else self._draws.choice(found, "answer", question.key)

    def key_of(self, question: Question) -> str | None:
        """Return which problem a request is about."""
        if self._pattern is not None:
            match = self._pattern.search("\n".join(question.texts))
            if match:
                return match[1] if self._pattern.groups else match[0]

        return question.problem_id or self._prompts.find(question.prompt)

    def _add(
        self, place: str, row: dict[str, Any], options: SimulatorOptions, errors: list[str]
    ) -> None:
        names = _ANSWER_FIELDS if options.replay_answer is None else (options.replay_answer,)
        answer = _first(row, names)
        key, prompt = row.get(options.replay_key), _first(row, _PROMPT_FIELDS)
        if answer is None:
            errors.append(f"{place}: no answer as text in {' or '.join(names)}")
        elif not isinstance(key, str) and not prompt:
            errors.append(f"{place}: needs {options.replay_key!r} or the prompt, as text")
        elif not isinstance(row.get("model"), str | None):
            errors.append(f"{place}: the name of the model must be text")
        else:
            key = key if isinstance(key, str) else str(prompt)
            self._recordings[row.get("model"), key].append(answer)
            if prompt:
                self._prompts.add(prompt, key)


class PromptIndex:
    """Finds which of many known texts a prompt holds, in one pass over the prompt."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._by_beginning: dict[str, list[str]] = {}
        self._length = 0

    def add(self, text: str, key: str) -> None:
        """Make a text known."""
        if text.strip():
            self._texts[text.strip()] = key

    def build(self) -> None:
        """Index what was added."""
        self._length = min(map(len, self._texts), default=0)
        self._length = min(self._length, _LONGEST_BEGINNING)
        for text in self._texts:
            self._by_beginning.setdefault(text[: self._length], []).append(text)

    def find(self, prompt: str) -> str | None:
        """Return the key of the longest text in a prompt."""
        known, longest = self._texts.get(prompt.strip()), ""
        if known is not None or not self._length:
            return known

        length, by_beginning = self._length, self._by_beginning
        for start in range(len(prompt) - length + 1):
            for text in by_beginning.get(prompt[start : start + length], ()):
                if len(text) > len(longest) and prompt.startswith(text, start):
                    longest = text

        return self._texts.get(longest)


def _pattern_of(pattern: str | None) -> re.Pattern[str] | None:
    try:
        return None if pattern is None else re.compile(pattern)
    except re.error as error:
        raise ValidationError([f"replay_pattern {pattern!r}: {error}"]) from None


def _rows_of(path: Path | None, errors: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    if path is None:
        return

    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                place = f"{path}:{number}"
                try:
                    row = orjson.loads(line) if line.strip() else None
                except ValueError as error:
                    errors.append(f"{place}: no JSON: {error}")
                    continue

                if isinstance(row, dict):
                    yield place, row
                elif row is not None:
                    errors.append(f"{place}: each line must be an object")
    except OSError as error:
        errors.append(f"{path}: {error.strerror}")


def _first(row: dict[str, Any], names: tuple[str, ...]) -> str | None:
    return next((row[name] for name in names if isinstance(row.get(name), str)), None)
