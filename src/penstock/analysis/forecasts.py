"""Forecasts: whether a design will show what its hypotheses claim, from a pilot or as declared.

From the noncentral t on paired problem means. A pilot's spread is uncertain, so what it forecasts
is a band; problems and replicates are told apart, for replicates only measure each problem better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from penstock._base.fact import Fact
from penstock.analysis.contrasts import FEW_PROBLEMS, Weights
from penstock.analysis.distributions import equivalence_power, two_sided_t_power
from penstock.analysis.questions import Question, question_of
from penstock.analysis.sample import ALL_RUNS, Sample
from penstock.analysis.spread import Spread, declared_spread, pilot_spread
from penstock.analysis.verdicts import EQUIVALENCES
from penstock.study.hypotheses import ExpectedVariance, Hypothesis
from penstock.study.model import Study

__all__ = ["DECLARED", "Band", "PowerForecast", "forecast_power", "forecast_powers"]

DECLARED = "the declared variance"
"""The source of a forecast that no pilot was there for."""

_WANTED = 0.8
_MOST_PROBLEMS = 1_000_000
_MOST_REPLICATES = 10_000
_FEWEST_PROBLEMS = 6
"""Below so many problems no sign-flip p reaches 0.05."""

_ENDLESS = 1e3
"""A noncentrality at which every power is 1."""


class Band(Fact):
    """A forecast and its range.

    Args:
        value: The forecast.
        low: The lower end of its 95 % range; null where nothing says how wide that is.
        high: The upper end.
    """

    value: int | float
    low: int | float | None = None
    high: int | float | None = None


class PowerForecast(Fact):
    """Whether a design will be enough for a hypothesis.

    Args:
        hypothesis_id: The hypothesis.
        contrast: What is compared.
        source: What the forecast is made from.
        problems: Problems of the design.
        replicates: Replicates of the design.
        delta: The smallest effect of interest; null where none is declared.
        power: How likely an effect of that size is shown; of an equivalence, how likely it is
            shown where there is no difference.
        smallest_effect: The effect that is shown with a power of 0.8.
        problems_needed: The fewest problems with which the power is 0.8, with these replicates.
        replicates_needed: The fewest replicates with which it is, with these problems.
        notes: What limits the forecast, a sentence each.
    """

    hypothesis_id: str
    contrast: str = ""
    source: str = ""
    problems: int
    replicates: int
    delta: float | None = None
    power: Band | None = None
    smallest_effect: Band | None = None
    problems_needed: Band | None = None
    replicates_needed: Band | None = None
    notes: tuple[str, ...] = ()


def forecast_powers(
    study: Study,
    samples_of: Callable[[Hypothesis], Mapping[str, Sample]] | None,
    *,
    problems: int,
    replicates: int,
    pilot: str,
) -> Iterator[PowerForecast]:
    """Forecast each declared hypothesis.

    Args:
        study: The study with its hypotheses; of its analysis plans, what variance they expect
            counts where there is one.
        samples_of: Gives for a hypothesis each outcome's sample of the pilot's runs, the primary
            one first; None without a pilot.
        problems: Problems of the design.
        replicates: Replicates of the design.
        pilot: What the samples are called.
    """
    expected = {
        name: plan.expected_variance
        for plan in study.analysis_plans
        for name in plan.hypothesis_ids
        if plan.expected_variance is not None
    }
    for hypothesis in study.hypotheses:
        name = hypothesis.hypothesis_id
        asked = None if samples_of is None else question_of(hypothesis, samples_of(hypothesis))
        spread, source = _spread_of(asked, expected.get(name))
        chosen = ALL_RUNS if asked is None else asked.sample.chosen
        left = max(1, round(problems * chosen.share_of_problems))
        identity = {"hypothesis_id": name, "problems": left, "replicates": replicates}
        if isinstance(spread, str):
            yield PowerForecast.model_validate({**identity, "notes": (spread,)})
            continue

        found = forecast_power(
            name,
            spread,
            problems=left,
            replicates=replicates,
            delta=hypothesis.minimum_effect_of_interest,
            is_equivalence=hypothesis.kind in EQUIVALENCES,
        )
        filters = f"its analysis plan looks at {chosen.told}." if chosen.told else ""
        stated: dict[str, Any] = {
            "contrast": "" if asked is None or not asked.contrast else asked.contrast.name,
            "source": source or pilot,
            "notes": (*filter(None, (filters,)), *found.notes),
        }
        yield found.model_copy(update=stated)


def _spread_of(
    asked: Question | None, declared: ExpectedVariance | None
) -> tuple[Spread | str, str]:
    """Return the spread from the pilot, else as declared, and what it comes from where not."""
    found: Spread | str = "there is no pilot, and no variance is declared."
    weights: Weights = {0: 1.0, 1: -1.0}
    if asked is not None and asked.compared is not None:
        weights = asked.compared.weights
        found = pilot_spread(asked.sample, weights)
    elif asked is not None:
        found = asked.why_not

    if isinstance(found, str) and declared is not None:
        return declared_spread(declared, weights), DECLARED

    return found, ""


def forecast_power(
    name: str,
    spread: Spread,
    *,
    problems: int,
    replicates: int,
    delta: float | None,
    is_equivalence: bool = False,
) -> PowerForecast:
    """Forecast the power of a design.

    Args:
        name: The hypothesis.
        spread: How its contrast varies.
        problems: Problems of the design, two or more.
        replicates: Replicates of the design; a pilot of one forecasts one only.
        delta: The smallest effect of interest.
        is_equivalence: Whether it is to be shown that there is no such effect.
    """
    if spread.replicate is None:
        replicates = 1

    chances = _Chances(spread, is_equivalence=is_equivalence)
    notes = [*_notes(spread, problems, delta, is_equivalence=is_equivalence)]
    found: dict[str, Band | None] = {}
    if spread.df is not None or is_equivalence or problems >= _FEWEST_PROBLEMS:
        found["smallest_effect"] = _band(
            spread, lambda v: chances.least_effect(v, problems, replicates)
        )

    if delta:
        if "smallest_effect" in found:
            found["power"] = _band(spread, lambda v: chances.of(delta, v, problems, replicates))

        if spread.df is None:
            found["problems_needed"] = _band(
                spread, lambda v: chances.problems_needed(delta, v, replicates)
            )

        if spread.replicate is not None:
            found["replicates_needed"] = _band(
                spread, lambda v: chances.replicates_needed(delta, v, problems)
            )
            if found["replicates_needed"] is None:
                notes.append(_unreachable(problems, chances.of(delta, spread.variance, problems)))

    return PowerForecast(
        hypothesis_id=name,
        problems=problems,
        replicates=replicates,
        delta=delta,
        notes=tuple(notes),
        **found,
    )


class _Chances:
    """How likely designs show effects, for a spread.

    Args:
        spread: How the contrast varies.
        is_equivalence: Whether it is to be shown that there is no effect.
    """

    def __init__(self, spread: Spread, *, is_equivalence: bool) -> None:
        self._spread = spread
        self._test = equivalence_power if is_equivalence else two_sided_t_power
        self._fewest = 2 if is_equivalence else _FEWEST_PROBLEMS

    def of(
        self, effect: float, variance: float, problems: int, replicates: int | None = None
    ) -> float:
        """Return the power at an effect; with endless replicates where no number is given."""
        error = self._spread.standard_error(problems, replicates, variance)
        df = self._spread.degrees_of_freedom(problems, replicates)
        return self._test(min(abs(effect) / error, _ENDLESS), df)

    def least_effect(self, variance: float, problems: int, replicates: int) -> float:
        """Return the effect whose power is 0.8."""
        error = self._spread.standard_error(problems, replicates, variance)
        low, high = 0.0, 1e3 * error
        for _ in range(100):
            middle = (low + high) / 2
            is_enough = self.of(middle, variance, problems, replicates) >= _WANTED
            low, high = (low, middle) if is_enough else (middle, high)

        return high

    def problems_needed(self, effect: float, variance: float, replicates: int) -> int | None:
        """Return the fewest problems; None beyond a million."""
        return _fewest(
            lambda problems: self.of(effect, variance, problems, replicates) >= _WANTED,
            self._fewest,
            _MOST_PROBLEMS,
        )

    def replicates_needed(self, effect: float, variance: float, problems: int) -> int | None:
        """Return the fewest replicates; None where no number of them is enough."""
        if self.of(effect, variance, problems) < _WANTED:
            return None

        first = 1 if self._spread.df is None else 2
        return _fewest(
            lambda replicates: self.of(effect, variance, problems, replicates) >= _WANTED,
            first,
            _MOST_REPLICATES,
        )


def _fewest(is_enough: Callable[[int], bool], first: int, most: int) -> int | None:
    """Find the smallest whole number that is enough; all larger ones are."""
    if is_enough(first):
        return first

    low, high = first, 2 * first
    while not is_enough(high):
        low, high = high, high * 2
        if low > most:
            return None

    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)

    return high


def _band(spread: Spread, forecast: Callable[[float], float | None]) -> Band | None:
    """Return a forecast with its range; None where there is none at the pilot's spread."""
    value = forecast(spread.variance)
    if value is None:
        return None

    if spread.limits == (spread.variance, spread.variance):
        return Band(value=value)

    ends = [forecast(limit) for limit in spread.limits]
    known = sorted(each for each in ends if each is not None)
    return Band(value=value, low=known[0], high=known[-1] if len(known) == len(ends) else None)


def _notes(
    spread: Spread, problems: int, delta: float | None, *, is_equivalence: bool
) -> Iterator[str]:
    if not delta:
        yield (
            "it declares no minimum_effect_of_interest, so the smallest effect that would be shown "
            "is forecast alone."
        )

    if spread.replicate is None:
        yield (
            "the pilot has one replicate, which cannot be told from its problem: only numbers of "
            "problems are forecast, each with one replicate."
        )

    if spread.df is None and not is_equivalence and problems < _FEWEST_PROBLEMS:
        yield (
            f"with {problems} problems nothing can be shown: below {_FEWEST_PROBLEMS} no p of sign "
            "flips reaches 0.05."
        )
    elif spread.df is None and not is_equivalence and problems < FEW_PROBLEMS:
        yield f"below {FEW_PROBLEMS} problems sign flips decide, whose power is about that of t."


def _unreachable(problems: int, endless: float) -> str:
    return (
        f"no number of replicates reaches {_WANTED} with {problems:,} problems: with endless "
        f"replicates the power is {endless:.3f} (problem x condition remains)."
    )
