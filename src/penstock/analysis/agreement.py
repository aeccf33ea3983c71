"""Agreement: how far two evaluators, or a judge and people, score the same answers alike.

Sources: J. Cohen, Educational and Psychological Measurement 20 (1960), 37-46, for kappa, and
Psychological Bulletin 70 (1968), 213-220, for weights; K. Krippendorff, Content Analysis, 2nd ed.
(2004), chapter 11, for alpha. Intervals are jackknifed over problems, as runs of one problem are
not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np

from penstock._base.fact import EMPTY, Fact
from penstock.analysis.distributions import t_quantile
from penstock.analysis.estimates import Interval, t_interval
from penstock.analysis.sample import Floats
from penstock.store.reader import StoreReader

__all__ = ["Agreement", "agreement_of", "agreements_of"]

_MOST_EVALUATORS = 6
_FEWEST_RUNS = 2
_SCORES = """
SELECT attempt.id, attempt.problem_id, evaluation.evaluator_id, metric_name, metric_value
FROM evaluation JOIN scoring ON scoring.id = evaluation.scoring_id
JOIN attempt ON attempt.id = attempt_id
WHERE scoring.place IS NOT NULL AND final AND position IS NOT NULL AND status = 'success'
"""


class Agreement(Fact):
    """How far two evaluators agree on the answers that both have scored.

    Args:
        first: An evaluator; people's labels where there are any.
        other: Another.
        n_runs: Runs that both scored.
        n_problems: Problems that these are of.
        observed: The share of runs with the same score.
        kappa: Cohen's kappa.
        kappa_interval: Its 95 % interval.
        weighted_kappa: The same with squared distances of scores as weights.
        alpha: Krippendorff's alpha, with squared distances.
        alpha_interval: Its 95 % interval.
        bias: What the other scores above the first, averaged over problems.
        bias_interval: Its 95 % interval.
        undefined: The name of each quantity that does not exist here -> why.
    """

    first: str
    other: str
    n_runs: int
    n_problems: int
    observed: float
    kappa: float | None = None
    kappa_interval: Interval | None = None
    weighted_kappa: float | None = None
    alpha: float | None = None
    alpha_interval: Interval | None = None
    bias: float
    bias_interval: Interval | None = None
    undefined: dict[str, str] = EMPTY


class _Scored(NamedTuple):
    """What an evaluator scored: attempt -> the problem and the score."""

    problems: dict[int, str]
    scores: dict[int, float]


def agreements_of(store: StoreReader, labels: frozenset[str] = frozenset()) -> list[Agreement]:
    """Compare each pair of evaluators that scored the same runs; none of more than six evaluators.

    Args:
        store: The study's store.
        labels: Evaluators that are people; they come first in their pairs.
    """
    found: dict[str, dict[str, _Scored]] = {}
    for attempt, problem, evaluator, metric, value in store.table(_SCORES):
        if isinstance(value, (int, float)):
            scored = found.setdefault(evaluator, {}).setdefault(metric, _Scored({}, {}))
            scored.problems[attempt] = problem
            scored.scores[attempt] = float(value)

    main = {
        name: metrics.get(name) or next(iter(metrics.values()))
        for name, metrics in found.items()
        if name in metrics or len(metrics) == 1
    }
    if len(main) > _MOST_EVALUATORS:
        return []

    ordered = sorted(main, key=lambda name: (name not in labels, name))
    return [*_pairs(main, ordered)]


def _pairs(main: Mapping[str, _Scored], ordered: list[str]) -> Iterator[Agreement]:
    for first, other in combinations(ordered, 2):
        runs = sorted(main[first].scores.keys() & main[other].scores.keys())
        if len(runs) >= _FEWEST_RUNS:
            scores = np.array([[main[name].scores[run] for run in runs] for name in (first, other)])
            yield agreement_of(
                first, other, scores, np.array([main[first].problems[run] for run in runs])
            )


def agreement_of(
    first: str, other: str, scores: Floats, problems: np.ndarray[tuple[int], np.dtype[np.str_]]
) -> Agreement:
    """Return how far two evaluators agree.

    Args:
        first: An evaluator.
        other: Another.
        scores: What each gave to each run, shape (2, runs).
        problems: The problem of each run, shape (runs,).
    """
    names, place = np.unique(problems, return_inverse=True)
    sums = np.bincount(place, weights=scores[1] - scores[0])
    differences = np.asarray(sums / np.bincount(place), dtype=np.float64)
    varies = len(names) > 1 and float(differences.std(ddof=1)) > 0
    kappa, alpha = _kappa(scores), _alpha(scores)
    same = "both gave one and the same score to every run."
    few = "one problem does not say how problems vary."
    undefined = {} if kappa is not None else dict.fromkeys(("kappa", "weighted_kappa"), same)
    undefined |= {} if alpha is not None else {"alpha": same}
    undefined |= {} if varies else {"bias_interval": few if len(names) == 1 else same}
    return Agreement(
        first=first,
        other=other,
        n_runs=scores.shape[1],
        n_problems=len(names),
        observed=float((scores[0] == scores[1]).mean()),
        kappa=kappa,
        kappa_interval=_jackknifed(_kappa, scores, problems),
        weighted_kappa=_weighted_kappa(scores),
        alpha=alpha,
        alpha_interval=_jackknifed(_alpha, scores, problems),
        bias=float(differences.mean()),
        bias_interval=t_interval(differences) if varies else None,
        undefined=undefined,
    )


def _kappa(scores: Floats) -> float | None:
    return _chance_corrected(scores, lambda a, b: (a != b).astype(float))


def _weighted_kappa(scores: Floats) -> float | None:
    return _chance_corrected(scores, lambda a, b: (a - b) ** 2)


def _chance_corrected(scores: Floats, distance: Callable[[Floats, Floats], Floats]) -> float | None:
    """Return one less the distance observed over that of scores drawn from each one's own."""
    values = [np.unique(each, return_counts=True) for each in scores]
    (first, of_first), (other, of_other) = values
    apart = distance(first[:, None], other[None, :])
    runs = int(scores.shape[1])
    by_chance = float((of_first[:, None] * of_other[None, :] * apart).sum()) / runs / runs
    if by_chance == 0:
        return None

    observed = float(distance(scores[0], scores[1]).mean())
    return 1.0 - observed / by_chance


def _alpha(scores: Floats) -> float | None:
    """Return Krippendorff's alpha of two raters who scored every run, with squared distances."""
    pooled = scores.ravel()
    count = len(pooled)
    by_chance = float(pooled.var()) * 2 * count / (count - 1)
    if by_chance == 0:
        return None

    return 1.0 - float(((scores[0] - scores[1]) ** 2).mean()) / by_chance


def _jackknifed(
    statistic: Callable[[Floats], float | None],
    scores: Floats,
    problems: np.ndarray[tuple[int], np.dtype[np.str_]],
) -> Interval | None:
    """Return a statistic's interval from leaving out one problem after the other."""
    names, place = np.unique(problems, return_inverse=True)
    whole = statistic(scores)
    if whole is None or len(names) <= _FEWEST_RUNS:
        return None

    left = [statistic(scores[:, place != at]) for at in range(len(names))]
    known = np.array([each for each in left if each is not None], dtype=float)
    if len(known) < len(names):
        return None

    count = len(names)
    error = float(np.sqrt((count - 1) / count * ((known - known.mean()) ** 2).sum()))
    half = t_quantile(0.975, count - 1) * error
    return Interval(low=max(-1.0, whole - half), high=min(1.0, whole + half))
