from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.anova import AnovaRM

from penstock.analysis.effects import factor_test, main_effects, with_control
from penstock.analysis.power import variance_components
from tests.analysis.samples import crossed, sample_of

RNG = np.random.default_rng(5)


def test_a_factor_of_three_levels_has_the_f_of_a_repeated_measures_anova() -> None:
    pandas = pytest.importorskip("pandas")
    values = RNG.normal(size=(3, 8, 2))
    sample = sample_of({f"l{at}": cell.tolist() for at, cell in enumerate(values)})

    found = factor_test(sample, "tone")

    rows = [
        {"level": level, "problem": problem, "y": values[level, problem].mean()}
        for level in range(3)
        for problem in range(8)
    ]
    table = AnovaRM(pandas.DataFrame(rows), "y", "problem", ["level"]).fit().anova_table
    assert found is not None
    assert (found.f, found.p) == pytest.approx((table["F Value"].item(), table["Pr > F"].item()))


def test_comparisons_with_a_control_pool_the_error_and_pair_by_problem() -> None:
    base = RNG.normal(size=(12, 1))
    values = [base + RNG.normal(size=(12, 2)) / 5 + shift for shift in (0, 0, 1)]
    sample = sample_of({f"l{at}": cell.tolist() for at, cell in enumerate(values)})

    found = with_control(sample, "tone", "l0")

    assert set(found) == {"l1", "l2"}
    assert found["l2"].p < 0.001 < found["l1"].p
    assert found["l1"].interval.low < 0 < found["l1"].interval.high
    assert found["l1"].df == 22


def test_two_levels_need_no_adjustment() -> None:
    assert with_control(sample_of({"a": [[1.0]] * 3, "b": [[2.0]] * 3}), "tone", "a") == {}


def test_main_effects_are_differences_of_means_and_pairs_their_interactions() -> None:
    cells = {(a, b): RNG.normal(size=(6, 2)).tolist() for a in "xy" for b in "uv"}
    sample = crossed(cells)

    found = main_effects(sample, {"a": "x", "b": "u"})

    mean = {levels: np.mean(values) for levels, values in cells.items()}
    of_a = (mean["y", "u"] + mean["y", "v"]) / 2 - (mean["x", "u"] + mean["x", "v"]) / 2
    assert set(found) == {"a", "b", "a:b"}
    assert found["a"][0].difference == pytest.approx(of_a)


def test_variance_components_solve_the_expected_mean_squares() -> None:
    problems = RNG.normal(scale=2.0, size=(1, 400, 1))
    cells = RNG.normal(scale=1.0, size=(2, 400, 1))
    values = problems + cells + RNG.normal(scale=0.5, size=(2, 400, 5))
    sample = sample_of({"a": values[0].tolist(), "b": values[1].tolist()})

    found = variance_components(sample)

    assert found.problem == pytest.approx(4.0, rel=0.25)
    assert found.problem_condition == pytest.approx(1.0, rel=0.25)
    assert found.replicate == pytest.approx(0.25, rel=0.1)


def test_a_negative_component_is_shown_as_0_and_kept_raw() -> None:
    sample = sample_of({"a": [[0.0, 1.0], [1.0, 0.0]], "b": [[1.0, 0.0], [0.0, 1.0]]})

    found = variance_components(sample)

    assert found.problem_condition == 0.0
    assert found.raw["problem_condition"] < 0


def test_one_replicate_cannot_tell_replicates_from_problem_by_condition() -> None:
    found = variance_components(sample_of({"a": [[0.0], [1.0]], "b": [[0.5], [0.7]]}))

    assert found.replicate is None
    assert "one replicate" in found.undefined["replicate"]
    assert found.problem_condition_plus_replicate is not None
