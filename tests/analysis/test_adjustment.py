from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from penstock.analysis.adjustment import adjusted


@pytest.mark.parametrize("policy", ["holm", "bonferroni", "fdr_bh"])
@settings(max_examples=20)  # statsmodels collects the garbage of the whole process at each "holm"
@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_adjusted_p_values_are_those_of_statsmodels(policy: str, p_values: list[float]) -> None:
    named = {f"h{at}": p for at, p in enumerate(p_values)}

    found = adjusted(named, policy)

    assert list(named) == sorted(found)
    assert [found[name] for name in named] == pytest.approx(
        multipletests(p_values, method=policy)[1]
    )


def test_none_adjusts_nothing_and_an_unknown_policy_is_refused() -> None:
    assert adjusted({"h": 0.04}, "none") == {"h": 0.04}
    with pytest.raises(ValueError, match="'sidak' is not a policy"):
        adjusted({"h": 0.04}, "sidak")
