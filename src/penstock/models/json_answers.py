"""Answers in JSON: read, and checked against the JSON schema that they were to follow.

A schema becomes a pydantic validator. What providers take in their strict modes is checked:
types, ``enum``, ``const``, ``anyOf``, ``oneOf``, ``$ref`` to ``$defs``, properties, items, and
bounds of numbers, texts and lists; other keywords are the provider's to keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NotRequired, Union

import pydantic
from pydantic import ConfigDict, Field, Strict, TypeAdapter
from typing_extensions import TypedDict

from penstock._base.json import decode
from penstock.errors import ValidationError
from penstock.models.model_errors import MalformedResponseError

__all__ = ["JsonAnswers"]

_BOUNDS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
    "minItems": "min_length",
    "maxItems": "max_length",
}
_PLAIN: dict[str, Any] = {
    "string": Annotated[str, Strict()],
    "integer": Annotated[int, Strict()],
    "number": Annotated[float, Strict()],
    "boolean": Annotated[bool, Strict()],
    "null": None,
}
_DEEPEST = 32


class JsonAnswers:
    """Reads answers that follow a JSON schema.

    Args:
        schema: The schema.

    Raises:
        ValidationError: it cannot be read, or has a property ``text``, where the answer is.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        try:
            has_text = "text" in schema.get("properties", {})
            self._adapter: TypeAdapter[Any] = TypeAdapter(_Reader(schema).type_of(schema))
        except Exception as error:  # anyone's schema: pydantic raises whatever Python does
            said = " ".join(str(error).split())
            raise ValidationError([f"json_schema: cannot be read: {said}"]) from error

        if has_text:
            said = "json_schema: the property `text` would hide the answer's text; rename it"
            raise ValidationError([said])

    def read(self, text: str) -> dict[str, Any]:
        """Give the fields of an answer; one that is no mapping is the field ``value``.

        Raises:
            MalformedResponseError: it is no JSON, or does not follow the schema.
        """
        try:
            answer = decode(text)
        except (ValueError, RecursionError) as error:
            raise MalformedResponseError(f"the answer is no JSON: {error}") from None

        try:
            self._adapter.validate_python(answer)
        except pydantic.ValidationError as error:
            said = "; ".join(
                f"{'.'.join(map(str, detail['loc'])) or 'it'}: {detail['msg']}"
                for detail in error.errors(include_url=False, include_input=False)[:5]
            )
            sentence = f"the answer does not follow json_schema: {said}"
            raise MalformedResponseError(sentence) from None

        return answer if isinstance(answer, dict) else {"value": answer}


class _Reader:
    """Turns the parts of a schema into types that pydantic validates by."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._depth = 0

    def type_of(self, schema: Any) -> Any:
        if schema is True or schema == {}:
            return Any

        self._depth += 1
        try:
            if self._depth > _DEEPEST:  # it refers to itself: below this the provider is trusted
                return Any

            return self._type_of(schema)
        finally:
            self._depth -= 1

    def _type_of(self, schema: Mapping[str, Any]) -> Any:
        if "$ref" in schema:
            return self.type_of(self._referred(schema["$ref"]))

        if "const" in schema:
            return _one_of([schema["const"]])

        if "enum" in schema:
            return _one_of(schema["enum"])

        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                return Union[tuple(self.type_of(each) for each in schema[keyword])]  # noqa: UP007

        kinds = schema.get("type", "object" if "properties" in schema else None)
        if kinds is None:
            return Any

        kinds = [kinds] if isinstance(kinds, str) else kinds
        return Union[tuple(self._of_kind(kind, schema) for kind in kinds)]  # noqa: UP007

    def _of_kind(self, kind: str, schema: Mapping[str, Any]) -> Any:
        if kind == "object":
            return self._object(schema)

        base = list[self.type_of(schema.get("items", True))] if kind == "array" else _PLAIN[kind]  # type: ignore[misc]
        bounds = {ours: schema[theirs] for theirs, ours in _BOUNDS.items() if theirs in schema}
        return Annotated[base, Field(**bounds)] if bounds else base

    def _object(self, schema: Mapping[str, Any]) -> Any:
        properties, required = schema.get("properties", {}), schema.get("required", ())
        if not properties:
            return dict[str, Any]

        fields = {
            name: self.type_of(each) if name in required else NotRequired[self.type_of(each)]
            for name, each in properties.items()
        }
        functional: Any = TypedDict  # a type checker wants its fields written out
        made = functional("Answer", fields)
        is_closed = schema.get("additionalProperties") is False
        made.__pydantic_config__ = ConfigDict(extra="forbid" if is_closed else "allow", strict=True)
        return made

    def _referred(self, reference: str) -> Any:
        found: Any = self._root
        for part in reference.removeprefix("#").strip("/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")] if part else found

        return found


def _one_of(values: Any) -> Any:
    if all(isinstance(value, (str, int, bool, type(None))) for value in values):
        return Literal[tuple(values)]

    return Annotated[Any, pydantic.AfterValidator(_membership(list(values)))]


def _membership(values: list[Any]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value not in values:
            raise ValueError(f"is none of {values!r}")

        return value

    return check
