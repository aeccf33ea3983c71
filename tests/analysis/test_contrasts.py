from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from penstock.analysis.contrasts import Contrast, compare, contrast_of
from tests.analysis.samples import sample_of

LEFT = [[0.5, 0.7], [0.9, 0.8], [0.4, 0.5], [0.6, 0.8], [0.7, 0.6]]
RIGHT = [[0.4, 0.6], [0.5, 0.7], [0.45, 0.5], [0.3, 0.5], [0.6, 0.7]]


def compared(left: list[Any], right: list[Any], **options: Any) -> Contrast:
    sample = sample_of({"right": right, "left": left})
    return compare(sample, "left-right", contrast_of(sample, "tone", "left", "right"), **options)


def test_a_contrast_is_paired_by_problem() -> None:
    found = compared(LEFT, RIGHT)

    wanted = stats.ttest_rel(np.mean(LEFT, axis=1), np.mean(RIGHT, axis=1))
    low, high = wanted.confidence_interval()
    assert (found.t, found.p_t, found.df) == pytest.approx((wanted.statistic, wanted.pvalue, 4))
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))


def test_below_thirty_problems_sign_flips_decide_and_from_there_on_students_t() -> None:
    few, many = compared(LEFT, RIGHT), compared(LEFT * 6, RIGHT * 6)

    assert (few.test, few.p) == ("sign flips", few.p_sign_flips)
    assert (many.test, many.p) == ("paired t", many.p_t)


def test_problems_tried_once_with_outcomes_of_0_and_1_are_mcnemars() -> None:
    left, right = [[1], [1], [1], [0], [1]], [[0], [0], [1], [1], [0]]

    found = compared(left, right)

    assert found.mcnemar is not None
    assert (found.mcnemar.only_left, found.mcnemar.only_right) == (3, 1)
    assert found.p == pytest.approx(stats.binomtest(3, 4).pvalue)
    assert found.test == "McNemar's exact test"


def test_problems_with_one_side_only_are_left_out_of_the_pairs() -> None:
    found = compared([*LEFT, [None]], [*RIGHT, [0.9]])

    assert found.n_problems == 5
    assert found.difference == pytest.approx(float(np.mean(LEFT) - np.mean(RIGHT)))


def test_sides_without_a_common_problem_are_compared_by_welch() -> None:
    left, right = [[0.5], [0.7], [None], [None]], [[None], [None], [0.2], [0.3]]

    found = compared(left, right)

    wanted = stats.ttest_ind([0.5, 0.7], [0.2, 0.3], equal_var=False)
    assert not found.is_paired
    assert found.test == "Welch's t"
    assert found.p == pytest.approx(wanted.pvalue)


def test_a_smallest_effect_makes_a_test_of_equivalence_and_the_power() -> None:
    found = compared(LEFT, RIGHT, delta=0.3)

    differences = np.mean(LEFT, axis=1) - np.mean(RIGHT, axis=1)
    lower = stats.ttest_1samp(differences, -0.3, alternative="greater").pvalue
    upper = stats.ttest_1samp(differences, 0.3, alternative="less").pvalue
    assert found.equivalence is not None
    assert found.equivalence.p == pytest.approx(max(lower, upper))
    assert found.power is not None
    assert 0 < found.power.at_delta < 1


def test_differences_that_do_not_vary_have_sentences_in_the_place_of_numbers() -> None:
    found = compared([[0.5], [0.7], [0.9]], [[0.4], [0.6], [0.8]], delta=0.1)

    assert found.difference == pytest.approx(0.1)
    assert found.t is None
    assert "do not vary" in found.undefined["t"]
    assert found.p == pytest.approx(0.25)


@given(
    st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), min_size=1, max_size=3), max_size=6),
    st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), min_size=1, max_size=3), max_size=6),
)
def test_whatever_was_scored_there_is_a_number_or_a_sentence_and_never_nan(
    left: list[list[float | None]], right: list[list[float | None]]
) -> None:
    if not left or not right:
        return

    found = compared(left, right, delta=0.2).model_dump()

    numbers = [each for each in found.values() if isinstance(each, float)]
    assert not any(isnan(each) for each in numbers)
    assert found["difference"] is not None or found["undefined"]


def test_from_thirty_problems_on_no_flips_are_drawn_and_t_decides() -> None:
    values = np.random.default_rng(0).normal(size=(2, 40, 1)).tolist()
    sample = sample_of(dict(zip("ab", values, strict=True)))

    found = compare(sample, "b-a", contrast_of(sample, "tone", "b", "a"))

    assert found.p_sign_flips is None
    assert (found.test, found.p) == ("paired t", found.p_t)
