"""What a worker is told before it begins, and what it finds that is not the same where it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from penstock._base.fact import EMPTY, Fact
from penstock._base.json import decode, encode
from penstock.errors import OutputError, UnstableValueError, ValidationError
from penstock.models.calls.elsewhere import CallsElsewhere, Endpoint
from penstock.planning.fingerprint import fingerprint_of
from penstock.planning.plan import Plan
from penstock.running.binding import Bindings
from penstock.running.checking import prepare
from penstock.study.execution import Execution
from penstock.study.model import Study

__all__ = ["Boot", "boot_of", "bound"]


class Boot(Fact):
    """How a worker begins.

    Args:
        study: The study, as JSON.
        base_dir: The folder that its paths start from; the worker finds the same code there.
        study_file: The file that it was read from.
        fingerprint: That of its plan.
        versions: Of what decides the bytes of results.
        sources: The fingerprints of the code of agents and evaluators, by what they are called.
        endpoints: Who calls models -> whom: the driver makes these calls.
        limiters: See `Execution`; the driver has these limits, for all workers.
        isolate_random: See `RunnerOptions`.
        capacity: How many attempts a worker makes at once.
        stall_threshold_s: See `Execution`.
        flush_s: How long after the last batch what is said waits for more, in seconds.
        lease_s: After so many seconds without a word from the driver a worker cancels everything.
    """

    study: str
    base_dir: Path | None
    study_file: Path | None
    fingerprint: str
    versions: Mapping[str, str] = EMPTY
    sources: Mapping[str, str] = EMPTY
    endpoints: Mapping[str, Endpoint] = EMPTY
    limiters: Mapping[str, int] = EMPTY
    isolate_random: bool = True
    stall_threshold_s: float | None = None
    capacity: int = 5000
    flush_s: float = 0.01
    lease_s: float = 30.0


def boot_of(
    study: Study,
    plan: Plan,
    bindings: Bindings,
    execution: Execution,
    *,
    isolate_random: bool,
) -> Boot:
    """State how the workers of a study begin.

    Raises:
        ValidationError: the study holds Python objects, which do not travel.
    """
    try:
        written = encode(study.to_dict(), "study")
    except (OutputError, UnstableValueError) as error:
        raise ValidationError(
            f"workers load a study by themselves, and this one holds what no file can ({error}); "
            "declare code as a reference (`agents.py:solve`), or run it without an engine"
        ) from error

    return Boot(
        study=written,
        base_dir=Path.cwd() if study.base_dir is None else study.base_dir.absolute(),
        study_file=study.study_file,
        fingerprint=fingerprint_of(plan),
        versions=_versions(),
        sources=dict(_sources(bindings)),
        endpoints={
            name: Endpoint(caller.provider, caller.base_url, caller.place)
            for name, caller in bindings.callers.items()
        },
        limiters=execution.limiters,
        stall_threshold_s=execution.stall_threshold_s,
        isolate_random=isolate_random,
    )


def bound(boot: Boot, calls: CallsElsewhere) -> tuple[Plan, Bindings]:
    """Load the study where a worker is, and see that it is the driver's.

    Args:
        boot: What the driver has told.
        calls: Has calls of models made by the driver.

    Raises:
        ValidationError: it cannot be loaded here, or something differs; all of it at once.
    """
    places = {"base_dir": boot.base_dir, "study_file": boot.study_file}
    # The driver alone is heard, and what hears it may not be installed here.
    study = Study(**{**decode(boot.study), **places, "subscribers": ()})
    isolate = boot.isolate_random
    plan, bindings = prepare(study, isolate_random=isolate, elsewhere=calls).ready()
    if differences := list(_differences(boot, plan, bindings)):
        raise ValidationError(differences)

    return plan, bindings


def _differences(boot: Boot, plan: Plan, bindings: Bindings) -> Iterator[str]:
    versions = _versions()
    for name, theirs in boot.versions.items():
        ours = versions.get(name, "none")
        if ours != theirs:
            yield f"the driver has {name} {theirs}, and the worker {ours}; install the same"

    if fingerprint_of(plan) != boot.fingerprint:
        yield "the worker makes another plan of the study: other conditions, or another order"

    here = dict(_sources(bindings))
    for name, source in boot.sources.items():
        if here.get(name) != source:
            yield f"the code of {name} is not the same in {boot.base_dir}; copy the driver's"


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("penstock", "numpy", "pydantic")}
    return {"Python": ".".join(map(str, sys.version_info[:2])), **packages}


def _sources(bindings: Bindings) -> Iterator[tuple[str, str]]:
    for name, source in bindings.sources.items():
        yield f"agent {name!r}", source

    for problem_id in bindings.problems:
        for rule in bindings.rules(problem_id):
            if rule.source:
                yield f"evaluator {rule.evaluator_id!r}", rule.source
