"""What machines read with ``--json`` of a plan: what will be run, what it takes, what it shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from penstock._base.fact import Fact
from penstock.analysis.forecasts import Band, PowerForecast
from penstock.analysis.resources import ResourceForecast
from penstock.cli.records import Forecast, Record

__all__ = ["Band", "Planned", "PlannedCondition", "PowerForecast", "ResourceForecast"]


class PlannedCondition(Fact):
    """A condition of a plan.

    Args:
        condition_id: Its id.
        assignments: Factors and blocks, and their values in it.
        runs: How many runs it gets.
    """

    condition_id: str
    assignments: Mapping[str, Any]
    runs: int


class Planned(Record):
    """What `plan` shows.

    Args:
        event: Which line this is.
        study_id: The study.
        planned: Runs in the plan.
        done: Runs of the plan that are done already.
        left: Runs that `run` would make.
        unscored: Runs among those left whose answer is kept and only wants scoring.
        conditions: The conditions, each with `condition_id`, `assignments` and `runs`.
        inadmissible: Conditions that constraints leave out.
        agents: Runs of each agent.
        problems: Runs of each problem.
        problem_hashes: The hash of what each declared problem holds: where it differs from that
            of a plan before, answers were made to another problem.
        run_order: The order in which runs are started.
        first_runs: The first runs of the plan, as they are kept.
        chat_models: What chat agents and judges use in the whole plan: see below.
        chat_models_left: What they use in the runs that are left.
        pilot: What forecasts are made from: a directory with runs; null where there is none.
        resources: What the runs that are left will take, from the pilot; null where nothing is
            left, or there is no pilot: see below.
        power: Whether the design will be enough, for each declared hypothesis: see below.
        forecast_notes: Why there is no forecast, a sentence each.
        output_dir: Where results are, or would go.
    """

    event: Literal["plan"] = "plan"
    study_id: str
    planned: int
    done: int
    left: int
    unscored: int
    conditions: tuple[PlannedCondition, ...]
    inadmissible: int
    agents: Mapping[str, int]
    problems: Mapping[str, int]
    problem_hashes: Mapping[str, str]
    run_order: str
    first_runs: tuple[Mapping[str, Any], ...]
    chat_models: tuple[Forecast, ...]
    chat_models_left: tuple[Forecast, ...]
    pilot: str | None = None
    resources: ResourceForecast | None = None
    power: tuple[PowerForecast, ...] = ()
    forecast_notes: tuple[str, ...] = ()
    output_dir: str
