"""Winners: which level of a factor came out best, in each setting of all that is varied beside it.

Who is best is chosen by the data, so a winner is shown where it beats every other level with p
values adjusted over all pairs of levels in all settings (Holm), not only over its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from math import comb
from typing import Any, NamedTuple

from penstock._base.fact import EMPTY, Fact
from penstock.analysis.adjustment import ALPHA, adjusted
from penstock.analysis.contrasts import Contrast, compare
from penstock.analysis.sample import Sample

__all__ = ["Winner", "winners_of"]

_MOST_PAIRS = 60
"""Sign flips of a pair take up to a third of a second; a run waits for them at its end."""


class Winner(Fact):
    """The best level of a factor in one setting.

    Args:
        factor: What is compared.
        setting: What is varied beside it -> its level here; nothing where nothing is.
        best: The level that came out best.
        runner_up: The level that is closest to it.
        contrast: How the two differ: its left side less its right side.
        p_adjusted: The largest p value of the best against another level, adjusted over all pairs
            in all settings; None where there is none.
        is_shown: Whether it is at most 0.05.
    """

    factor: str
    setting: dict[str, Any] = EMPTY
    best: str
    runner_up: str
    contrast: Contrast
    p_adjusted: float | None = None
    is_shown: bool = False


class _Pair(NamedTuple):
    """Two levels in one setting, the first one less the second."""

    setting: int
    left: str
    right: str
    contrast: Contrast


def winners_of(sample: Sample, factor: str, better: str) -> tuple[Winner, ...]:
    """Find the best level of a factor in each setting of the other factors.

    Args:
        sample: The scored runs.
        factor: What is compared.
        better: ``higher`` or ``lower``.

    Returns:
        A winner for each setting in which any two levels can be compared; none where there are
        more than sixty pairs of levels in all settings.
    """
    factors = sample.factors()
    levels = factors.get(factor, [])
    others = {name: each for name, each in factors.items() if name != factor}
    settings = [dict(zip(others, each, strict=True)) for each in product(*others.values())]
    if len(settings) * comb(len(levels), 2) > _MOST_PAIRS:
        return ()

    pairs = [
        pair
        for place, each in enumerate(settings)
        for pair in _pairs(sample, factor, levels, each, place)
    ]
    known = {str(at): pair.contrast.p for at, pair in enumerate(pairs)}
    by_holm = adjusted({at: p for at, p in known.items() if p is not None}, "holm")
    p_values = [by_holm.get(str(at)) for at in range(len(pairs))]
    found = (
        _winner(factor, setting, at, pairs, p_values, is_higher_better=better == "higher")
        for at, setting in enumerate(settings)
    )
    return tuple(each for each in found if each is not None)


def _pairs(
    sample: Sample, factor: str, levels: Sequence[Any], setting: dict[str, Any], place: int
) -> Iterator[_Pair]:
    arms = {str(level): _arms_at(sample, {**setting, factor: level}) for level in levels}
    for left, right in combinations(arms, 2):
        if arms[left] and arms[right]:
            weights = {at: 1 / len(arms[left]) for at in arms[left]}
            weights |= {at: -1 / len(arms[right]) for at in arms[right]}
            contrast = compare(
                sample, f"{left}-{right}", weights, factor=factor, sides=(left, right)
            )
            if contrast.difference is not None:
                yield _Pair(place, left, right, contrast)


def _arms_at(sample: Sample, levels: Mapping[str, Any]) -> list[int]:
    return [
        at
        for at, arm in enumerate(sample.arms)
        if all(arm.levels.get(name) == level for name, level in levels.items())
    ]


def _winner(
    factor: str,
    setting: dict[str, Any],
    place: int,
    pairs: Sequence[_Pair],
    p_values: Sequence[float | None],
    *,
    is_higher_better: bool,
) -> Winner | None:
    """Return the level that beats most others, and by most where several do."""
    mine = [(pair, p) for pair, p in zip(pairs, p_values, strict=True) if pair.setting == place]
    ahead: dict[str, dict[str, tuple[float, _Pair, float | None]]] = {}
    for pair, p in mine:
        lead = (pair.contrast.difference or 0.0) * (1 if is_higher_better else -1)
        ahead.setdefault(pair.left, {})[pair.right] = (lead, pair, p)
        ahead.setdefault(pair.right, {})[pair.left] = (-lead, pair, p)

    if not ahead:
        return None

    best = max(
        ahead,
        key=lambda level: (
            sum(lead > 0 for lead, *_ in ahead[level].values()),
            sum(lead for lead, *_ in ahead[level].values()),
        ),
    )
    runner_up = min(ahead[best], key=lambda level: ahead[best][level][0])
    p_of_all = [p for *_, p in ahead[best].values()]
    known = [p for p in p_of_all if p is not None]
    largest = max(known) if len(known) == len(p_of_all) else None
    leads = all(lead > 0 for lead, *_ in ahead[best].values())
    return Winner(
        factor=factor,
        setting=setting,
        best=best,
        runner_up=runner_up,
        contrast=ahead[best][runner_up][1].contrast,
        p_adjusted=largest,
        is_shown=leads and largest is not None and largest <= ALPHA,
    )
