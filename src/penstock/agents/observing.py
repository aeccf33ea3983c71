"""What an agent reports of a run, as a row of ``events.csv``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from penstock._base.json import encode_parts
from penstock.errors import OutputError
from penstock.planning.plan import RunSpec
from penstock.results import Observation, ObservationLevel, timestamp
from penstock.study.identity import hash_identifier

__all__ = ["make_observation"]


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
    event_type = str(fields.get("event_type") or "event")
    identity = {"run_id": spec.run_id, "index": index, "event_type": event_type}
    return Observation(
        timestamp=str(fields.get("timestamp") or timestamp()),
        record_id=str(fields.get("record_id") or hash_identifier("evt", identity)),
        text=str(fields.get("text") or ""),
        session_id=str(fields.get("session_id") or spec.run_id),
        actor_id=str(fields.get("actor_id") or "agent"),
        event_type=event_type,
        meta_json=_meta(fields.get("meta_json"), refuse),
        level=_level(fields.get("level"), refuse),
        study_id=spec.study_id,
        run_id=spec.run_id,
        condition_id=spec.condition_id,
        **{name: str(fields[name]) for name in _LINKS if fields.get(name) is not None},
    )


def _meta(meta: Any, refuse: Callable[[OutputError], None]) -> str:
    if isinstance(meta, str):
        return meta

    path = "event.meta_json"
    parts = meta if isinstance(meta, Mapping) else {"value": meta} if meta else {}
    written = encode_parts(parts, path)
    for error in written.refused.values():
        refuse(error)

    return written.text


def _level(level: Any, refuse: Callable[[OutputError], None]) -> ObservationLevel:
    try:
        return ObservationLevel(level or ObservationLevel.STEP)
    except ValueError as error:
        refuse(OutputError("event.level", f"{error}; one of: {', '.join(ObservationLevel)}"))
        return ObservationLevel.STEP


_LINKS = ("trial_id", "step_id", "tool_name", "evaluation_id")
