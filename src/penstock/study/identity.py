"""Canonical JSON and what is derived from it: ids of conditions and runs, and seeds.

The formulas are a contract: other tools compute the same ids from the same study, so a change
here orphans every stored result. Nothing is ever hashed through ``str(obj)``: a value without a
stable JSON form is refused, with the place where it stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from json.encoder import encode_basestring_ascii as quote
from typing import Any

from penstock._base.frozen import frozen_json

__all__ = [
    "answer_event_id",
    "assignment_fingerprint",
    "condition_id",
    "event_id",
    "hash_identifier",
    "paired_seed",
    "quote",
    "run_id",
    "run_numbers",
    "run_seed",
    "stable_json_dumps",
]

_SEED_MODULUS = 2**31 - 1


def stable_json_dumps(value: Any) -> str:
    """Write a value as canonical JSON: sorted keys, no spaces, ASCII only.

    Raises:
        UnstableValueError: a part of the value has no stable JSON form (a set, an object).
    """
    return json.dumps(frozen_json(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def hash_identifier(prefix: str, payload: Any) -> str:
    """Return an id of a payload: the first 48 bits of the SHA-256 of its canonical JSON."""
    return _named(prefix, stable_json_dumps(payload))


def assignment_fingerprint(factors: Mapping[str, Any], blocks: Mapping[str, Any]) -> str:
    """Write a treatment combination as canonical JSON; equal text means equal condition."""
    return stable_json_dumps({"factors": factors, "blocks": blocks})


def condition_id(fingerprint: str) -> str:
    """Return the id of a condition, made from its fingerprint and nothing else."""
    return _named("cond", fingerprint)


def run_id(
    study_id: str, condition_id: str, replicate: int, agent_id: str | None, problem_id: str | None
) -> str:
    """Return the id of one planned run; ``replicate`` counts from 1.

    The canonical JSON is written by hand here because a plan names millions of runs; a property
    test holds it to `hash_identifier`.
    """
    before, after = _around_replicate(study_id, condition_id, agent_id, problem_id)
    return _named("run", f"{before}{replicate}{after}")


def run_numbers(
    study_id: str, condition_id: str, replicates: int, agent_id: str | None, problem_id: str | None
) -> Iterator[int]:
    """Yield the ids of runs that are alike but for their replicate, from 1, as whole numbers."""
    before, after = _around_replicate(study_id, condition_id, agent_id, problem_id)
    begun = sha256(before.encode())
    for replicate in range(1, replicates + 1):
        hashed = begun.copy()
        hashed.update(f"{replicate}{after}".encode())
        yield int.from_bytes(hashed.digest()[:6], "big")


def _around_replicate(
    study_id: str, condition_id: str, agent_id: str | None, problem_id: str | None
) -> tuple[str, str]:
    who = f'"agent_id":{_quoted(agent_id)},"condition_id":{quote(condition_id)}'
    what = f'"problem_id":{_quoted(problem_id)},"replicate":'
    return f"{{{who},{what}", f',"study_id":{quote(study_id)}}}'


def run_seed(
    study_id: str,
    condition_id: str,
    replicate: int,
    agent_id: str | None,
    problem_id: str | None,
    *,
    base_seed: int,
    strategy: str,
    per_run_offset: int,
) -> int:
    """Derive a run's seed, a whole number in [0, 2**31 - 1), from what the run is."""
    text = (
        f'{{"base_seed":{base_seed},"condition_id":{quote(condition_id)},'
        f'"per_run_offset":{per_run_offset},"replicate":{replicate},'
        f'"salt":{quote(f"{agent_id}:{problem_id}")},"strategy":{quote(strategy)},'
        f'"study_id":{quote(study_id)}}}'
    )
    return _seed(text)


def paired_seed(
    study_id: str,
    condition_id: str,  # noqa: ARG001 - what is left out of the hash is the point of it
    replicate: int,
    agent_id: str | None,  # noqa: ARG001
    problem_id: str | None,
    *,
    base_seed: int,
    per_run_offset: int,
) -> int:
    """Derive a seed from the problem and the replicate alone: common random numbers."""
    return _seed(
        f'{{"base_seed":{base_seed},"per_run_offset":{per_run_offset},'
        f'"problem_id":{_quoted(problem_id)},"replicate":{replicate},"strategy":"paired",'
        f'"study_id":{quote(study_id)}}}'
    )


def event_id(run_id: str, index: int, event_type: str) -> str:
    """Return the id of what an agent has reported; ``index`` counts from 0."""
    return _named(
        "evt",
        f'{{"event_type":{quote(event_type)},"index":{index},"run_id":{quote(run_id)}}}',
    )


def answer_event_id(run_id: str) -> str:
    """Return the id of the event of a run that is its answer."""
    return _named("evt", f'{{"index":0,"run_id":{quote(run_id)}}}')


def _seed(canonical: str) -> int:
    return int.from_bytes(sha256(canonical.encode()).digest()[:8], "big") % _SEED_MODULUS


def _named(prefix: str, canonical: str) -> str:
    return f"{prefix}-{sha256(canonical.encode()).hexdigest()[:12]}"


def _quoted(text: str | None) -> str:
    return "null" if text is None else quote(text)
