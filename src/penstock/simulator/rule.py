"""Answers that are made up: by a rule, from a seed, without a model."""

from __future__ import annotations

from typing import Any

import orjson

from penstock.simulator.draws import Draws
from penstock.simulator.question import Question

__all__ = ["RuleAnswers"]

_TEXT = (
    "first we count what is given and write it down then each part follows from the one before "
    "because nothing else has changed so the total is what remains when all of it is added"
)
_WORDS = _TEXT.split()
_MOST_DEPTH = 8


class RuleAnswers:
    """Answers each question in the same way whenever it is asked.

    Where JSON is asked for, the answer follows its schema. Otherwise it is one of the answers that
    were given, or a few words and, on a last line, ``A:`` and a number from 0 to 100.

    Args:
        draws: Where answers are drawn from.
        answers: The answers to choose from; if empty they are made up.
    """

    def __init__(self, draws: Draws, answers: tuple[str, ...] = ()) -> None:
        self._draws = draws
        self._answers = answers

    @property
    def models(self) -> tuple[str, ...]:
        """The name to list; it answers for whatever model is asked for."""
        return ("simulated",)

    def key_of(self, question: Question) -> str | None:
        """Return which problem a request says it is about."""
        return question.problem_id

    def text(self, question: Question, key: str | None = None) -> str:
        """Answer a question; whatever problem it is about."""
        key = question.key
        if question.wants_json:
            return orjson.dumps(self._instance(question.schema or {}, (key,))).decode()

        if self._answers:
            return self._draws.choice(self._answers, "answer", key)

        start = self._draws.whole("words", key)
        length = 8 + start % 24
        words = [_WORDS[(start + index) % len(_WORDS)] for index in range(length)]
        return f"{' '.join(words).capitalize()}.\nA: {self._draws.whole('number', key) % 101}"

    def _instance(self, schema: Any, path: tuple[Any, ...], root: Any = None) -> Any:
        """Make a value that a JSON schema allows; what is rare in schemas is not looked at."""
        root = schema if root is None else root
        schema = _resolved(schema, root)
        if "const" in schema or "enum" in schema:
            return schema.get("const", self._draws.choice(schema.get("enum") or [None], *path))

        for name in ("anyOf", "oneOf", "allOf"):
            if schema.get(name):
                chosen = self._draws.choice(schema[name], name, *path)
                return self._instance(chosen, (*path, name), root)

        kind = schema.get("type", "object")
        kind = self._draws.choice(kind, "type", *path) if isinstance(kind, list) else kind
        if kind == "object":
            properties = schema.get("properties", {})
            if len(path) > _MOST_DEPTH:  # a schema that refers to itself
                properties = {name: properties[name] for name in schema.get("required", ())}

            return {
                name: self._instance(each, (*path, name), root) for name, each in properties.items()
            }

        if kind == "array":
            least = max(schema.get("minItems", 0), int(len(path) <= _MOST_DEPTH))
            items = schema.get("items", {"type": "string"})
            return [self._instance(items, (*path, index), root) for index in range(least)]

        return self._scalar(kind, schema, path)

    def _scalar(self, kind: Any, schema: dict[str, Any], path: tuple[Any, ...]) -> Any:
        drawn = self._draws.whole("value", *path)
        if kind in ("integer", "number"):
            least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
            most = schema.get("maximum", schema.get("exclusiveMaximum", least + 100))
            if kind == "integer":
                least += "exclusiveMinimum" in schema
                most -= "exclusiveMaximum" in schema
                return int(least) + drawn % (int(most) - int(least) + 1)

            return least + (most - least) * (0.01 + 0.98 * self._draws.uniform("number", *path))

        if kind == "boolean":
            return bool(drawn % 2)

        if kind == "null":
            return None

        text = " ".join(_WORDS[(drawn + index) % len(_WORDS)] for index in range(1 + drawn % 5))
        text = text.ljust(schema.get("minLength", 0), ".")
        return text[: schema.get("maxLength", len(text))]


def _resolved(schema: Any, root: Any) -> dict[str, Any]:
    """Follow ``$ref`` within the schema itself."""
    seen = 0
    while isinstance(schema, dict) and "$ref" in schema and seen < _MOST_DEPTH:
        found = root
        for name in str(schema["$ref"]).removeprefix("#").strip("/").split("/"):
            found = found.get(name, {}) if isinstance(found, dict) and name else found

        schema, seen = found, seen + 1

    return schema if isinstance(schema, dict) else {}
