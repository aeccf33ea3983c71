"""Answers in JSON: read, and checked against the JSON schema that they were to follow.

Models write JSON between fences, after a sentence, before another; it is read all the same where
there is one value that follows the schema. Two different ones are not an answer, for nothing is
guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from penstock._base.extras import load_extra
from penstock._base.json import decode
from penstock.errors import ValidationError
from penstock.evaluators.patterns import compile_pattern
from penstock.models.model_errors import MalformedResponseError

__all__ = ["JsonAnswers"]

_MOST_TOLD = 5
_LONGEST_TOLD = 200
_PATTERN_S = 0.5
"""How long a pattern may take on one text; the event loop waits for it."""
_MOST_STARTS = 200
"""At so many places it is tried to read JSON; text full of braces must not take for ever."""

_FENCE = re.compile(r"```[\w+-]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_START = re.compile(r"[{\[]")
_DECODER = json.JSONDecoder()


class JsonAnswers:
    """Reads answers that follow a JSON schema.

    Args:
        schema: The schema, of the draft that its ``$schema`` names, else of 2020-12.

    Raises:
        ValidationError: it cannot be read, has a property ``text``, where the answer is, or
            jsonschema is not installed.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        library = load_extra("jsonschema", extra="models", what="json_schema")
        registry = load_extra("jsonschema_specifications", extra="models", what="json_schema")
        plain = json.loads(json.dumps(schema, default=dict))
        try:
            kind = library.validators.validator_for(plain, library.Draft202012Validator)
            kind.check_schema(plain)
            kind = library.validators.extend(kind, _with_patterns(library, kind))
            # A registry of its own: the library's would fetch what it does not know.
            self._validator = kind(plain, registry=registry.REGISTRY)
            _follow_references(self._validator, plain)
        except Exception as error:  # anyone's schema
            said = " ".join(str(getattr(error, "message", error)).split())
            place = ".".join(map(str, getattr(error, "absolute_path", ())))
            said = f"{place}: {said}" if place else said
            raise ValidationError([f"json_schema: cannot be read: {said}"]) from error

        if "text" in plain.get("properties", {}):
            said = "json_schema: the property `text` would hide the answer's text; rename it"
            raise ValidationError([said])

    def read(self, text: str) -> dict[str, Any]:
        """Return the fields of an answer; one that is not a mapping is the field ``value``.

        Raises:
            MalformedResponseError: it is not JSON, does not follow the schema, or a pattern of the
                schema takes too long on it.
        """
        found = list(_values_in(text))
        if not found:
            raise MalformedResponseError(f"the answer is not JSON: {_shortened(text)!r}")

        following = [value for value in found if self._validator.is_valid(value)]
        if not following:
            said = "; ".join(self._faults(found[-1]))
            raise MalformedResponseError(f"the answer does not follow json_schema: {said}")

        if any(value != following[0] for value in following):
            raise MalformedResponseError(
                f"the answer holds {len(following)} different values that follow json_schema"
            )

        answer = following[0]
        return answer if isinstance(answer, dict) else {"value": answer}

    def _faults(self, value: Any) -> Iterator[str]:
        faults = sorted(self._validator.iter_errors(value), key=lambda each: each.json_path)
        for fault in faults[:_MOST_TOLD]:
            place = ".".join(map(str, fault.absolute_path))
            yield f"{place or 'it'}: {_shortened(fault.message)}"


def _values_in(text: str) -> Iterator[Any]:
    """Find JSON: the whole text, else what stands in fences, else objects and lists in the text."""
    whole = _read(text)
    if whole is not _NOTHING:
        yield whole
        return

    fenced = [value for found in _FENCE.findall(text) if (value := _read(found)) is not _NOTHING]
    yield from fenced or _values_within(text)


def _values_within(text: str) -> Iterator[Any]:
    place = 0
    for _ in range(_MOST_STARTS):
        start = _START.search(text, place)
        if start is None:
            return

        try:
            value, place = _DECODER.raw_decode(text, start.start())
        except RecursionError:
            return
        except ValueError:
            place = start.end()
        else:
            yield value


_NOTHING = object()


def _read(text: str) -> Any:
    try:
        return decode(text)
    except (ValueError, RecursionError):
        return _NOTHING


def _follow_references(validator: Any, schema: Any) -> None:
    """See that what the schema refers to is there; the library would say so at an answer only."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            # A reference that leads nowhere raises; whatever the value is worth does not matter.
            next(validator.evolve(schema={"$ref": schema["$ref"]}).iter_errors(None), None)

        for each in schema.values():
            _follow_references(validator, each)
    elif isinstance(schema, list):
        for each in schema:
            _follow_references(validator, each)


def _with_patterns(library: Any, kind: Any) -> dict[str, Callable[..., Any]]:
    """Make the keywords that look for patterns of people: the library's `re` may never end."""

    def pattern(validator: Any, wanted: str, value: Any, _: Any) -> Iterator[Exception]:
        if validator.is_type(value, "string") and not _is_in(wanted, value):
            yield library.ValidationError(f"{value!r} does not match {wanted!r}")

    def pattern_properties(
        validator: Any, schemas: Mapping[str, Any], value: Any, _: Any
    ) -> Iterator[Exception]:
        for wanted, schema in schemas.items():
            for name in [name for name in _names_in(value) if _is_in(wanted, name)]:
                yield from validator.descend(value[name], schema, path=name, schema_path=wanted)

    def additional_properties(
        validator: Any, wanted: Any, value: Any, schema: Mapping[str, Any]
    ) -> Iterator[Exception]:
        patterns = schema.get("patternProperties", ())
        rest = {
            name: value[name]
            for name in _names_in(value)
            if not any(_is_in(pattern, name) for pattern in patterns)
        }
        plain = {key: each for key, each in schema.items() if key != "patternProperties"}
        yield from kind.VALIDATORS["additionalProperties"](validator, wanted, rest, plain)

    return {
        "pattern": pattern,
        "patternProperties": pattern_properties,
        "additionalProperties": additional_properties,
    }


def _names_in(value: Any) -> Iterable[str]:
    return value if isinstance(value, dict) else ()


def _is_in(pattern: str, text: str) -> bool:
    try:
        found = compile_pattern(pattern).search(text, timeout=_PATTERN_S, concurrent=True)
    except TimeoutError:
        raise MalformedResponseError(
            f"the pattern {pattern!r} of json_schema found no end within {_PATTERN_S:g} s on "
            f"{_shortened(text)!r}; repetitions inside repetitions, as in (a+)+, do this"
        ) from None

    return found is not None


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_TOLD else text[: _LONGEST_TOLD - 1] + "…"
