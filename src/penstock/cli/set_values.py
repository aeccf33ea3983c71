"""``penstock set``: how a study that runs is carried out from now on, and what it may spend."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from penstock.cli.arguments import JsonOption, ReasonOption
from penstock.cli.output import errors_told, say

__all__ = ["set_values"]


@errors_told()
def set_values(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[STUDY|DIR] KEY=VALUE...",
            help="A study as elsewhere, then what is set, by its name in the study file: "
            "execution.concurrency=200 budget.max_cost_usd=50.",
            show_default=False,
        ),
    ],
    *,
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Set how a study that runs is carried out, and what it may spend, for this session alone."""
    from penstock.cli.steered import act, leave_alone
    from penstock.cli.target import find_directory
    from penstock.control.connection import NothingRunsError

    named = None if "=" in arguments[0] else arguments[0]
    values = dict(map(_pair, arguments if named is None else arguments[1:]))
    if not values:
        raise typer.BadParameter("nothing is set; say what, as in execution.concurrency=200")

    directory = find_directory(named)
    try:
        done = act(directory, "set", reason=reason, json=json, values=values)
    except NothingRunsError as error:
        leave_alone(directory, error)

    say(*(f"{name} is {done.settings[name]} now" for name in values))


def _pair(text: str) -> tuple[str, Any]:
    """Read a name and a value, which is written as in a study file."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"{text!r} is not a name and a value, as execution.timeout_s=30")

    try:
        return name, YAML(typ="safe", pure=True).load(value)
    except YAMLError as error:
        raise typer.BadParameter(f"{text!r}: the value cannot be read: {error}") from error
