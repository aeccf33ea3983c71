"""Samples made from plain tables, and the numbers in what is found of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.analysis.sample import Sample, arrange


def sample_of(table: Mapping[str, Sequence[Sequence[Any]]], factor: str = "tone") -> Sample:
    """Level -> problems -> values in replicate order; None is a run that failed."""
    rows = [
        {
            "condition_id": level,
            "agent_id": "a",
            "problem_id": f"p{problem}",
            "replicate": replicate,
            "status": "failed" if value is None else "success",
            "value": value,
            "error": "RuntimeError" if value is None else None,
        }
        for level, problems in table.items()
        for problem, values in enumerate(problems)
        for replicate, value in enumerate(values, start=1)
    ]
    return arrange({level: {factor: level} for level in table}, rows)


def crossed(values: Mapping[tuple[str, str], Sequence[Sequence[float]]]) -> Sample:
    """Two factors ``a`` and ``b``: their levels -> problems -> values in replicate order."""
    rows = [
        {
            "condition_id": ".".join(levels),
            "agent_id": "a",
            "problem_id": f"p{problem}",
            "replicate": replicate,
            "status": "success",
            "value": value,
        }
        for levels, problems in values.items()
        for problem, cell in enumerate(problems)
        for replicate, value in enumerate(cell, start=1)
    ]
    assigned = {".".join(levels): dict(zip("ab", levels, strict=True)) for levels in values}
    return arrange(assigned, rows)


def numbers_in(value: Any) -> Iterator[float]:
    """Yield all numbers of a fact, however deep."""
    if isinstance(value, dict):
        value = list(value.values())

    if isinstance(value, list):
        for each in value:
            yield from numbers_in(each)
    elif isinstance(value, float):
        yield value
