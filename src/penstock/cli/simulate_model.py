"""``penstock simulate-model``: a provider that costs nothing, to rehearse a study with."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import typer

from penstock._base.extras import load_extra
from penstock._base.open_files import raise_file_limit
from penstock.cli.arguments import JsonOption, given_path
from penstock.cli.exit_codes import ExitCode
from penstock.cli.output import counted, emit, errors_told, say
from penstock.errors import ValidationError

if TYPE_CHECKING:
    from penstock.simulator import SimulatorOptions

__all__ = ["simulate_model"]

_MOST_ERRORS = 20


@errors_told()
def simulate_model(
    *,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    seed: Annotated[int, typer.Option(help="Another seed, other answers and faults.")] = 0,
    latency: Annotated[
        float, typer.Option(min=0, metavar="S", help="Seconds until an answer; their mean.")
    ] = 0.2,
    jitter: Annotated[
        float,
        typer.Option(
            min=0, metavar="S", help="Half the width of uniform, the deviation of lognormal."
        ),
    ] = 0.0,
    latency_distribution: Annotated[
        str, typer.Option(metavar="KIND", help="constant, uniform or lognormal.")
    ] = "uniform",
    tokens_per_second: Annotated[
        float | None, typer.Option(metavar="N", help="How fast tokens come after the latency.")
    ] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="An answer to draw; may be given more than once."),
    ] = None,
    dialect: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Whose words it uses: openai, azure, anthropic, gemini, vllm, ..."
        ),
    ] = "openai",
    reasoning: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="What it writes first where a reasoning_effort is asked for."
        ),
    ] = "",
    served_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="What answers say they are of.")
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=given_path, help="Recorded answers, as JSON lines."),
    ] = None,
    replay_key: Annotated[
        str, typer.Option(metavar="FIELD", help="The field with a problem's id.")
    ] = "problem_id",
    replay_answer: Annotated[
        str | None, typer.Option(metavar="FIELD", help="The field with the answer.")
    ] = None,
    replay_pattern: Annotated[
        str | None, typer.Option(metavar="REGEX", help="Finds a problem's id in the prompt.")
    ] = None,
    replay_problems: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=given_path,
            help="Ids and texts of problems, to be found in prompts.",
        ),
    ] = None,
    error_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Share of transient faults of all kinds.")
    ] = 0.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=RATE", help="A fault and its share; once for each."),
    ] = None,
    fault_at: Annotated[
        list[str] | None,
        typer.Option(metavar="N=NAME", help="The fault of the N-th request; once for each."),
    ] = None,
    fault_attempts: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the first N attempts go wrong.")
    ] = None,
    retry_after: Annotated[
        str,
        typer.Option(
            metavar="FORM",
            help="seconds, fraction, date, ms, garbage, negative, absurd, none or mixed.",
        ),
    ] = "seconds",
    retry_after_seconds: Annotated[
        float, typer.Option(min=0, metavar="S", help="How long a 429 asks to wait.")
    ] = 1.0,
    stall: Annotated[float, typer.Option(min=0, metavar="S", help="How long it stalls.")] = 3600.0,
    drip: Annotated[float, typer.Option(min=0, metavar="S", help="How long it drips.")] = 5.0,
    rpm: Annotated[int | None, typer.Option(min=1, help="Requests in any 60 seconds.")] = None,
    tpm: Annotated[int | None, typer.Option(min=1, help="Tokens in any 60 seconds.")] = None,
    max_in_flight: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="503 for requests beyond so many.")
    ] = None,
    context_tokens: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Longer prompts are refused.")
    ] = None,
    price_in: Annotated[
        float, typer.Option(min=0, metavar="USD", help="Price of a million tokens of prompts.")
    ] = 0.0,
    price_out: Annotated[
        float, typer.Option(min=0, metavar="USD", help="Price of a million tokens of answers.")
    ] = 0.0,
    api_key_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="The variable with the key to insist on.")
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=given_path, help="A line of JSON for each request."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Serve a simulated chat model, to rehearse a study for nothing; Ctrl-C ends it.

    Its address is written to stdout, on one line, as soon as it can be used.
    """
    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "seed": seed,
        "latency_s": latency,
        "jitter_s": jitter,
        "latency_distribution": latency_distribution,
        "tokens_per_second": tokens_per_second,
        "answers": tuple(answer or ()),
        "dialect": dialect,
        "reasoning": reasoning,
        "served_model": served_model,
        "replay": replay,
        "replay_key": replay_key,
        "replay_answer": replay_answer,
        "replay_pattern": replay_pattern,
        "replay_problems": replay_problems,
        "error_rate": error_rate,
        "faults": fault or [],
        "faults_at": fault_at or [],
        "fault_attempts": fault_attempts,
        "retry_after": retry_after,
        "retry_after_s": retry_after_seconds,
        "stall_s": stall,
        "drip_s": drip,
        "requests_per_minute": rpm,
        "tokens_per_minute": tpm,
        "max_in_flight": max_in_flight,
        "context_tokens": context_tokens,
        "input_usd_per_million": price_in,
        "output_usd_per_million": price_out,
        "api_key_env": api_key_env,
        "log": log,
        "kept_requests": 1,  # the file is the log of a process
    }
    simulator = load_extra("penstock.simulator", extra="models", what="simulate-model")
    _serve(simulator, _options(simulator, given), json=json)


def _serve(simulator: Any, options: SimulatorOptions, *, json: bool) -> None:
    raise_file_limit()
    try:
        anyio.run(partial(_serve_until_signalled, simulator, options, json=json))
    except ValidationError as error:  # the files of a replay: every line that is wrong
        say(*(f"error: {each}" for each in error.errors[:_MOST_ERRORS]))
        raise typer.Exit(ExitCode.REFUSED) from None


async def _serve_until_signalled(simulator: Any, options: SimulatorOptions, *, json: bool) -> None:
    from penstock.cli.records import Served, Serving

    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with simulator.SimulatedProvider(options) as provider:
            if not _is_loopback(options.host):
                say(f"others can reach it: {options.host} is not a loopback address")

            if json:
                emit(Serving(url=provider.url, pid=os.getpid()))
            else:
                sys.stdout.write(f"{provider.url}\n")
                sys.stdout.flush()

            async for _ in signals:
                break

    totals = provider.stats()
    if json:
        emit(Served(requests=totals["requests"], max_in_flight=totals["max_in_flight"]))
    else:
        requests = counted(totals["requests"], "request")
        say(f"{requests}, at most {totals['max_in_flight']:,} in flight")


def _options(simulator: Any, given: dict[str, Any]) -> SimulatorOptions:
    from pydantic import ValidationError as FieldErrors

    for name in ("faults", "faults_at"):
        given[name] = dict(map(_pair, given[name]))

    try:
        options: SimulatorOptions = simulator.SimulatorOptions(**given)
    except FieldErrors as error:
        wrong = [_sentence(each["loc"], each["msg"]) for each in error.errors()]
        raise typer.BadParameter("; ".join(wrong)) from None

    return options


def _sentence(location: Sequence[int | str], message: str) -> str:
    place = ".".join(str(each) for each in location if each != "[key]")
    message = message.removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise typer.BadParameter(f"{text!r} is not of the form NAME=VALUE")

    return name.strip(), value.strip()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
