"""What differs between the plans of two stores: declarations, problems, code, models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock._base.fact import Fact
from penstock.store.reader import StoreReader
from penstock.store.schema import FOLLOWS

__all__ = ["PlanDifference", "ProblemOverlap", "plan_differences", "problem_overlap"]

_NOT_OF_THE_PLAN = frozenset(
    {
        FOLLOWS,
        "authors",
        "description",
        "notes",
        "output_dir",
        "problem_ids",
        "provenance_metadata",
        "rationale",
        "schema_version",
        "study_id",
        "tags",
        "title",
    }
)
_HOW_NOT_WHAT = frozenset({"run_budget.parallelism"})
_KEYS = ("name", "hypothesis_id", "analysis_plan_id", "constraint_id")
_ABSENT = object()

_AGENTS = "SELECT agent_id, source FROM agent WHERE is_current AND source <> ''"
_EVALUATORS = """
SELECT evaluator_id, source || '.' || version FROM evaluator
WHERE id IN (SELECT evaluator FROM scoring WHERE place IS NOT NULL)
"""
_MODELS = """
SELECT DISTINCT agent_id, iif(json_valid(provenance), provenance ->> '$.model_name', NULL)
FROM attempt WHERE final AND position IS NOT NULL AND status = 'success' ORDER BY 1, 2
"""
_ANSWERED = """
SELECT DISTINCT a.problem_id, p.definition
FROM attempt a LEFT JOIN problem p ON p.id = a.problem_made
WHERE a.final AND a.position IS NOT NULL
"""


class PlanDifference(Fact):
    """Something that two studies do not have alike.

    Args:
        place: Where it stands, as a path: ``factors.tone.levels.warm.value``.
        first: What it is in the first study; None where that has none.
        other: What it is in the other.
    """

    place: str
    first: Any = None
    other: Any = None


class ProblemOverlap(Fact):
    """Which problems two studies share.

    Args:
        common: Problems that both have answers to, asked alike.
        declared_otherwise: Problems of one id that are not the same problem in both.
        only_first: Problems that the first study alone has answers to.
        only_other: Problems that the other alone has answers to.
    """

    common: tuple[str, ...]
    declared_otherwise: tuple[str, ...] = ()
    only_first: tuple[str, ...] = ()
    only_other: tuple[str, ...] = ()


def plan_differences(first: StoreReader, other: StoreReader) -> list[PlanDifference]:
    """List what two studies declare otherwise, and what code and models made their answers.

    What only tells a study to people, where results go, and how many runs are in flight does not
    count; nor do problems, which `problem_overlap` compares.

    Args:
        first: The store of the first study.
        other: That of the other.
    """
    declared = [
        {name: each for name, each in store.definition().items() if name not in _NOT_OF_THE_PLAN}
        for store in (first, other)
    ]
    found = [each for each in _between("", *declared) if each.place not in _HOW_NOT_WHAT]
    for what, query in (("code of agent", _AGENTS), ("code of evaluator", _EVALUATORS)):
        sources, others = dict(first.table(query)), dict(other.table(query))
        for name in sources.keys() & others.keys():
            if sources[name] != others[name]:
                place = f"{what} {name}"
                found.append(PlanDifference(place=place, first=sources[name], other=others[name]))

    models, other_models = _models(first), _models(other)
    if models != other_models:
        found.append(PlanDifference(place="served models", first=models, other=other_models))

    return sorted(found, key=lambda each: each.place)


def problem_overlap(first: StoreReader, other: StoreReader) -> ProblemOverlap:
    """Return which problems two studies share, by their ids and by what stands in them.

    Args:
        first: The store of the first study.
        other: That of the other.
    """
    problems, others = _answered(first), _answered(other)
    shared = [name for name in problems if name in others]
    common = [name for name in shared if _is_same(problems[name], others[name])]
    return ProblemOverlap(
        common=tuple(common),
        declared_otherwise=tuple(name for name in shared if name not in common),
        only_first=tuple(name for name in problems if name not in others),
        only_other=tuple(name for name in others if name not in problems),
    )


def _answered(store: StoreReader) -> dict[str, set[Any]]:
    """Return each problem with what stands in it; empty where an older store does not tell."""
    found: dict[str, set[Any]] = {}
    for name, definition in store.table(_ANSWERED):
        found.setdefault(name, set()).update(() if definition is None else (definition,))

    return dict(sorted(found.items()))


def _is_same(first: set[Any], other: set[Any]) -> bool:
    return not first or not other or first == other


def _models(store: StoreReader) -> list[str]:
    return [f"{agent}: {model}" for agent, model in store.table(_MODELS) if model is not None]


def _between(place: str, first: Any, other: Any) -> Iterator[PlanDifference]:
    """List the differences of two values, each with its path."""
    if isinstance(first, Sequence) and isinstance(other, Sequence):
        first, other = _by_name(first), _by_name(other)

    if isinstance(first, Mapping) and isinstance(other, Mapping):
        for name in dict.fromkeys((*first, *other)):
            inner = f"{place}.{name}" if place else str(name)
            yield from _between(inner, first.get(name, _ABSENT), other.get(name, _ABSENT))
    elif first != other:
        yield PlanDifference(place=place, first=_plain(first), other=_plain(other))


def _by_name(items: Any) -> Any:
    """Return a list of things that have names as a mapping, each by its own."""
    if isinstance(items, str) or not all(isinstance(each, Mapping) for each in items):
        return items

    for key in _KEYS:
        names = [each.get(key) for each in items]
        if None not in names and len(set(names)) == len(names):
            return dict(zip(names, items, strict=True))

    return items


def _plain(value: Any) -> Any:
    return None if value is _ABSENT else value
