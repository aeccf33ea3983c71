"""What a plan will take and whether it will be enough, from the runs that are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from penstock._base.extras import load_extra
from penstock.analysis.forecasts import DECLARED, Band, PowerForecast, forecast_powers
from penstock.analysis.readings import Readings
from penstock.analysis.resources import Left, ResourceForecast, forecast_resources
from penstock.cli.output import counted, listed
from penstock.cli.plan_records import Planned
from penstock.cli.readiness import Readiness
from penstock.errors import ValidationError
from penstock.planning.plan import Plan
from penstock.store.reader import StoreReader, is_begun
from penstock.study.chat import ChatOptions
from penstock.study.model import Study
from penstock.study.spending import EndpointLimits

__all__ = ["PlanForecast", "endpoint_limits", "plan_forecast_lines", "plan_forecast_of"]

_MINUTE_S = 63.0
"""A minute as the gate counts it: over time it uses 95 % of a limit."""


class PlanForecast(NamedTuple):
    """What is forecast of a plan, as `Planned` holds it."""

    pilot: str | None = None
    resources: ResourceForecast | None = None
    power: tuple[PowerForecast, ...] = ()
    forecast_notes: tuple[str, ...] = ()


def plan_forecast_of(ready: Readiness, plan: Plan, pilot: Path | None) -> PlanForecast:
    """Forecast a plan from a pilot: what its runs will take, and what they will show.

    Args:
        ready: The study, and what is done of it.
        plan: Its plan.
        pilot: A directory with runs; where not given, the study's own.

    Raises:
        StoreError: there is no store in a directory that is given.
    """
    study = plan.study
    directory = ready.target.output_dir if pilot is None else pilot
    expects = any(each.expected_variance is not None for each in study.analysis_plans)
    if pilot is None and not is_begun(directory):
        if not expects:
            return PlanForecast(forecast_notes=tuple(_advice(study)))

        return _forecast(lambda: PlanForecast(power=_powers(plan, None, "")))

    with StoreReader(directory) as store, store.snapshot():
        return _forecast(lambda: _from_store(ready, plan, store))


def _forecast(make: Callable[[], PlanForecast]) -> PlanForecast:
    try:
        return make()
    except ValidationError as error:  # the extra is not installed
        return PlanForecast(forecast_notes=tuple(f"no forecast: {each}" for each in error.errors))


def _advice(study: Study) -> Iterator[str]:
    if study.hypotheses:
        yield (
            "whether it will be enough is forecast from a pilot (penstock run --problems 5), or "
            "from the expected_variance of an analysis plan"
        )


def _from_store(ready: Readiness, plan: Plan, store: StoreReader) -> PlanForecast:
    study, runs = plan.study, store.count()
    name = f"{counted(runs, 'run')} in {store.directory}"
    left = [*_left(plan, ready.kept.done)]
    readings = Readings(store, study)
    return PlanForecast(
        pilot=str(store.directory),
        resources=forecast_resources(
            store,
            left,
            problems=len({problem for cell in plan.cells for problem in cell.problems}),
            source=name,
            concurrency=_concurrency(study),
            least_s=endpoint_limits(study),
        )
        if left
        else None,
        power=_powers(plan, readings, name),
    )


def _powers(plan: Plan, pilot: Readings | None, name: str) -> tuple[PowerForecast, ...]:
    return tuple(
        forecast_powers(
            plan.study,
            None if pilot is None else pilot.samples,
            problems=len({problem for cell in plan.cells for problem in cell.problems}),
            replicates=min(cell.replicates for cell in plan.cells),
            pilot=name,
        )
    )


def _left(plan: Plan, done: bytearray) -> Iterator[Left]:
    """Count the runs that are left of each condition and agent."""
    for cell, start in zip(plan.cells, plan.starts, strict=False):
        row = len(cell.problems)
        for place, agent in enumerate(cell.agents):
            firsts = (
                start + (replicate * len(cell.agents) + place) * row
                for replicate in range(cell.replicates)
            )
            runs = sum(row - done[first : first + row].count(1) for first in firsts)
            if runs:
                yield Left(cell.condition.condition_id, agent, runs)


def _concurrency(study: Study) -> int | None:
    """Return how many runs may be in flight; None for as many as there were in the pilot."""
    declared = study.execution.concurrency
    return declared if isinstance(declared, int) else None


def endpoint_limits(study: Study) -> Callable[[Mapping[str, float], float], float] | None:
    """Return what says how long declared limits of endpoints make calls take at least.

    Args:
        study: The study with its limits, agents and judges.

    Returns:
        A function from each agent's attempts, and the tokens of one, to seconds; None where no
        limit is declared.
    """
    asked = {name: each.chat for name, each in study.agents.items() if each.chat is not None}
    judges = [each.judge for each in study.evaluators.values() if each.judge is not None]
    if not study.limits and not any(each.limits for each in (*asked.values(), *judges)):
        return None

    endpoints = load_extra("penstock.models.endpoints", extra="models", what="a chat model")
    address = endpoints.StudyEndpoints(study).clients.address
    declared = {address(name): each for name, each in study.limits.items()}

    def account(options: ChatOptions) -> tuple[str, EndpointLimits | None]:
        url = address(options.base_url or options.provider)
        return url, options.limits or declared.get(url)

    def least_s(attempts: Mapping[str, float], tokens: float) -> float:
        calls: dict[tuple[str, EndpointLimits | None], float] = {}
        for agent, made in attempts.items():
            for options in (*([asked[agent]] if agent in asked else []), *judges):
                calls[account(options)] = calls.get(account(options), 0.0) + made

        minutes = [0.0]
        for (_, limit), made in calls.items():
            if limit is not None and limit.requests_per_minute:
                minutes.append(made / limit.requests_per_minute)

            if limit is not None and limit.tokens_per_minute:
                minutes.append(made * tokens / limit.tokens_per_minute)

        return _MINUTE_S * max(minutes)

    return least_s


def plan_forecast_lines(planned: Planned) -> Iterator[str]:
    """Lay out for a person what is forecast of a plan."""
    resources = planned.resources
    if resources is not None:
        yield f"what {counted(resources.runs, 'run')} will take, from {resources.source}"
        yield from listed([*_resource_rows(resources)])
        yield from resources.notes

    if planned.power:
        yield "whether it will be enough (each hypothesis at 0.05, not adjusted for others)"
        for each in planned.power:
            yield f"{each.hypothesis_id}: {_power_told(each) or each.notes[0]}"

        yield from dict.fromkeys(
            note for each in planned.power if each.source for note in each.notes
        )

    yield from planned.forecast_notes


def _resource_rows(found: ResourceForecast) -> Iterator[tuple[str, ...]]:
    forms: dict[str, tuple[str, Callable[[float], str]]] = {
        "attempts": ("attempts", lambda value: f"{value:,.0f}"),
        "input_tokens": ("tokens of prompts", lambda value: f"{value:,.0f}"),
        "output_tokens": ("tokens of answers", lambda value: f"{value:,.0f}"),
        "cost_usd": ("cost", lambda value: f"${value:,.4f}"),
        "wall_time_s": ("time", _duration),
    }
    for name, (label, form) in forms.items():
        band = getattr(found, name)
        if band is not None and band.value:
            yield (label, *_told(band, form))
        elif name in found.undefined:
            yield (label, "not known", found.undefined[name])


def _told(band: Band, form: Callable[[float], str]) -> tuple[str, str]:
    if band.low is None:
        return form(band.value), ""

    return form(band.value), f"[{form(band.low)}, {'…' if band.high is None else form(band.high)}]"


def _power_told(each: PowerForecast) -> str:
    said = []
    if each.power is not None:
        power = _in_words(each.power, "{:.2f}")
        design = f"{each.problems:,} problems x {each.replicates:,}"
        said.append(f"{design}: power {power} for an effect of {each.delta:g}")

    takes = []
    if each.smallest_effect is not None:
        takes.append(f"an effect of {_in_words(each.smallest_effect, '{:.3g}')}")

    if each.problems_needed is not None:
        takes.append(f"{_in_words(each.problems_needed, '{:,.0f}')} problems")

    if each.replicates_needed is not None:
        takes.append(f"{_in_words(each.replicates_needed, '{:,.0f}')} replicates")

    said += [f"a power of 0.8 takes {', or '.join(takes)}"] if takes else []
    said += [f"from {each.source}"] if said and each.source == DECLARED else []
    return "; ".join(said)


def _in_words(band: Band, form: str) -> str:
    return " ".join(_told(band, form.format)).rstrip()


def _duration(seconds: float) -> str:
    if seconds < 120:  # noqa: PLR2004
        return f"{seconds:.1f} s"

    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"  # noqa: PLR2004
