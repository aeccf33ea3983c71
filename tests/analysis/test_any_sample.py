"""Whatever runs came to, each quantity is a number or is not there: never a fault, never nan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.analysis.comparisons import halved
from penstock.analysis.contrasts import compare, contrast_of
from penstock.analysis.drift import drift_of
from penstock.analysis.effects import factor_test, with_control
from penstock.analysis.estimates import estimate_condition
from penstock.analysis.estimating_equations import fit_estimating_equation
from penstock.analysis.missingness import bounds_of, flow_of, missing_by_condition
from penstock.analysis.mixed_models import fit_mixed_model
from penstock.analysis.power import variance_components
from penstock.analysis.regression import regress
from penstock.analysis.sample import Sample
from tests.analysis.samples import numbers_in, sample_of

KINDS: dict[str, st.SearchStrategy[Any]] = {
    "shares": st.sampled_from([0, 1]),
    "a constant": st.just(0.3),
    "numbers": st.floats(-1e3, 1e3, width=32),
    "large numbers": st.floats(1e14, 1e15),
    "small numbers": st.floats(0, 1e-12),
    "texts": st.sampled_from(["yes", "no"]),
    "texts among numbers": st.sampled_from([1, 2.5, "n/a"]),
}


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[list[Any]]]:
    """Levels -> problems -> values, of which some are missing, or repeat each other."""
    value = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    value = draw(st.sampled_from([value, st.one_of(value, st.none())]))
    problems, replicates = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    repeats, failed = draw(st.booleans()), draw(st.sampled_from(["", "", "left"]))
    cell = st.lists(value, min_size=replicates, max_size=replicates)
    if repeats:
        cell = value.map(lambda each: [each] * replicates)

    table = {
        level: draw(st.lists(cell, min_size=problems, max_size=problems))
        for level in draw(st.sampled_from([("right", "left"), ("right", "left", "other")]))
    }
    return table | ({failed: [[None] * replicates] * problems} if failed else {})


def analysed(sample: Sample) -> Iterator[Any]:
    """Everything that an analysis finds of a sample."""
    weights = contrast_of(sample, "tone", "left", "right")
    codes = {"x": halved(weights)}
    yield compare(sample, "x", weights, delta=0.1)
    for arm in range(len(sample.arms)):
        yield estimate_condition(sample, arm, is_binary=sample.is_binary)

    yield from flow_of(sample)
    yield from drift_of(sample, "score")
    yield variance_components(sample)
    yield factor_test(sample, "tone")
    yield from with_control(sample, "tone", "right").values()
    yield bounds_of(sample, weights)
    missing = missing_by_condition(sample, weights, "x")
    yield None if missing is None else missing.contrast
    if sample.unit == "problem":
        yield from regress(sample, codes).values()
        yield from fit_mixed_model(sample, codes).values()
        if sample.is_binary:
            yield from fit_estimating_equation(sample, codes).values()


@settings(max_examples=40)
@given(tables())
@example({"right": [[1], [1]], "left": [[2.5], [None]]}).via("one problem tells of the difference")
@example({"right": [[0, 0], [0, 1]], "left": [[0, 0], [0, 1]]}).via("differences are all 0")
def test_whatever_runs_came_to_each_quantity_is_a_number_or_is_not_there(
    table: dict[str, list[list[Any]]],
) -> None:
    for fact in analysed(sample_of(table)):
        if fact is not None:
            found = list(numbers_in(fact.model_dump(mode="json")))
            assert np.isfinite(found).all(), fact
            assert all(0 <= p <= 1 for name, p in fact.model_dump().items() if name == "p" and p)
