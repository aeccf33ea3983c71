"""``penstock preview``: what exactly one run would be given, and what its models would be asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.arguments import JsonOption, TargetArgument
from penstock.cli.output import content_in_words, emit, errors_told, say

if TYPE_CHECKING:
    from penstock.cli.records import Previewed, PreviewedCall
    from penstock.planning.plan import Plan

__all__ = ["preview"]

_SHOWN_ELSEWHERE = frozenset({"model", "messages"})


@errors_told()
def preview(
    study: TargetArgument = None,
    *,
    agent: Annotated[
        str | None, typer.Option(metavar="NAME", help="A run of this agent; else of the first.")
    ] = None,
    condition: Annotated[
        str | None,
        typer.Option(
            metavar="C",
            help="A run of this condition, by its id or by what it holds (tone=warm,size=3).",
        ),
    ] = None,
    problem: Annotated[
        str | None, typer.Option(metavar="ID", help="A run of this problem; else of the first.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show what exactly one run would be given or send; nothing is called, nothing is written."""
    from penstock.cli.target import find_target
    from penstock.planning.selection import Selection, choose
    from penstock.running.checking import prepare

    # Whatever is kept in its directory: a study that was edited is looked at before it is begun.
    plan, _ = prepare(find_target(study).study).ready()
    only = Selection(
        agents=tuple(filter(None, [agent])),
        conditions=tuple(filter(None, [condition])),
        problems=tuple(filter(None, [problem])),
    )
    position = choose(plan, only).find(1)
    if position < 0:
        raise typer.BadParameter("no run of the plan has that agent, condition and problem at once")

    found = _previewed(plan, position)
    if json:
        emit(found)
    else:
        say(*_told(found, len(plan)))


def _previewed(plan: Plan, position: int) -> Previewed:
    from penstock.cli.records import Forecast, Previewed, PreviewedCall

    spec = plan.at(position)
    condition = plan.condition_of(spec)
    declared = plan.study.agents.get(spec.agent_id)
    problem = next(
        (each for each in plan.study.problems if each.problem_id == spec.problem_id), None
    )
    return Previewed(
        run=spec.model_dump(mode="json"),
        assignments={**condition.factor_assignments, **condition.block_assignments},
        problem={} if problem is None else problem.model_dump(mode="json"),
        agent={} if declared is None else declared.model_dump(mode="json", exclude_defaults=True),
        calls=tuple(
            PreviewedCall(
                base_url=each.base_url,
                body=each.body,
                is_judge=each.is_judge,
                forecast=Forecast(**each.forecast._asdict()),
            )
            for each in _calls(plan, position)
        ),
    )


def _calls(plan: Plan, position: int) -> Any:
    """Find what chat models would be asked; a plan without any needs no extra."""
    from penstock._base.extras import load_extra

    study = plan.study
    declared = study.agents.get(plan.at(position).agent_id)
    is_chat = declared is not None and declared.chat is not None
    if not is_chat and not any(each.judge for each in study.evaluators.values()):
        return ()

    module = load_extra("penstock.models.prompts.forecast", extra="models", what="a chat model")
    return module.planned_calls(plan, position)


def _told(found: Previewed, planned: int) -> Iterator[str]:
    run = found.run
    held = ", ".join(f"{name}={value}" for name, value in found.assignments.items())
    yield (f"run {run['run_id']} of {planned:,}; nothing was called or written")
    yield f"condition: {run['condition_id']}" + (f" ({held})" if held else "")
    yield f"problem: {run['problem_id']}"
    yield f"agent: {run['agent_id']}, replicate {run['replicate']}, seed {run['seed']}"
    if all(each.is_judge for each in found.calls):
        yield f"the agent ({found.agent.get('call', 'given in Python')}) is called with ctx, where"
        yield from _given(found)

    for call in found.calls:
        yield from _sent(call)


def _given(found: Previewed) -> Iterator[str]:
    """Yield what the context of a Python agent holds."""
    problem = found.problem
    if brief := problem.get("brief"):
        yield f"  ctx.problem.brief = {brief!r}"

    for name, value in problem.get("payload", {}).items():
        yield f"  ctx.problem.payload[{name!r}] = {value!r}"

    for name, value in found.assignments.items():
        yield f"  ctx.condition[{name!r}] = {value!r}"

    yield f"  ctx.seed = {found.run['seed']}"


def _sent(call: PreviewedCall) -> Iterator[str]:
    from penstock.cli.chat_forecasts import call_in_words

    yield f"{call.forecast.who} sends to {call.base_url}, model {call.body['model']}:"
    for message in call.body["messages"]:
        first, *more = content_in_words(message["content"]).splitlines() or [""]
        yield f"  {message['role']}: {first}"
        yield from (f"    {line}" for line in more)

    options = {name: value for name, value in call.body.items() if name not in _SHOWN_ELSEWHERE}
    if options:
        yield "  with " + ", ".join(f"{name}={value!r}" for name, value in options.items())

    if call.is_judge:
        yield "  (a judge: the answer, which there is not yet, is left empty)"

    yield f"  {call_in_words(call.forecast)}"
