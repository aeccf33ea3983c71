"""Agents and evaluators as a study names them: exactly one way each, short forms included."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from penstock import errors
from penstock.study.declarations import AgentDeclaration, EvaluatorDeclaration
from penstock.study.model import Study
from penstock.study.references import load_reference
from penstock.study.scoring import NumberOptions
from tests.builders import make_study


def test_a_text_is_short_for_a_reference() -> None:
    assert AgentDeclaration.model_validate("agents.py:solve").call == "agents.py:solve"
    assert EvaluatorDeclaration.model_validate("scores:grade").call == "scores:grade"


@pytest.mark.parametrize("kind", ["exact", "contains", "regex", "number", "choice"])
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


def score(answer: str) -> int:
    return len(answer)


class Agent:
    def run(self, ctx: Any) -> str:
        return "42"


@pytest.mark.field("studies-N15")
def test_code_in_python_is_declared_by_itself_and_written_as_its_reference() -> None:
    agent = Agent()
    declared = AgentDeclaration.model_validate(agent)
    evaluator = EvaluatorDeclaration.model_validate(score)

    assert (declared.call, evaluator.call) == (agent, score)
    assert declared.model_dump() == {"call": "tests.study.test_declarations:Agent"}
    assert evaluator.model_dump(mode="json") == {"call": "tests.study.test_declarations:score"}
    assert EvaluatorDeclaration.model_validate({"call": score}) == evaluator


@pytest.mark.field("studies-N15")
def test_a_list_of_functions_names_itself() -> None:
    study = make_study(agents=[make_study], evaluators=["exact", score])

    assert {**study.evaluators} == {
        "exact": EvaluatorDeclaration.model_validate("exact"),
        "score": EvaluatorDeclaration.model_validate(score),
    }
    assert [*study.agents] == ["make_study"]
    written = study.to_dict()
    del written["schema_version"]
    read = Study(**written).evaluators["score"]
    assert read.call == "tests.study.test_declarations:score"


@pytest.mark.field("studies-N15")
@pytest.mark.parametrize("given", [42, [score], None])
def test_what_is_neither_code_nor_a_declaration_is_refused(given: Any) -> None:
    for kind in (AgentDeclaration, EvaluatorDeclaration):
        with pytest.raises(ValidationError, match="is neither code nor a mapping with one of"):
            kind.model_validate(given)


def test_a_function_without_a_name_of_its_own_is_written_and_read_though_not_loaded() -> None:
    written = EvaluatorDeclaration.model_validate(lambda answer: 1).model_dump()

    assert EvaluatorDeclaration.model_validate(written).model_dump() == written
    with pytest.raises(AttributeError, match="made inside another, or has no name"):
        load_reference(written["call"])


def test_the_older_word_for_case_is_read() -> None:
    for kind in ("exact", "contains", "regex"):
        for older, case in ((True, "ignore"), (False, "keep")):
            declared = EvaluatorDeclaration.model_validate({kind: {"ignore_case": older}})
            assert declared.options.case == case

        with pytest.raises(ValidationError, match="not both"):
            EvaluatorDeclaration.model_validate({kind: {"ignore_case": True, "case": "keep"}})

        with pytest.raises(ValidationError, match="true or false"):
            EvaluatorDeclaration.model_validate({kind: {"ignore_case": "yes"}})


def test_what_was_written_out_when_other_defaults_held_means_the_defaults() -> None:
    former = r"[-+]?\D{0,2}\d[\d,_ ]*(?:\.\d+)?(?:[eE][-+]?\d+)?"

    assert NumberOptions(pattern=former, tolerance=1e-9) == NumberOptions()
    assert NumberOptions(pattern=former, tolerance=0.5) == NumberOptions(tolerance=0.5)
    assert NumberOptions(pattern="x", tolerance=1e-9).tolerance == 1e-9


def test_an_unknown_key_in_the_options_of_json_is_told_with_the_one_that_is_meant() -> None:
    said = r"evaluators\.e\.json\.feilds: unknown key; did you mean `fields`"
    with pytest.raises(errors.ValidationError, match=said):
        make_study(evaluators={"e": {"json": {"feilds": ["a"]}}})
