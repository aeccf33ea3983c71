"""What a study expects and how it will be judged: hypotheses, outcomes, analysis plans."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import field_validator, model_validator

from penstock._base.fact import (
    EMPTY,
    Declaration,
    Flag,
    JsonMapping,
    Name,
    NotNegative,
    Number,
    Text,
)

__all__ = [
    "AnalysisPlan",
    "Contrast",
    "ExpectedVariance",
    "Hypothesis",
    "HypothesisDirection",
    "HypothesisKind",
    "Mediator",
    "Moderator",
    "Outcome",
]


class HypothesisKind(StrEnum):
    """What sort of claim a hypothesis makes."""

    EFFECT = "effect"
    MODERATION = "moderation"
    MEDIATION = "mediation"
    EQUIVALENCE = "equivalence"
    ROBUSTNESS = "robustness"
    EXPLORATORY = "exploratory"


class HypothesisDirection(StrEnum):
    """Which way the claimed effect points."""

    GREATER = "greater"
    LESS = "less"
    DIFFERENT = "different"
    EQUIVALENT = "equivalent"


class Contrast(Declaration):
    """Two levels or groups that a hypothesis compares.

    Args:
        label: What the comparison is called; ``left - right`` where not given.
        left: The level of an independent variable on the left side, by its name or its value.
        right: The level that it is compared with.
    """

    label: Text = ""
    left: Text
    right: Text
    operation: Text = "difference"

    @model_validator(mode="after")
    def _has_a_label(self) -> Self:
        if not self.label:
            # The instance is not handed out yet: a frozen model is filled in through its __dict__.
            self.__dict__["label"] = f"{self.left} - {self.right}"

        return self


class Moderator(Declaration):
    """A variable that is claimed to change the size of an effect."""

    name: Text
    levels: tuple[Text, ...] = ()


class Mediator(Declaration):
    """A variable through which an effect is claimed to work."""

    name: Text
    description: Text = ""


class Outcome(Declaration):
    """What is measured: a column of a result table, and how it is aggregated.

    Args:
        name: What hypotheses and plans call it.
        source_table: ``evaluations`` for a score, or ``runs``.
        column: The metric of an evaluator, or a column or recorded metric of runs.
        aggregation: How runs are summed up, such as ``mean``.
        primary: Whether it is the outcome that ``primary_outcome`` holds; one is at most.
        derivation: How it is derived, in words; kept for readers.
        expected_type: What its values are, such as ``float``; kept for readers.
        missing_data_policy: What is done about missing values, in words; kept for readers.
        description: What it means.
        better: Which way is better, ``higher`` or ``lower``: what counts as worse in a comparison
            of studies, and what a failed run counts as at worst. None where neither is.
        unit: What its numbers are counted in, such as ``points`` or ``s``; empty where in nothing.
        order: Of an outcome that is a text, its texts from the least to the most: each counts as
            its place, from 0. Empty where texts have no order.
    """

    name: Name
    source_table: Name
    column: Name
    aggregation: Text
    derivation: Text | None = None
    primary: Flag = False
    expected_type: Text = "float"
    missing_data_policy: Text = "drop"
    description: Text = ""
    better: Literal["higher", "lower"] | None = None
    unit: Text = ""
    order: tuple[Text, ...] = ()

    @field_validator("order")
    @classmethod
    def _names_each_text_once(cls, order: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(order)) < len(order):
            raise ValueError("Outcome.order names a text twice.")

        return order


class Hypothesis(Declaration):
    """A claim made before the study runs.

    Args:
        hypothesis_id: What analysis plans call it.
        label: A short title.
        statement: The claim, in words.
        kind: What sort of claim it is.
        independent_vars: The factors that are claimed to have an effect.
        dependent_vars: The outcomes that they are claimed to act on.
        moderators: What is claimed to change the size of the effect.
        mediators: What the effect is claimed to work through.
        contrast: The two levels that are compared; those of the variables where not given.
        direction: Which way ``left - right`` is claimed to point.
        minimum_effect_of_interest: The smallest difference that matters, in the outcome's units;
            an equivalence is tested against it, and power is forecast for it.
        notes: Anything else, for readers.
    """

    hypothesis_id: Name
    label: Name
    statement: Name
    kind: HypothesisKind = HypothesisKind.EFFECT
    independent_vars: tuple[Text, ...] = ()
    dependent_vars: tuple[Text, ...] = ()
    moderators: tuple[Moderator, ...] = ()
    mediators: tuple[Mediator, ...] = ()
    contrast: Contrast | None = None
    direction: HypothesisDirection = HypothesisDirection.DIFFERENT
    minimum_effect_of_interest: Number | None = None
    notes: Text = ""


class ExpectedVariance(Declaration):
    """What variance is expected of an outcome, before there are runs that show it.

    Args:
        problem_condition: How conditions' effects differ between problems, as a variance.
        replicate: How replicates of one problem under one condition differ, as a variance; for an
            outcome of 0 and 1 that is right with chance p it is p(1 - p).
    """

    problem_condition: NotNegative = 0.0
    replicate: NotNegative = 0.0


_POLICIES = {
    "holm": "holm",
    "holm_bonferroni": "holm",
    "bonferroni": "bonferroni",
    "fdr_bh": "fdr_bh",
    "fdr": "fdr_bh",
    "bh": "fdr_bh",
    "benjamini_hochberg": "fdr_bh",
    "dunnett": "dunnett",
    "none": "none",
}
"""What a policy of multiple comparisons is called, by this name or another."""


class AnalysisPlan(Declaration):
    """Which tests will be run on which hypotheses, decided before the data are seen.

    Args:
        analysis_plan_id: The plan's name.
        hypothesis_ids: The hypotheses that it tests, at least one; adjusted for each other.
        tests: The families of tests, at least one.
        outcomes: The outcomes that it looks at; those of its hypotheses where not given.
        covariates: What the estimates are adjusted for.
        filters: Which runs it looks at: what of them -> the value it has, or a list of such values.
        plots: The figures that are planned; kept for readers.
        export_tables: The tables that are planned; kept for readers.
        notes: Anything else, for readers.
        multiple_comparison_policy: How hypotheses are adjusted for each other: ``holm``,
            ``bonferroni``, ``fdr_bh``, ``dunnett`` (levels of one factor with one control), or
            ``none``, which means that they are not. None where the plan says nothing: then by Holm.
        random_effects: What is drawn at random, for a mixed model beside the paired tests.
        generalize_to: What the verdicts are to hold for: the ``population`` that the problems are a
            sample of, or ``these_problems``, where they are the ones that are of interest.
        expected_variance: What `penstock plan` forecasts power from while there is no pilot.
    """

    analysis_plan_id: Name
    hypothesis_ids: tuple[Text, ...]
    tests: tuple[Text, ...]
    outcomes: tuple[Text, ...] = ()
    covariates: tuple[Text, ...] = ()
    random_effects: tuple[Text, ...] = ()
    filters: JsonMapping = EMPTY
    multiple_comparison_policy: Text | None = None
    generalize_to: Literal["population", "these_problems"] = "population"
    expected_variance: ExpectedVariance | None = None
    plots: tuple[Text, ...] = ()
    export_tables: tuple[Text, ...] = ()
    notes: Text = ""

    @property
    def adjustment(self) -> str | None:
        """The policy of multiple comparisons; None where no known one is named."""
        named = (self.multiple_comparison_policy or "").strip().lower()
        return _POLICIES.get(named.replace("-", "_").replace(" ", "_"))

    @field_validator("hypothesis_ids")
    @classmethod
    def _names_a_hypothesis(cls, ids: tuple[str, ...]) -> tuple[str, ...]:
        if not ids:
            raise ValueError("AnalysisPlan.hypothesis_ids must contain at least one hypothesis ID.")

        return ids

    @field_validator("tests")
    @classmethod
    def _names_a_test(cls, tests: tuple[str, ...]) -> tuple[str, ...]:
        if not tests:
            raise ValueError("AnalysisPlan.tests must contain at least one test family.")

        return tests
