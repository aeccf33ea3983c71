"""What an agent reports of a run, as a row of ``events.csv``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from penstock._base.fact import EMPTY, unchecked
from penstock._base.json import encode_parts
from penstock.errors import OutputError
from penstock.planning.plan import RunSpec
from penstock.results import Observation, ObservationLevel, timestamp
from penstock.study.identity import event_id

__all__ = ["make_observation"]

_observation = unchecked(Observation)


def make_observation(
    spec: RunSpec,
    index: int,
    fields: Mapping[str, Any],
    refuse: Callable[[OutputError], None],
) -> Observation:
    """Fill in what an observation leaves out: when, who, in which run, under which id.

    Args:
        spec: The run.
        index: How many observations of it there are already.
        fields: What was said of it, by column.
        refuse: Told each part that cannot be stored, and is left out.
    """
    said, run_id = fields.get, spec.run_id
    event_type = str(said("event_type") or "event")
    return _observation(
        timestamp=str(said("timestamp") or timestamp()),
        record_id=str(said("record_id") or event_id(run_id, index, event_type)),
        text=str(said("text") or ""),
        session_id=str(said("session_id") or run_id),
        actor_id=str(said("actor_id") or "agent"),
        event_type=event_type,
        meta_json=_meta(said("meta_json"), refuse),
        level=_level(said("level"), refuse),
        study_id=spec.study_id,
        run_id=run_id,
        condition_id=spec.condition_id,
        **(EMPTY if _LINKS.isdisjoint(fields) else _links(fields)),
    )


def _links(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(fields[name]) for name in _LINKS if fields.get(name) is not None}


def _meta(meta: Any, refuse: Callable[[OutputError], None]) -> str:
    if isinstance(meta, str):
        return str(meta)

    path = "event.meta_json"
    parts = meta if isinstance(meta, Mapping) else {"value": meta} if meta else {}
    written = encode_parts(parts, path)
    for error in written.refused.values():
        refuse(error)

    return written.text


def _level(level: Any, refuse: Callable[[OutputError], None]) -> ObservationLevel:
    if type(level) is ObservationLevel:
        return level

    try:
        return ObservationLevel(level or ObservationLevel.STEP)
    except ValueError as error:
        refuse(OutputError("event.level", f"{error}; one of: {', '.join(ObservationLevel)}"))
        return ObservationLevel.STEP


_LINKS = frozenset({"trial_id", "step_id", "tool_name", "evaluation_id"})
