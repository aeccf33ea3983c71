"""The options of a runner, written once, and the execution that they and a study come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

from penstock._base.suggestions import did_you_mean
from penstock.agents.condition_runner import ConditionRunner
from penstock.errors import ValidationError
from penstock.events.bus import Subscriber
from penstock.models.gate.shared import Endpoints
from penstock.planning.plan import Plan
from penstock.planning.selection import Selection
from penstock.running.attempts import Attempts, AttemptsHere
from penstock.running.binding import Bindings
from penstock.study.conditions import Condition
from penstock.study.execution import Execution, KeepCalls, Retry
from penstock.study.model import Study

if TYPE_CHECKING:
    from penstock.engines.engine import Engine

__all__ = [
    "HOST_DEFAULTS",
    "RunnerOptions",
    "attempts_of",
    "effective_execution",
    "refuse_unknown_options",
]


class RunnerOptions(TypedDict, total=False):
    """How a study is run, as Python says it; all of it is optional.

    Those that `Execution` has too come before what the study declares. Of these, None is a value
    of ``timeout_s``, ``evaluator_timeout_s``, ``max_failures`` and ``stall_threshold_s`` (no
    limit) and of ``workers`` (none); elsewhere it means what the study declares.

    Attributes:
        concurrency: See `Execution`.
        parallelism: The older name of ``concurrency``.
        timeout_s: See `Execution`.
        evaluator_timeout_s: See `Execution`.
        retry: See `Execution`.
        refused_for_s: See `Execution`.
        max_failures: See `Execution`.
        stop_alike: See `Execution`.
        fail_fast: See `Execution`.
        limiters: See `Execution`.
        grace_s: See `Execution`.
        stall_threshold_s: See `Execution`.
        keep_calls: See `Execution`.
        report: See `Execution`.
        control: See `Execution`.
        workers: See `Execution`.
        agent_bindings: Agents by name, beside those the study declares.
        problem_registry: Problems by id, beside those the study declares.
        conditions: Conditions to use in place of those the study's design makes.
        checkpoint: Whether results are synced to the disk as they come. Without it a crash of the
            machine (not one of the process) can lose the last runs.
        show_progress: Whether progress is shown on stderr; where a terminal is, if not given.
        output_dir: Where results go, in place of the study's own ``output_dir``.
        subscribers: Coroutine functions over a stream of events; each hears all events.
        fresh: Move an earlier output directory aside and start from nothing.
        rescore: Score the answers of earlier sessions again, without calling their agents.
        retry_failed: Ask again what a provider has refused for good (a bad request, too long a
            prompt, a filter, a refusal) although the request is the same.
        only: Which runs are made: a pilot, or those of some agents, conditions or problems. What
            is left out is made by a later session that is told to.
        endpoints: What this study shares with others of the process that ask the same endpoints:
            the gate of each address and key, at the lowest of their limits (see `Endpoints`).
        isolate_random: Whether each run of an async agent has a global ``random`` and
            ``numpy.random`` of its own. Without it runs are a quarter cheaper, and what an agent
            draws from these depends on what else runs.
        condition_runner: A plain or async function that takes a `RunSpec` and a `Condition`, by
            position, and returns a `RunOutput`. It does each run in place of the study's agents,
            problems and evaluators; a plain one runs in a worker thread.
        engine: Has the runs made by workers, in other processes or on other machines (see
            `penstock.engines`); without one they are made in this process.
    """

    concurrency: int | Literal["auto"] | None
    parallelism: int | Literal["auto"] | None
    timeout_s: float | None
    evaluator_timeout_s: float | None
    retry: Retry | None
    refused_for_s: float | None
    max_failures: int | None
    stop_alike: int | None
    fail_fast: bool | None
    limiters: Mapping[str, int] | None
    grace_s: float | None
    stall_threshold_s: float | None
    keep_calls: KeepCalls | None
    report: bool | None
    control: bool | None
    workers: int | None
    agent_bindings: Mapping[str, Any] | None
    problem_registry: Mapping[str, Any] | None
    conditions: Sequence[Condition] | None
    checkpoint: bool
    show_progress: bool | None
    output_dir: Path | str | None
    subscribers: Sequence[Subscriber]
    fresh: bool
    rescore: bool
    retry_failed: bool
    only: Selection
    endpoints: Endpoints | None
    isolate_random: bool
    condition_runner: ConditionRunner | None
    engine: Engine | None


HOST_DEFAULTS: RunnerOptions = {
    "agent_bindings": None,
    "problem_registry": None,
    "conditions": None,
    "checkpoint": True,
    "show_progress": None,
    "output_dir": None,
    "subscribers": (),
    "fresh": False,
    "rescore": False,
    "retry_failed": False,
    "only": Selection(),
    "endpoints": None,
    "isolate_random": True,
    "condition_runner": None,
    "engine": None,
}
"""The options that only Python gives, and what holds where they are not given."""

_FLAG = (bool, "true or false")
_HOST_KINDS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "agent_bindings": (Mapping, "a mapping from names to agents"),
    "problem_registry": (Mapping, "a mapping from ids to problems"),
    "checkpoint": _FLAG,
    "show_progress": _FLAG,
    "output_dir": ((str, PathLike), "a path"),
    "subscribers": (Iterable, "a list of coroutine functions"),
    "fresh": _FLAG,
    "rescore": _FLAG,
    "retry_failed": _FLAG,
    "only": (Selection, "a penstock.Selection"),
    "endpoints": (Endpoints, "a penstock.Endpoints"),
    "isolate_random": _FLAG,
}
"""What the value of an option must be that only Python gives; others say so where they are used."""

_OLDER_NAMES = {"parallelism": "concurrency"}
_MAY_BE_NONE = frozenset(
    name for name, field in Execution.model_fields.items() if NoneType in get_args(field.annotation)
)


def refuse_unknown_options(options: Mapping[str, Any]) -> None:
    """Refuse a name that is not an option, as Python refuses an unknown argument.

    Raises:
        TypeError: some are not; it names each, and the option that was probably meant.
    """
    known = RunnerOptions.__annotations__
    if unknown := [name for name in options if name not in known]:
        raise TypeError("; ".join(map(_unknown, unknown)))


def _misread(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield which options have a value that would be taken for something else, as text for true."""
    defaults: Mapping[str, Any] = HOST_DEFAULTS
    for name, (kinds, said) in _HOST_KINDS.items():
        value = options.get(name, defaults[name])
        if value is not defaults[name] and not isinstance(value, kinds):
            yield f"{name}: must be {said} (got {value!r:.80})"


def _unknown(name: str) -> str:
    if name == "limits":
        return "the option `limits` is called `limiters`: a study's `limits` are of its endpoints"

    known = RunnerOptions.__annotations__
    return f"there is no option {name!r}{did_you_mean(name, known, mark='`')}"


def effective_execution(study: Study, options: RunnerOptions) -> Execution:
    """Return how a study is carried out: as the options say, else as it declares itself.

    Raises:
        ValidationError: everything that is wrong with the options.
    """
    given = dict(_given(options))
    declared = {name: getattr(study.execution, name) for name in Execution.model_fields}
    # Either says how many failures are too many, so who gives one answers for the other.
    if "max_failures" in given:
        declared["fail_fast"] = False
    elif given.get("fail_fast"):
        declared["max_failures"] = None

    errors = [*_misread(options)]
    try:
        execution = Execution(**declared | given)
    except ValidationError as error:
        raise ValidationError([*errors, *error.errors]) from error

    if errors:
        raise ValidationError(errors)

    workers, concurrency = execution.workers, execution.concurrency
    if workers is None or not isinstance(concurrency, int) or concurrency >= workers:
        return execution

    return execution.model_copy(update={"concurrency": workers})


def attempts_of(
    options: Mapping[str, Any],
    execution: Execution,
    plan: Plan,
    bindings: Bindings,
    *,
    stop: Callable[[str], None],
    announce: Callable[..., None],
) -> tuple[Attempts, Bindings]:
    """Return who makes the attempts of a study, and the bindings to open with a session.

    Raises:
        ValidationError: an engine is given, and its workers cannot run the study.
    """
    if options["engine"] is None and execution.workers is None:
        return AttemptsHere(bindings, plan.study.outcomes), bindings

    from penstock.engines.engaged import engaged  # noqa: PLC0415 - only with workers

    return engaged(options, execution, plan, bindings, stop=stop, announce=announce)


def _given(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what the options say of the execution, under its own names."""
    for older, name in _OLDER_NAMES.items():
        value, newer = options.get(older), options.get(name)
        if value is not None and newer is not None and value != newer:
            raise ValidationError(
                [f"{name} is {newer}, and {older}, its older name, is {value}; give one of them"]
            )

        if value is not None:
            yield name, value

    for name in Execution.model_fields:
        if name in options and (options[name] is not None or name in _MAY_BE_NONE):
            yield name, options[name]
