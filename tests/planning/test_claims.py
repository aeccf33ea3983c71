"""What hypotheses name exists, and they declare what their kind claims something about."""

from __future__ import annotations

from typing import Any

import pytest

import penstock as ps
from penstock.planning.claims import claim_errors
from penstock.study.hypotheses import Contrast
from tests.designs.studies import study_of

FACTORS: dict[str, list[Any]] = {"tone": ["plain", "polite"], "budget": [100, 300]}
OUTCOME = {"name": "score", "source_table": "runs", "column": "score", "aggregation": "mean"}


def claim(**fields: Any) -> dict[str, Any]:
    return {
        "hypothesis_id": "h",
        "label": "l",
        "statement": "s",
        "independent_vars": ["tone"],
        **fields,
    }


def errors_of(*, conditions: Any = None, **fields: Any) -> list[str]:
    study = study_of(
        FACTORS, blocks={"cohort": ["n", "e"]}, outcomes=[OUTCOME], hypotheses=[claim(**fields)]
    )
    return list(claim_errors(study, conditions))


def contrast(left: str, right: str) -> dict[str, str]:
    return {"left": left, "right": right}


@pytest.mark.parametrize(
    "fields",
    [
        {"contrast": contrast("polite", "plain")},
        {"contrast": contrast("tone1", "tone0")},
        {"contrast": contrast("300", "100"), "independent_vars": ["budget"]},
        {"contrast": contrast("n", "e"), "independent_vars": []},
        {"contrast": contrast("p1", "plain"), "independent_vars": []},
        {"moderators": [{"name": "budget", "levels": ["100", "300"]}]},
        {"moderators": [{"name": "cohort", "levels": ["n"]}], "kind": "moderation"},
        {"moderators": [{"name": "problem_family"}, {"name": "agent_id"}]},
        {"kind": "mediation", "dependent_vars": ["score"], "mediators": [{"name": "effort"}]},
        {"moderators": [{"name": "score"}, {"name": "m"}], "mediators": [{"name": "m"}]},
        {"kind": "moderation"},
        {"kind": "equivalence", "minimum_effect_of_interest": 0.1},
    ],
)
def test_a_sound_claim_is_not_questioned(fields: dict[str, Any]) -> None:
    assert errors_of(**fields) == []


@pytest.mark.field("engine-G6")
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (
            {"contrast": contrast("polite", "plian")},
            "its contrast names 'plian', which is not a level of 'tone'; did you mean 'plain'?",
        ),
        (
            {"contrast": contrast("polite", "100")},
            "contrast names '100', which is not a level of 'tone'; known: tone0, plain, tone1, po",
        ),
        (
            {"contrast": contrast("polite", "polite")},
            "Hypothesis 'h': its contrast compares 'polite' with itself.",
        ),
        (
            {"moderators": [{"name": "bugdet"}]},
            "Hypothesis 'h' references unknown moderator 'bugdet'; did you mean 'budget'?",
        ),
        (
            {"moderators": [{"name": "budget", "levels": ["q"]}]},
            "its moderator 'budget' has no level 'q'; known: budget0, 100, budget1, 300.",
        ),
        (
            {"moderators": [{"name": "tone"}]},
            "Hypothesis 'h' is moderated by 'tone', its own independent variable.",
        ),
        (
            {"kind": "equivalence"},
            "Hypothesis 'h' is of kind equivalence, and declares no `minimum_effect_of_interest`.",
        ),
    ],
)
def test_what_a_claim_names_and_is_not_there_is_an_error(
    fields: dict[str, Any], error: str
) -> None:
    (told,) = errors_of(**fields)
    assert told.startswith("Hypothesis 'h'")
    assert error in told


@pytest.mark.field("engine-G6")
def test_everything_that_a_kind_lacks_is_told() -> None:
    errors = errors_of(kind="mediation", independent_vars=[])
    assert [error.split("`")[1] for error in errors] == [
        "independent_vars",
        "dependent_vars",
        "mediators",
    ]


@pytest.mark.field("engine-G6")
def test_a_moderation_where_nothing_else_varies_has_no_moderator() -> None:
    study = study_of({"tone": ["plain", "polite"]}, hypotheses=[claim(kind="moderation")])
    assert list(claim_errors(study)) == [
        "Hypothesis 'h' is of kind moderation, and declares no `moderators`."
    ]


def test_a_value_of_conditions_that_were_given_may_be_compared() -> None:
    fields = {"contrast": contrast("formal", "plain")}
    given = ps.conditions([{"tone": "formal", "budget": 100}, {"tone": "plain", "budget": 100}])

    assert len(errors_of(**fields)) == 1
    assert errors_of(conditions=given, **fields) == []


@pytest.mark.field("studies-P10")
def test_a_contrast_without_a_label_is_called_by_its_sides() -> None:
    assert Contrast(left="polite", right="plain").label == "polite - plain"
    assert Contrast(left="polite", right="plain", label="courtesy").label == "courtesy"
