"""Older study files: their keys mean what they meant, and contradictions are errors."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.study.legacy import drop_legacy_keys


def outcomes(*names: str, **primary: bool) -> list[dict[str, Any]]:
    given = [{"name": name} for name in names]
    return [*given, *({"name": name, "primary": value} for name, value in primary.items())]


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", 0.2, None])
def test_files_of_earlier_versions_are_read(version: object) -> None:
    payload = {"schema_version": version, "study_id": "s"}
    assert drop_legacy_keys(payload) == []
    assert payload == {"study_id": "s"}


@pytest.mark.parametrize("version", ["1.0", 99, "new"])
def test_files_of_a_later_version_are_refused(version: object) -> None:
    (error,) = drop_legacy_keys({"schema_version": version})
    assert error.startswith(f"schema_version: {version!r} is newer")


def test_lists_of_primary_outcomes_become_a_property_of_each_outcome() -> None:
    payload: dict[str, Any] = {
        "outcomes": outcomes("a", "b"),
        "primary_outcomes": ["a"],
        "secondary_outcomes": ["b"],
    }
    assert drop_legacy_keys(payload) == []
    assert payload == {"outcomes": outcomes(a=True, b=False)}


def test_older_and_newer_ways_may_say_the_same() -> None:
    payload = {"outcomes": outcomes(a=True, b=False), "primary_outcomes": ["a"]}
    assert drop_legacy_keys(payload) == []


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (
            {
                "outcomes": outcomes("a"),
                "primary_outcomes": ["z", "a"],
                "secondary_outcomes": ["y"],
            },
            ["Legacy outcome roles reference unknown outcomes: y, z."],
        ),
        (
            {"outcomes": outcomes("a"), "primary_outcomes": ["a"], "secondary_outcomes": ["a"]},
            ["Outcomes cannot be both primary and secondary: a."],
        ),
        (
            {"outcomes": outcomes(a=False), "primary_outcomes": ["a"]},
            ["OutcomeSpec.primary conflicts with legacy Study.primary_outcomes metadata."],
        ),
        (
            {"outcomes": outcomes(a=True), "secondary_outcomes": ["a"]},
            ["OutcomeSpec.primary conflicts with legacy Study.secondary_outcomes metadata."],
        ),
        (
            {"outcomes": outcomes("a"), "primary_outcomes": "a"},
            ["primary_outcomes: must be a list of names of outcomes (got 'a')"],
        ),
        (
            {"primary_outcomes": 5, "secondary_outcomes": [{}]},
            [
                "primary_outcomes: must be a list of names of outcomes (got 5)",
                "secondary_outcomes: must be a list of names of outcomes (got [{}])",
            ],
        ),
        (
            {
                "hypotheses": [{"hypothesis_id": "h", "linked_analysis_plan_id": "p"}],
                "analysis_plans": [{"analysis_plan_id": "p", "hypothesis_ids": ["other"]}],
            },
            [
                (
                    "Hypothesis 'h' conflicts with analysis plan 'p'. "
                    "AnalysisPlan.hypothesis_ids is authoritative."
                )
            ],
        ),
    ],
)
def test_contradictions_are_told(payload: dict[str, Any], expected: list[str]) -> None:
    assert drop_legacy_keys(payload) == expected


def test_a_link_from_a_hypothesis_gives_way_to_the_analysis_plans_own_list() -> None:
    payload: dict[str, Any] = {
        "hypotheses": [{"hypothesis_id": "h", "linked_analysis_plan_id": "p"}],
        "analysis_plans": [{"analysis_plan_id": "p", "hypothesis_ids": ["h"]}],
    }
    assert drop_legacy_keys(payload) == []
    assert payload["hypotheses"] == [{"hypothesis_id": "h"}]


@pytest.mark.parametrize(
    "payload",
    [
        {"outcomes": "a", "primary_outcomes": []},
        {"outcomes": [1, {"name": []}], "secondary_outcomes": None},
        {"hypotheses": 3, "analysis_plans": [{"analysis_plan_id": [], "hypothesis_ids": 5}]},
    ],
)
def test_sections_of_the_wrong_shape_are_left_for_the_models_to_refuse(
    payload: dict[str, Any],
) -> None:
    assert drop_legacy_keys(payload) == []
