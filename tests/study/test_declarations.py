"""Agents and evaluators as a study names them: exactly one way each, short forms included."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from penstock.study.declarations import AgentDeclaration, EvaluatorDeclaration


def test_a_text_is_short_for_a_reference() -> None:
    assert AgentDeclaration.model_validate("agents.py:solve").call == "agents.py:solve"
    assert EvaluatorDeclaration.model_validate("scores:grade").call == "scores:grade"


@pytest.mark.parametrize("kind", ["exact", "contains", "regex", "number"])
@pytest.mark.parametrize("short", [lambda kind: kind, lambda kind: {kind: {}}, lambda k: {k: None}])
def test_a_built_in_evaluator_may_be_named_without_options(kind: str, short: Any) -> None:
    declared = EvaluatorDeclaration.model_validate(short(kind))
    assert getattr(declared, kind) is not None
    assert list(declared.model_dump()) == [kind]


@pytest.mark.parametrize(
    "data", [{}, {"exact": {}, "contains": {}}, {"call": "a:b", "number": {}}, {"call": None}]
)
def test_an_evaluator_is_exactly_one_of_its_kinds(data: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="say exactly one of `exact`, `contains`"):
        EvaluatorDeclaration.model_validate(data)


@pytest.mark.parametrize("data", [{}, {"call": None}])
def test_an_agent_must_come_from_somewhere(data: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="say exactly one of `call`"):
        AgentDeclaration.model_validate(data)


@pytest.mark.parametrize("ref", ["agents.py", "agents.py:", ":solve", "a:b c", "a:1", "a:b:c"])
def test_a_text_that_is_no_reference_is_refused(ref: str) -> None:
    with pytest.raises(ValidationError, match="is not a reference; write"):
        AgentDeclaration.model_validate({"call": ref})


@pytest.mark.parametrize("options", [{"regex": {"pattern": "("}}, {"number": {"pattern": "["}}])
def test_a_pattern_that_does_not_compile_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="is not a regular expression"):
        EvaluatorDeclaration.model_validate(options)


def test_a_declaration_is_written_as_it_was_meant() -> None:
    declared = EvaluatorDeclaration.model_validate({"number": {"tolerance": 1}})
    written = declared.model_dump()
    assert written["number"]["tolerance"] == 1.0
    assert EvaluatorDeclaration.model_validate(written) == declared
