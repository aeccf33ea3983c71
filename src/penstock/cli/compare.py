"""``penstock compare``: what differs between studies of the same problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.arguments import JsonOption, UnblindOption, given_text
from penstock.cli.exit_codes import ExitCode
from penstock.cli.output import counted, emit, errors_told, in_one_line, listed, say

if TYPE_CHECKING:
    from penstock.analysis.studies_compared import ComparedStudy, StudiesCompared

__all__ = ["compare"]


class Failing(StrEnum):
    """What a comparison may come to that ends with an error."""

    WORSE = "worse"


class Way(StrEnum):
    """Which way an outcome is better."""

    HIGHER = "higher"
    LOWER = "lower"


@errors_told()
def compare(
    studies: Annotated[
        list[str],
        typer.Argument(
            metavar="STUDY|DIR...",
            parser=given_text,
            help="Two or more output directories of studies, or their study files; each is held "
            "against the first.",
            show_default=False,
        ),
    ],
    *,
    fail_on: Annotated[
        Failing | None,
        typer.Option(
            metavar="worse",
            help="Exit 13 where the primary outcome of a later study is shown to be worse.",
        ),
    ] = None,
    better: Annotated[
        Way | None,
        typer.Option(
            metavar="higher|lower",
            help="Which way is better, where the studies' outcomes do not declare it.",
        ),
    ] = None,
    unblind: UnblindOption = None,
    json: JsonOption = False,
) -> None:
    """Compare studies of the same problems: what their plans differ in, and their outcomes."""
    from penstock.analysis.studies_compared import compare_studies
    from penstock.cli.target import find_directory
    from penstock.store.reader import StoreReader
    from penstock.store.unblinding import unblind as make_unblind

    directories = [find_directory(each) for each in studies]
    if len({each.resolve() for each in directories}) < len(directories) or len(directories) == 1:
        raise typer.BadParameter("give two or more studies, each once")

    if unblind is not None:
        for directory in directories:
            make_unblind(directory, unblind)

    with ExitStack() as opened:
        stores = {}
        for name, directory in zip(_names(directories), directories, strict=True):
            store = stores[name] = opened.enter_context(StoreReader(directory))
            opened.enter_context(store.snapshot())

        found = compare_studies(stores, better=None if better is None else better.value)

    if json:
        emit(found, event="comparison")
    else:
        say(*_told(found))

    if fail_on is not None:
        _fail_on_worse(found)


def _names(directories: Sequence[Path]) -> list[str]:
    """Call each study by its folder, or by its path where two folders are called alike."""
    names = [each.resolve().name for each in directories]
    return names if len(set(names)) == len(names) else [str(each) for each in directories]


def _fail_on_worse(found: StudiesCompared) -> None:
    from penstock.errors import PenstockError

    if found.blind:
        raise PenstockError(
            f"--fail-on worse: the outcomes of {', '.join(found.blind)} are withheld until every "
            "planned run has ended"
        )

    compared = [each.outcomes[found.primary] for each in found.others]
    if any(each.better is None for each in compared):
        raise PenstockError(
            f"--fail-on worse: it is not declared which way the outcome {found.primary!r} is "
            "better; give --better, or declare `better: higher` or `better: lower` with the outcome"
        )

    unknown = [each for each in compared if each.contrast.p is None]
    if unknown:
        raise PenstockError(f"--fail-on worse: {unknown[0].sentence}")

    worse = [each.sentence for each in compared if each.verdict == "worse"]
    if worse:
        say(*(f"fails: {each}" for each in worse))
        raise typer.Exit(ExitCode.FINDING_DOES_NOT_HOLD)


def _told(found: StudiesCompared) -> Iterator[str]:
    ended = f"{found.ended:,} of {found.planned:,} runs"
    yield f"{found.first} ({found.study_id}, {ended}) is what the others are compared with"
    for each in found.others:
        yield f"{each.name} ({each.study_id}): {each.ended:,} of {each.planned:,} runs"
        yield from _plan_told(each, found.first)
        for outcome in each.outcomes.values():
            yield outcome.sentence
            yield from listed(
                [
                    (f"under {name}", _figure(contrast.difference), _interval(contrast.interval))
                    for name, contrast in outcome.by_condition.items()
                ]
            )

    if found.blind:
        yield (
            f"the outcomes of {', '.join(found.blind)} are withheld until every planned run has "
            "ended (--unblind REASON shows them)"
        )


def _plan_told(each: ComparedStudy, first: str) -> Iterator[str]:
    problems = each.problems
    yield f"{counted(len(problems.common), 'problem')} in common" + "".join(
        f"; {len(names):,} {what}"
        for names, what in (
            (problems.declared_otherwise, "of the same id but declared otherwise"),
            (problems.only_first, f"of {first} alone"),
            (problems.only_other, f"of {each.name} alone"),
        )
        if names
    )
    if not each.plan:
        yield "the plans do not differ"
        return

    yield f"{counted(len(each.plan), 'difference')} of the plans ({first}, {each.name})"
    yield from listed([(one.place, _shown(one.first), _shown(one.other)) for one in each.plan])


def _shown(value: Any) -> str:
    text = "-" if value is None else value if isinstance(value, str) else repr(value)
    return f"{in_one_line(text):.60}"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _interval(interval: Any) -> str:
    return "" if interval is None else f"[{interval.low:.4g}, {interval.high:.4g}]"
