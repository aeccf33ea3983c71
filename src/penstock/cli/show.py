"""``penstock show``: one run as a conversation, or a list of runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.arguments import JsonOption, TargetArgument
from penstock.cli.output import (
    content_in_words,
    counted,
    emit,
    errors_told,
    in_one_line,
    listed,
    say,
)

if TYPE_CHECKING:
    from penstock.cli.run_records import ShownRun
    from penstock.store.one_run import OneRun
    from penstock.store.reader import StoreReader

__all__ = ["show"]

_LISTED = 50


@errors_told()
def show(
    study: TargetArgument = None,
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="A run's id, or its beginning.", show_default=False),
    ] = None,
    *,
    attempt: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="This attempt; else the last one.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="List runs that failed.")] = False,
    agent: Annotated[str | None, typer.Option(metavar="NAME", help="List runs of it.")] = None,
    condition: Annotated[
        str | None, typer.Option(metavar="ID", help="List runs of this condition.")
    ] = None,
    problem: Annotated[str | None, typer.Option(metavar="ID", help="List runs of it.")] = None,
    where: Annotated[
        str | None,
        typer.Option(metavar="SQL", help="List runs by the columns of runs: 'cost_usd > 1'."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Print one run as a conversation with its scores and costs; without a run, list runs."""
    from penstock.cli.target import find_directory
    from penstock.store.one_run import find_run, read_run
    from penstock.store.reader import StoreReader

    if run is None and study is not None and study.startswith("run-"):
        study, run = None, study

    given = {"agent_id": agent, "condition_id": condition, "problem_id": problem}
    with StoreReader(find_directory(study)) as store, store.snapshot():
        if run is None:
            wanted = {name: value for name, value in given.items() if value is not None}
            _list(store, wanted | ({"status": "failed"} if failed else {}), where, json=json)
            return

        shown = _shown(read_run(store, find_run(store, run), attempt))

    if json:
        emit(shown)
    else:
        say(*_conversation(shown))


def _list(store: StoreReader, wanted: dict[str, str], where: str | None, *, json: bool) -> None:
    """List runs, of which there may be millions: none is held that is not shown."""
    from penstock.cli.run_records import ListedRun
    from penstock.store.one_run import list_runs

    parts = [*(f"{name} = ?" for name in wanted), *([] if where is None else [f"({where})"])]
    columns = ["error_info" if name == "error" else name for name in _FIELDS]
    rows = list_runs(store, columns, " AND ".join(parts) or "1", [*wanted.values()])
    try:
        if json:
            for row in rows:
                emit(ListedRun(**dict(zip(_FIELDS, row, strict=True))))
        else:
            _tell_list(rows)
    except sqlite3.Error as error:
        if where is None:
            raise

        said = f"--where is not a condition over the columns of the view `runs`: {error}"
        raise typer.BadParameter(said) from None


def _tell_list(rows: Iterator[tuple[Any, ...]]) -> None:
    """Say once what all runs have in common of what names a run, and show the first of them."""
    first = list(islice(rows, _LISTED))
    count, same = 0, {*range(_NAMING)} if len(first) > 1 else set()
    for count, row in enumerate(chain(first, rows), 1):  # noqa: B007 - how many there were
        same = {at for at in same if row[at] == first[0][at]}

    shown = [_row(*row) for row in first]
    held = ", ".join(filter(None, (shown[0][at] for at in sorted(same))))
    said = counted(count, "run")
    differ = [tuple(cell for at, cell in enumerate(row) if at not in same) for row in shown]
    say(f"{said}: {held}" if held else said, *listed(differ, most=_LISTED, of=count))


_FIELDS = (
    "run_id",
    "status",
    "condition_id",
    "problem_id",
    "agent_id",
    "replicate",
    "cost_usd",
    "latency_s",
    "primary_outcome",
    "error",
    "attempts",
)
_NAMING = 6
"""How many of them name a run; the others are measured."""


def _row(*run: Any) -> tuple[str, ...]:
    *names, replicate, cost_usd, latency_s, outcome, error, _ = run
    said = error or ("" if outcome is None else str(outcome))
    measured = _money(cost_usd), f"{latency_s:.2f} s", in_one_line(said)
    return (*(name or "" for name in names), f"#{replicate}", *measured)


def _shown(one: OneRun) -> ShownRun:
    from penstock._base.json import decode
    from penstock.cli.run_records import ShownCall, ShownRun

    def parsed(text: str | None, instead: Any) -> Any:
        return instead if text is None else decode(text)

    names = ShownCall.model_fields.keys() - {"messages", "tool_calls", "error"}
    run = one.run
    error = run.get("error_kind") and f"{run['error_kind']}: {run['error_message']}"
    return ShownRun(
        attempt=run["number"],
        attempts=len(one.attempts),
        assignments=one.assignments,
        calls=tuple(
            ShownCall(
                messages=parsed(call["messages"], None),
                tool_calls=parsed(call["tool_calls"], ()),
                error=call["error_kind"] and f"{call['error_kind']}: {call['error_message']}",
                **{name: call[name] for name in names},
            )
            for call in one.calls
        ),
        events=tuple(
            {
                "event_type": each["event_type"],
                "text": each["text"],
                **parsed(each["meta_json"], {}),
            }
            for each in one.events
        ),
        scores=tuple({name: each[name] for name in _OF_SCORES} for each in one.scores),
        outputs=parsed(run["outputs"], {}),
        error=error,
        **{name: run[name] for name in _OF_THE_RUN},
    )


_OF_SCORES = ("evaluator_id", "metric_name", "metric_value")
_OF_THE_RUN = (
    "run_id",
    "status",
    "problem_id",
    "agent_id",
    "replicate",
    "seed",
    "cost_usd",
    "latency_s",
)


def _conversation(run: ShownRun) -> Iterator[str]:
    held = ", ".join(f"{name}={value}" for name, value in run.assignments.items())
    took = "" if run.latency_s is None else f", {run.latency_s:.2f} s"
    yield f"{run.run_id}: {run.status}, attempt {run.attempt}{took}, {_money(run.cost_usd)}"
    yield f"condition: {held or 'none'}; problem {run.problem_id}; agent {run.agent_id}"
    yield f"replicate {run.replicate}, seed {run.seed}; {counted(run.attempts, 'attempt')} kept"
    before: list[Any] = []
    tools: dict[str, str] = {}
    for call in run.calls:
        yield ""
        yield _call_line(call)
        messages = list(call.messages or ())
        shared = _shared(before, messages)
        if shared:
            yield f"  (after {counted(shared, 'message')} from above)"

        for message in messages[shared:]:
            said = _speaker(message, tools), message.get("content"), message.get("tool_calls")
            yield from _message(*said)

        if call.reasoning:
            yield from _message("reasoning", call.reasoning)

        if call.answer is not None:
            yield from _message("assistant", call.answer, call.tool_calls)
            tools |= {each["id"]: each["function"]["name"] for each in call.tool_calls or ()}
            messages.append({"role": "assistant", "content": call.answer})

        if call.error:
            yield f"  failed: {in_one_line(call.error)}"

        before = messages

    yield from _rest(run)


def _rest(run: ShownRun) -> Iterator[str]:
    """Yield what came of the conversation: events, the answer, scores, why it failed."""
    scores = [tuple(map(_value, (each[name] for name in _OF_SCORES))) for each in run.scores]
    for title, rows in (("events", list(map(_event, run.events))), ("scores", scores)):
        if rows:
            yield ""
            yield f"{title}:"
            yield from listed(rows, most=len(rows))

    if run.outputs:
        yield ""
        yield "answer:"
        for name, value in run.outputs.items():
            yield from _message(name, _value(value))

    if run.error:
        yield ""
        yield f"failed: {in_one_line(run.error)}"


def _event(event: Mapping[str, Any]) -> tuple[str, str, str]:
    """Write an event as a row: its kind, what is noted of it, and its text."""
    notes = {name: value for name, value in event.items() if value and name not in _OF_EVENTS}
    notes |= {"arguments": notes.pop("arguments")} if "arguments" in notes else {}  # long: the last
    noted = ", ".join(f"{name}={_value(value)}" for name, value in notes.items())
    return event["event_type"], in_one_line(noted), in_one_line(event["text"] or "")


_OF_EVENTS = ("event_type", "text")


def _value(value: Any) -> str:
    """Write a value: a text as it is, a number shortly, others as JSON."""
    from penstock._base.json import encode

    if isinstance(value, float):
        return f"{value:.6g}"

    return value if isinstance(value, str) else encode(value)


def _speaker(message: Mapping[str, Any], tools: Mapping[str, str]) -> str:
    """Say who speaks: a tool by its name, and whether it has failed."""
    names = message["role"], message.get("name"), tools.get(message.get("tool_call_id") or "")
    return " ".join([*filter(None, names), *(["failed"] if message.get("is_error") else [])])


def _call_line(call: Any) -> str:
    who = f"judge {call.evaluator_id}" if call.role == "judge" else call.role
    model = call.model if call.served_model in (None, "", call.model) else call.served_model
    tokens = f"{call.input_tokens or 0:,} + {call.output_tokens or 0:,} tokens"
    took = "" if call.provider_s is None else f", {call.provider_s:.2f} s"
    marks = [name for name in ("cached", "replayed") if getattr(call, f"is_{name}")]
    ended = f", {call.finish_reason}" if call.finish_reason else ""
    noted = f" ({', '.join(marks)})" if marks else ""
    return (
        f"[{call.number}] {who} asks {model}: {tokens}{took}, {_money(call.cost_usd)}{ended}{noted}"
    )


def _message(role: str, content: Any, tool_calls: Any = ()) -> Iterator[str]:
    first, *more = content_in_words(content).splitlines() or [""]
    yield f"  {role}: {first}"
    yield from (f"    {line}".rstrip() for line in more)
    for each in tool_calls or ():
        function = each["function"]
        yield f"    calls {function['name']}({_readable(function['arguments'])})"


def _readable(arguments: str) -> str:
    """Write the arguments of a call without escapes; a model may have written them badly."""
    from penstock._base.json import decode, encode

    try:
        return encode(decode(arguments))
    except (ValueError, RecursionError):
        return arguments


def _shared(before: list[Any], messages: list[Any]) -> int:
    """Count the messages that a call begins with and the one before it has shown."""
    count = 0
    for shown, message in zip(before, messages, strict=False):
        if (shown["role"], shown.get("content")) != (message["role"], message.get("content")):
            break

        count += 1

    return count


def _money(cost_usd: float | None) -> str:
    return "cost not known" if cost_usd is None else f"${cost_usd:.4f}"
