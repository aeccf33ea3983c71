"""Adjustment for several hypotheses: what looks like an effect when one looks often enough.

Sources: S. Holm, Scandinavian Journal of Statistics 6 (1979), 65-70; Y. Benjamini and Y. Hochberg,
Journal of the Royal Statistical Society B 57 (1995), 289-300; C. W. Dunnett (1955).
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ALPHA", "POLICIES", "adjusted"]

ALPHA = 0.05
"""The level of all tests: a p value of at most so much shows something, once it is adjusted."""

POLICIES = ("holm", "bonferroni", "fdr_bh", "none")


def adjusted(p_values: Mapping[str, float], policy: str) -> dict[str, float]:
    """Return each p value adjusted for the others of its family.

    Args:
        p_values: Hypothesis -> its p value.
        policy: One of `POLICIES`.

    Raises:
        ValueError: there is no such policy.
    """
    ranked = sorted(p_values.items(), key=lambda item: item[1])
    count = len(ranked)
    if policy == "none":
        return dict(p_values)

    if policy == "bonferroni":
        return {name: min(1.0, p * count) for name, p in p_values.items()}

    if policy == "holm":
        return _running_maximum({name: p * (count - at) for at, (name, p) in enumerate(ranked)})

    if policy == "fdr_bh":
        return _running_minimum({name: p * count / (at + 1) for at, (name, p) in enumerate(ranked)})

    raise ValueError(f"{policy!r} is not a policy of multiple comparisons: {', '.join(POLICIES)}")


def _running_maximum(ranked: Mapping[str, float]) -> dict[str, float]:
    found, most = {}, 0.0
    for name, p in ranked.items():
        most = max(most, p)
        found[name] = min(1.0, most)

    return found


def _running_minimum(ranked: dict[str, float]) -> dict[str, float]:
    found, least = {}, 1.0
    for name in reversed(ranked):
        least = min(least, ranked[name])
        found[name] = least

    return found
