"""Resources: what a plan's runs will take, from those that a pilot made.

Problems differ in what they take more than replicates of one do, so a range is that of problem
means: Student's prediction interval for the mean of the problems that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field

from penstock._base.fact import Fact, nothing
from penstock.analysis.distributions import t_quantile
from penstock.analysis.forecasts import Band
from penstock.analysis.sample import Floats
from penstock.store.reader import StoreReader

__all__ = ["Left", "ResourceForecast", "forecast_resources"]

_RUNS = """
SELECT condition_id, agent_id, problem_id, count(*) AS attempts,
       sum(latency_s) + coalesce(sum(judged_s), 0) AS latency_s,
       iif(count(input_tokens) = count(*), sum(input_tokens), NULL) AS input_tokens,
       iif(count(output_tokens) = count(*), sum(output_tokens), NULL) AS output_tokens,
       iif(count(cost_usd) = count(*), sum(cost_usd) + coalesce(sum(judged_usd), 0), NULL)
           AS cost_usd
FROM attempt LEFT JOIN (
    SELECT attempt_id, sum(latency_s) AS judged_s, sum(cost_usd) AS judged_usd
    FROM scored GROUP BY attempt_id
) ON attempt_id = id
WHERE position IS NOT NULL AND status <> 'cancelled'
GROUP BY run_id HAVING sum(final)
"""
_PACE = """
SELECT sum(86400 * (julianday(coalesce(ended_at, started_at)) - julianday(started_at)))
FROM session
"""
_WHAT = {
    "attempts": "attempts",
    "input_tokens": "tokens of prompts",
    "output_tokens": "tokens of answers",
    "cost_usd": "cost",
    "latency_s": "time",
}


class Left(NamedTuple):
    """The runs that are to be made of one condition by one agent."""

    condition_id: str
    agent_id: str
    runs: int


class ResourceForecast(Fact):
    """What runs will take, from a pilot.

    Args:
        source: What the forecast is made from.
        runs: Runs that are to be made.
        attempts: Attempts at them, those that are made again included; each is a call or more.
        input_tokens: Tokens of prompts.
        output_tokens: Tokens of answers.
        cost_usd: What they cost, judges included, in US dollars.
        wall_time_s: How long they take, in seconds, at the declared concurrency and limits; at the
            pilot's pace where no number is declared.
        undefined: The name of each quantity that cannot be forecast -> why.
        notes: What limits the forecast, a sentence each.
    """

    source: str
    runs: int
    attempts: Band | None = None
    input_tokens: Band | None = None
    output_tokens: Band | None = None
    cost_usd: Band | None = None
    wall_time_s: Band | None = None
    undefined: dict[str, str] = Field(default_factory=nothing)
    notes: tuple[str, ...] = ()


def forecast_resources(
    store: StoreReader,
    left: list[Left],
    *,
    problems: int,
    source: str,
    concurrency: int | None,
    least_s: Callable[[Mapping[str, float], float], float] | None = None,
) -> ResourceForecast:
    """Forecast what runs will take.

    Args:
        store: The pilot's store.
        left: The runs that are to be made.
        problems: How many problems they are of.
        source: What the pilot is called.
        concurrency: Runs in flight at once; None for as many as there were in the pilot.
        least_s: Agent -> its attempts, and tokens an attempt -> the seconds that declared limits
            of endpoints ask for at least.
    """
    runs = sum(each.runs for each in left)
    rows = [dict(row) for row in store.rows(_RUNS)]
    if not rows:
        return ResourceForecast(
            source=source, runs=runs, undefined=dict.fromkeys(_WHAT, "the pilot has no runs.")
        )

    found: dict[str, Band] = {}
    undefined = {}
    for name, what in _WHAT.items():
        unknown = sum(row[name] is None for row in rows)
        if unknown:
            undefined[name] = f"the {what} of {unknown:,} of the pilot's runs is not known."
        else:
            found[name] = _total(rows, left, name, problems, least=runs * (name == "attempts"))

    busy = found.pop("latency_s")
    in_flight = float(concurrency or _pace(store, rows))
    fastest_s = 0.0
    if least_s is not None:
        tokens = [_per_attempt(found.get(f"{side}_tokens"), found) for side in ("input", "output")]
        fastest_s = least_s(_attempts(rows, left), sum(tokens))

    wall = [None if each is None else max(each / in_flight, fastest_s) for each in _ends(busy)]
    return ResourceForecast(
        source=source,
        runs=runs,
        wall_time_s=Band(value=wall[0] or 0.0, low=wall[1], high=wall[2]),
        undefined=undefined,
        notes=tuple(_notes(rows, left)),
        **found,
    )


def _total(
    rows: list[dict[str, Any]], left: list[Left], name: str, problems: int, *, least: float
) -> Band:
    """Forecast a sum over the runs that are left, with its range."""
    runs = sum(each.runs for each in left)
    values = _by_problem(rows, left, name)
    others = max(problems, 1)
    if len(values) == 1:  # its runs are all that is known of how runs vary
        values, others = np.array([float(row[name]) for row in rows]), runs

    value = max(runs * float(values.mean()), least)
    if len(values) == 1:
        return Band(value=value)

    half = t_quantile(0.975, len(values) - 1) * float(values.std(ddof=1))
    half *= runs * sqrt(1 / len(values) + 1 / others)
    return Band(value=value, low=max(value - half, least), high=value + half)


def _by_problem(rows: list[dict[str, Any]], left: list[Left], name: str) -> Floats:
    """Return what a run of each problem takes, conditions and agents as in what is left."""
    weights = {(each.condition_id, each.agent_id): each.runs for each in left}
    cells: dict[str, dict[tuple[str, str], list[float]]] = {}
    for row in rows:
        of_problem = cells.setdefault(row["problem_id"], {})
        key = (row["condition_id"], row["agent_id"])
        of_problem.setdefault(key, []).append(float(row[name]))

    means = []
    for of_problem in cells.values():
        shares = np.array([weights.get(key, 0) for key in of_problem], dtype=float)
        if not shares.any():  # of nothing that is left: it still tells what a run takes
            shares = np.ones(len(of_problem))

        values = np.array([np.mean(each) for each in of_problem.values()])
        means.append(float(shares @ values / shares.sum()))

    return np.array(means)


def _attempts(rows: list[dict[str, Any]], left: list[Left]) -> dict[str, float]:
    """Return how many attempts each agent will make."""
    again = sum(row["attempts"] for row in rows) / len(rows)
    found: dict[str, float] = {}
    for each in left:
        found[each.agent_id] = found.get(each.agent_id, 0.0) + each.runs * again

    return found


def _per_attempt(tokens: Band | None, found: Mapping[str, Band]) -> float:
    attempts = found["attempts"].value
    return 0.0 if tokens is None or not attempts else tokens.value / attempts


def _pace(store: StoreReader, rows: list[dict[str, Any]]) -> float:
    """Return how many runs were in flight in the pilot on average, one at least."""
    ((lasted_s,),) = store.table(_PACE)
    busy_s = sum(row["latency_s"] for row in rows)
    return max(busy_s / lasted_s, 1.0) if lasted_s else 1.0


def _ends(band: Band) -> tuple[float, float | None, float | None]:
    return band.value, band.low, band.high


def _notes(rows: list[dict[str, Any]], left: list[Left]) -> Iterator[str]:
    made = {(row["condition_id"], row["agent_id"]) for row in rows}
    without = [each for each in left if (each.condition_id, each.agent_id) not in made]
    if without:
        yield (
            f"{len(without):,} of {len(left):,} combinations of condition and agent are not in the "
            "pilot; they are taken to be like the others."
        )

    if len({row["problem_id"] for row in rows}) == 1:
        yield "the pilot has one problem; others may take more or less than its range says."
