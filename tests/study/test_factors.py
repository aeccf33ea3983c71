"""Factors, levels, blocks and constraints: what a declaration may leave out and what it may not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pydantic
import pytest

import penstock as ps
from penstock.errors import ValidationError
from penstock.study.factors import Block, Constraint, ConstraintSeverity, Factor, FactorKind, Level


@pytest.mark.parametrize(
    ("bare", "name"),
    [("formal", "formal"), (1, "1"), (0.5, "0.5"), (True, "true"), (False, "false")],
)
def test_a_bare_value_is_a_level_named_by_it(bare: Any, name: str) -> None:
    level = Factor(name="x", levels=[bare]).levels[0]
    assert (level.name, level.value, level.label) == (name, bare, name)
    assert type(level.value) is type(bare)


@pytest.mark.parametrize("bare", [np.int64(5), np.float64(0.5), np.bool_(True)])
def test_a_bare_number_of_numpy_is_a_level_like_any_other(bare: Any) -> None:
    level = Factor(name="x", levels=[bare]).levels[0]
    assert level == Factor(name="x", levels=[bare.item()]).levels[0]
    assert type(level.value) is type(bare.item())


@pytest.mark.parametrize("bare", [None, [1, 2]])
def test_a_bare_value_that_names_nothing_is_told_what_a_level_is(bare: Any) -> None:
    with pytest.raises(ValidationError, match="a level is a text, a number, a flag, or a mapping"):
        Factor(name="x", levels=[bare])


def test_a_level_without_a_label_is_labelled_by_its_name() -> None:
    assert Level(name="a", value=1).label == "a"
    assert Level(name="a", value=1, label="A").label == "A"


def test_a_factor_without_levels_has_its_default_as_its_only_value() -> None:
    assert Factor(name="x", default=3).values() == (3,)
    assert Factor(name="x", default=3, levels=[1, 2]).values() == (1, 2)


def test_what_is_left_out_has_the_contracts_defaults() -> None:
    factor = Factor(name="x", levels=[1])
    assert (factor.kind, factor.description, factor.dtype, factor.default, factor.metadata) == (
        FactorKind.MANIPULATED,
        "",
        None,
        None,
        {},
    )
    constraint = Constraint(constraint_id="c", description="d", expression="True")
    assert constraint.severity is ConstraintSeverity.ERROR


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (Level, {"name": " ", "value": 1}, "Level.name must be non-empty."),
        (Factor, {"name": "", "levels": [1]}, "Factor.name must be non-empty."),
        (
            Factor,
            {"name": "x"},
            "Factor 'x' must declare at least one level or a default value.",
        ),
        (Factor, {"name": "x", "levels": [1, "1"]}, "Factor 'x' has duplicate level names."),
        (Block, {"name": "", "levels": [1]}, "Block.name must be non-empty."),
        (Block, {"name": "b", "levels": []}, "Block 'b' must contain at least one level."),
        (
            Constraint,
            {"constraint_id": " ", "description": "", "expression": "True"},
            "Constraint.constraint_id must be non-empty.",
        ),
        (
            Constraint,
            {"constraint_id": "c", "description": ""},
            "Constraint must define either `expression` or `callable_ref`.",
        ),
    ],
)
def test_each_rule_of_the_contract_has_its_sentence(
    kind: type[Level], fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        kind(**fields)

    assert message in str(caught.value)


@pytest.mark.parametrize("value", [{1, 2}, object(), b"x", 1j])
def test_a_level_without_a_stable_json_form_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError, match=r"cannot be part of a study|a set has no order"):
        Level(name="a", value=value)


def test_levels_given_as_a_set_are_refused_because_a_set_has_no_order() -> None:
    with pytest.raises(ValidationError, match=r"Factor\.levels: a set has no order; give a list"):
        Factor(name="x", levels={"a", "b"})


@pytest.mark.field("studies-P9")
def test_what_is_wrong_with_a_declaration_in_python_is_told_as_that_of_a_file() -> None:
    with pytest.raises(ps.ValidationError) as refused:
        Factor(name="", levels=[{"name": "a", "value": object()}], kin="measured")  # type: ignore[call-arg]

    name, level, kind = refused.value.errors
    assert name == "name: Factor.name must be non-empty."
    assert level.startswith("levels[0].value: ")
    assert kind == "kin: unknown key; did you mean `kind`?"
    assert str(ps.ValidationError("Duplicate name")) == "Duplicate name"
    assert ps.ValidationError("Duplicate name").errors == ("Duplicate name",)


def test_a_declaration_cannot_be_changed() -> None:
    factor = Factor(name="x", levels=[{"name": "a", "value": {"deep": [1]}}])
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        factor.name = "y"  # type: ignore[misc]

    with pytest.raises(TypeError, match="belongs to the study"):
        factor.levels[0].value["deep"].append(2)


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"^vlaue: unknown key; did you mean `value`\?$"):
        Level(name="a", value=1, vlaue=2)  # type: ignore[call-arg]
