"""Which events can be told again, and those of one attempt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from penstock.errors import BindingError
from penstock.events.listening import event_types
from penstock.events.tree import (
    ActionTaken,
    Event,
    RunCancelled,
    RunFailed,
    RunObserved,
    RunRetried,
    RunSkipped,
    RunsSaved,
    RunStarted,
    RunSucceeded,
    StudyFinished,
    StudyStarted,
)
from penstock.results import Observation, RunResult, RunStatus
from penstock.store.announced import Listed

__all__ = ["KEPT", "Step", "kept_types", "moment_of", "steps_of"]

KEPT: tuple[type[Event], ...] = (
    StudyStarted,
    RunStarted,
    RunObserved,
    RunRetried,
    RunCancelled,
    RunSucceeded,
    RunFailed,
    RunSkipped,
    RunsSaved,
    StudyFinished,
    ActionTaken,
)
"""The events that can be told again."""

_FINISHED = {
    RunStatus.SUCCESS: RunSucceeded,
    RunStatus.FAILED: RunFailed,
    RunStatus.SKIPPED: RunSkipped,
}


class Step(NamedTuple):
    """An event without its number."""

    kind: type[Event]
    at: datetime
    fields: Mapping[str, Any]


def kept_types(given: Iterable[type[Event] | str]) -> tuple[type[Event], ...]:
    """Return the classes of events that are meant, of those that can be told again.

    Args:
        given: Classes of events, or their names; all that are kept, without any.

    Raises:
        BindingError: no event has that name, or events of it are not kept.
    """
    types = event_types(given)
    for kind in types:
        if not any(issubclass(each, kind) for each in KEPT):
            names = ", ".join(each.__name__ for each in KEPT)
            raise BindingError(
                f"{kind.__name__} is announced once and not kept, so it cannot be replayed; what "
                f"is kept is {names}"
            )

    return tuple(each for each in KEPT if not types or issubclass(each, types))


def steps_of(listed: Listed, result: RunResult, *, saved_at: datetime) -> Iterator[Step]:
    """Return what was said of an attempt, in the order in which it was.

    Args:
        listed: How it was saved.
        result: The attempt as it is now.
        saved_at: When it was saved.
    """
    run_id, is_again = result.run_id, listed.is_scored_again
    began_at, ended_at = (saved_at, saved_at) if is_again else (result.started_at, result.ended_at)
    if listed.tells_start:
        began = {"run_id": run_id, "spec": result.spec, "attempt": result.attempt}
        yield Step(RunStarted, began_at, began)

    reported = result.reported
    for number in listed.observed(len(reported)):
        observation = reported[number]
        said = {"run_id": run_id, "observation": observation}
        yield Step(RunObserved, moment_of(observation, ended_at), said)

    if listed.how == "answered":
        return

    if result.is_rescored and not is_again:  # then it was not yet
        result = result.model_copy(update={"is_rescored": False})

    ended = {"run_id": run_id, "result": result}
    if listed.how == "retried":
        yield Step(RunRetried, ended_at, {**ended, "wait_s": listed.wait_s or 0.0})
    elif listed.how == "cancelled":
        yield Step(RunCancelled, ended_at, ended)
    else:
        yield Step(_FINISHED.get(result.status, RunFailed), ended_at, ended)


def moment_of(observation: Observation, otherwise: datetime) -> datetime:
    """Return when something was reported; a time without a zone is in UTC.

    Args:
        observation: What was reported; an agent may write its timestamp in any form.
        otherwise: What stands for a timestamp that cannot be read.
    """
    with suppress(ValueError):
        at = datetime.fromisoformat(observation.timestamp)
        return at if at.tzinfo is not None else at.replace(tzinfo=UTC)

    return otherwise
