"""Answers in JSON, checked against the schema that they were to follow."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.errors import ValidationError
from penstock.models.model_errors import MalformedResponseError
from penstock.models.prompts import json_answers
from penstock.models.prompts.json_answers import JsonAnswers

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "score": {"type": "integer", "minimum": 0, "maximum": 10},
        "why": {"type": ["string", "null"]},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2},
        "next": {"$ref": "#/$defs/step"},
        "kind": {"anyOf": [{"const": "sure"}, {"type": "number"}]},
    },
    "required": ["score"],
    "additionalProperties": False,
    "$defs": {
        "step": {"type": "object", "properties": {"next": {"$ref": "#/$defs/step"}}},
    },
}


@pytest.mark.parametrize(
    "answer",
    [
        '{"score": 3}',
        '{"score": 0, "why": null, "tags": ["a", "b"], "kind": "sure"}',
        '{"score": 10, "why": "so", "next": {"next": {}}, "kind": 0.5}',
    ],
)
def test_an_answer_that_follows_its_schema_gives_its_fields(answer: str) -> None:
    assert JsonAnswers(SCHEMA).read(answer)["score"] in {0, 3, 10}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("It is 3.", "is not JSON"),
        ("[]", "it: .* is not of type 'object'"),
        ("{}", "it: 'score' is a required property"),
        ('{"score": 11}', "score: 11 is greater than the maximum of 10"),
        ('{"score": "3"}', "score: .* is not of type 'integer'"),
        ('{"score": true}', "score: .* is not of type 'integer'"),
        ('{"score": 1, "mood": 2}', "'mood' was unexpected"),
        ('{"score": 1, "tags": ["c"]}', r"tags\.0: 'c' is not one of"),
        ('{"score": 1, "tags": ["a", "a", "a"]}', "tags: .* is too long"),
        ('{"score": 1, "next": {"next": 3}}', r"next\.next: 3 is not of type 'object'"),
    ],
)
def test_an_answer_that_does_not_is_refused_with_its_place(answer: str, said: str) -> None:
    with pytest.raises(MalformedResponseError, match=said):
        JsonAnswers(SCHEMA).read(answer)


SCORE: dict[str, Any] = {
    "type": "object",
    "properties": {"score": {"type": "integer"}},
    "required": ["score"],
    "additionalProperties": False,
}


@pytest.mark.field("models-F18", "models-E14")
@pytest.mark.parametrize(
    "answer",
    [
        '```json\n{"score": 4}\n```',
        '```\n{"score": 4}\n```',
        'Here it is:\n\n```json\n{"score": 4}\n```\nI hope this helps!',
        '<think>hm</think>\n{"score": 4}',
        '{"score": 4}\n\nI hope this helps!',
        'Sure! {"score": 4}',
        '{"score": 4.0}',
        '\ufeff{"score": 4}',
    ],
)
def test_json_is_read_with_what_models_put_around_it(answer: str) -> None:
    assert JsonAnswers(SCORE).read(answer) == {"score": 4}


@pytest.mark.field("models-F18")
@pytest.mark.parametrize("answer", ['{"score": 4} or {"score": 5}', '{"score": 4', "4"])
def test_json_is_not_guessed_where_it_is_not_clear(answer: str) -> None:
    with pytest.raises(MalformedResponseError):
        JsonAnswers(SCORE).read(answer)


@pytest.mark.field("models-F18")
def test_a_pattern_as_pydantic_writes_it_for_a_decimal_is_read() -> None:
    pattern = r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"
    answers = JsonAnswers({"type": "object", "properties": {"a": {"pattern": pattern}}})
    assert answers.read('{"a": "1.5"}') == {"a": "1.5"}
    with pytest.raises(MalformedResponseError):
        answers.read('{"a": "+"}')


def test_an_answer_that_is_no_mapping_is_the_field_value() -> None:
    assert JsonAnswers({"type": "array", "items": {"type": "integer"}}).read("[1, 2]") == {
        "value": [1, 2]
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nope"},
        {"type": 3},
        {"properties": 3},
        {"anyOf": []},
        {"$ref": "#/nowhere"},
        {"type": "string", "pattern": "("},
        {"type": "object", "properties": {"a": "x"}},
    ],
)
def test_a_schema_that_cannot_be_read_is_an_error_before_any_call(schema: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="json_schema: cannot be read"):
        JsonAnswers(schema)


SLOW = "^(a|aa)+[bc]$"


@pytest.mark.field("studies-B1")
@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ({"pattern": SLOW}, json.dumps("a" * 40)),
        ({"properties": {"x": {"pattern": SLOW}}}, json.dumps({"x": "a" * 40})),
        ({"patternProperties": {SLOW: {}}}, json.dumps({"a" * 40: 1})),
        (
            {"additionalProperties": False, "patternProperties": {SLOW: {}}},
            json.dumps({"a" * 40: 1}),
        ),
    ],
)
def test_a_pattern_that_finds_no_end_does_not_hold_the_process(
    schema: dict[str, Any], answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_answers, "_PATTERN_S", 0.01)

    with pytest.raises(MalformedResponseError, match="found no end within"):
        JsonAnswers(schema).read(answer)


def test_names_are_checked_by_patterns_as_they_stand() -> None:
    answers = JsonAnswers(
        {"additionalProperties": False, "patternProperties": {"^n_": {"type": "integer"}}}
    )

    assert answers.read('{"n_a": 1}') == {"n_a": 1}
    with pytest.raises(MalformedResponseError, match="n_a: 'x' is not of type 'integer'"):
        answers.read('{"n_a": "x"}')

    with pytest.raises(MalformedResponseError, match="'other' was unexpected"):
        answers.read('{"other": 1}')
