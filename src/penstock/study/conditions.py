"""Conditions: the treatment combinations of a study, each with the constraints it breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from json import JSONEncoder
from pathlib import Path
from typing import Any, NamedTuple

from penstock._base.fact import EMPTY, Fact, JsonMapping, unchecked
from penstock._base.frozen import FrozenDict, frozen_json
from penstock._base.suggestions import did_you_mean
from penstock.errors import ExpressionError, UnstableValueError, ValidationError
from penstock.study.expressions import compile_expression
from penstock.study.factors import Constraint, ConstraintSeverity, Factor, Level
from penstock.study.identity import (
    assignment_fingerprint,
    condition_id,
    quote,
    stable_json_dumps,
)
from penstock.study.model import Study
from penstock.study.references import load_reference

_encode = JSONEncoder(sort_keys=True, separators=(",", ":")).encode

__all__ = ["Condition", "DesignRow", "conditions", "make_conditions", "row_errors", "rules_of"]


class Condition(Fact):
    """One treatment combination: ``condition["tone"]`` is a factor's or block's value.

    Args:
        condition_id: A hash of the assignments, and of nothing else.
        constraint_messages: The constraints it breaks, ``"{constraint_id}: {description}"``.
        admissible: Whether it gets runs; an inadmissible one is listed in the artifacts only.
        replicates: How often the design holds it; multiplies the study's replicates.
    """

    condition_id: str
    factor_assignments: JsonMapping
    block_assignments: JsonMapping = EMPTY
    metadata: JsonMapping = EMPTY
    admissible: bool = True
    constraint_messages: tuple[str, ...] = ()
    replicates: int = 1

    def __getitem__(self, name: str) -> Any:
        if name in self.factor_assignments:
            return self.factor_assignments[name]

        try:
            return self.block_assignments[name]
        except KeyError:
            known = [*self.factor_assignments, *self.block_assignments]
            raise KeyError(
                f"{name!r} is not a factor or block of this condition; known: {', '.join(known)}"
            ) from None

    def get(self, name: str, default: Any = None) -> Any:
        """Return a factor's or block's value, or a default where there is none of that name."""
        return self.factor_assignments.get(name, self.block_assignments.get(name, default))

    @property
    def fingerprint(self) -> str:
        """The assignments as canonical JSON."""
        known = self.metadata.get("fingerprint")
        return known or assignment_fingerprint(self.factor_assignments, self.block_assignments)


_stated = unchecked(Condition)


class DesignRow(NamedTuple):
    """One row of a design, before constraints are held against it.

    Where it says nothing of blocks, it is crossed with every combination of their levels.
    """

    factors: Mapping[str, Any]
    blocks: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = EMPTY
    replicates: int = 1


def conditions(rows: Iterable[Mapping[str, Any]], study: Study | None = None) -> list[Condition]:
    """Make conditions of your own, with ids: ``run_study(study, conditions=conditions(rows))``.

    Args:
        rows: Mappings from name to value, one a condition; equal ones are one condition with
            replicates. Values are what a level may be; numpy scalars become numbers.
        study: Where given, a row names every factor and block of this study, and the study's
            constraints are held against it. Otherwise every name is taken for a factor's.

    Raises:
        ValidationError: everything that is wrong with the rows, each with the number of its row.
    """
    factors = None if study is None else [factor.name for factor in study.factors]
    blocks = [] if study is None else [block.name for block in study.blocks]
    made, errors = [], []
    for number, row in enumerate(rows, start=1):
        try:
            values = frozen_json(row, f"row {number}")
        except UnstableValueError as error:
            errors.append(str(error))
            continue

        if factors is not None:
            errors += row_errors(f"row {number}", values, [*factors, *blocks])

        made.append(
            DesignRow(
                {name: value for name, value in values.items() if name not in blocks},
                {name: values[name] for name in blocks if name in values},
            )
        )

    if errors:
        raise ValidationError(errors)

    return make_conditions(study, made)


def row_errors(place: str, row: Mapping[str, Any], names: Iterable[str]) -> Iterator[str]:
    """List what a row names that is not there, and what it does not name."""
    names = list(names)
    for name in row:
        if name not in names:
            hint = did_you_mean(str(name), names)
            yield f"{place}: no factor or block is named {name!r}{hint}"

    yield from (f"{place}: no value for {name!r}" for name in names if name not in row)


def make_conditions(study: Study | None, rows: Iterable[DesignRow]) -> list[Condition]:
    """Turn design rows into conditions; equal rows are one condition with more replicates.

    Raises:
        ValidationError: constraints that cannot be evaluated, each with the first condition at
            which it failed.
    """
    rules = _Rules(study)
    baselines = _Baselines(() if study is None else study.factors)
    made: dict[str, Condition] = {}
    for row in rows:
        # Rows hold declared levels, which are frozen, and numbers: nothing is frozen again, and
        # nothing validated, because a design may have a hundred thousand conditions.
        factors = FrozenDict(row.factors)
        blocks = FrozenDict(row.blocks) if row.blocks else EMPTY
        fingerprint = f'{{"blocks":{_canonical(blocks)},"factors":{_canonical(factors)}}}'
        known = made.get(fingerprint)
        if known is not None:
            repeated = {"replicates": known.replicates + row.replicates}
            made[fingerprint] = known.model_copy(update=repeated)
            continue

        admissible, messages = rules.hold(factors, blocks)
        made[fingerprint] = _stated(
            condition_id=condition_id(fingerprint),
            factor_assignments=factors,
            block_assignments=blocks,
            metadata=FrozenDict(
                {"fingerprint": fingerprint, **baselines.of(factors), **row.metadata}
            ),
            admissible=admissible,
            constraint_messages=messages,
            replicates=row.replicates,
        )

    rules.raise_failures()
    _refuse_collisions(made)
    return [_counted(condition) for condition in made.values()]


def _canonical(values: Mapping[str, Any]) -> str:
    """Write frozen values as `stable_json_dumps` does, which a test holds it to.

    Most levels are texts: the setting up of an encoder takes longer than all that it writes.
    """
    written = [
        f"{quote(name)}:{quote(value) if type(value) is str else _encode(value)}"
        for name, value in sorted(values.items())
    ]
    return f"{{{','.join(written)}}}"


def _counted(condition: Condition) -> Condition:
    """Record in the metadata that a condition is replicated, so that the artifacts say it."""
    if condition.replicates == 1:
        return condition

    metadata = FrozenDict({**condition.metadata, "replicates": condition.replicates})
    return condition.model_copy(update={"metadata": metadata})


def _refuse_collisions(made: Mapping[str, Condition]) -> None:
    """Find different assignments under one id: 48 bits of a hash may be the same by chance."""
    seen: dict[str, str] = {}
    for fingerprint, condition in made.items():
        other = seen.setdefault(condition.condition_id, fingerprint)
        if other != fingerprint:
            named = f"{other} and {fingerprint} have the same id, {condition.condition_id}"
            raise ValidationError(
                [f"Two conditions {named}, by chance; rename a factor or a level."]
            )


class _Rules:
    """The study's constraints, compiled once; what cannot be evaluated is gathered."""

    def __init__(self, study: Study | None) -> None:
        self._failures: dict[str, str] = {}
        self._rules: list[tuple[Constraint, list[Callable[..., Any]]]] = []
        base_dir = None if study is None else study.base_dir
        for constraint in () if study is None else study.constraints:
            try:
                self._rules.append((constraint, list(rules_of(constraint, base_dir))))
            except (ExpressionError, ImportError, AttributeError, TypeError) as error:
                self._failures[constraint.constraint_id] = str(error)

    def hold(
        self, factors: Mapping[str, Any], blocks: Mapping[str, Any]
    ) -> tuple[bool, tuple[str, ...]]:
        admissible, messages = True, []
        for constraint, tests in self._rules:
            try:
                held = all(test(factors, blocks) for test in tests)
            except Exception as error:  # noqa: BLE001 - a user's constraint may raise anything
                self._failures.setdefault(
                    constraint.constraint_id,
                    f"{error} (at factors={dict(factors)}, blocks={dict(blocks)})",
                )
                continue

            if not held:
                messages.append(f"{constraint.constraint_id}: {constraint.description}")
                admissible &= constraint.severity is not ConstraintSeverity.ERROR

        return admissible, tuple(messages)

    def raise_failures(self) -> None:
        if self._failures:
            raise ValidationError(
                [f"Constraint '{name}': {failure}" for name, failure in self._failures.items()]
            )


def rules_of(
    constraint: Constraint, base_dir: Path | None = None
) -> Iterator[Callable[[Mapping[str, Any], Mapping[str, Any]], Any]]:
    """Yield the functions of factors and blocks that must all hold for a constraint to hold.

    Args:
        constraint: The constraint.
        base_dir: Where ``file.py:attr`` is looked for; the working directory if not given.

    Raises:
        ExpressionError: its expression is not one.
        ImportError: its function cannot be imported.
        AttributeError: the module has no such function.
        TypeError: what it refers to is not a function.
    """
    if constraint.expression is not None:
        evaluate = compile_expression(constraint.expression)
        yield lambda factors, blocks: evaluate(
            {"factors": factors, "blocks": blocks, **factors, **blocks}
        )

    if constraint.callable_ref is not None:
        function = load_reference(constraint.callable_ref, base_dir)
        if not callable(function):
            raise TypeError(
                f"Reference '{constraint.callable_ref}' does not resolve to a callable."
            )

        yield lambda factors, blocks: function(dict(factors), dict(blocks))


class _Baselines:
    """Which levels are baselines or have a role, looked up by value."""

    def __init__(self, factors: Iterable[Factor]) -> None:
        self._levels: dict[str, dict[str, Level]] = {
            factor.name: {stable_json_dumps(level.value): level for level in factor.levels}
            for factor in factors
            if any(_is_marked(level) for level in factor.levels)
        }

    def of(self, factors: Mapping[str, Any]) -> dict[str, Any]:
        axes: dict[str, Any] = {}
        for name, levels in self._levels.items():
            level = levels.get(stable_json_dumps(factors.get(name)))
            if level is not None and _is_marked(level):
                axes[name] = {
                    "value": level.value,
                    "level_name": level.name,
                    "label": level.label,
                    "role": level.metadata.get("role"),
                    "is_baseline": bool(level.metadata.get("is_baseline", False)),
                }

        if not axes:
            return {}

        baseline = [name for name, axis in axes.items() if axis["is_baseline"]]
        return {
            "condition_label": " | ".join(axis["label"] for axis in axes.values()),
            "comparison_axes": axes,
            "comparison_baseline": {
                "is_baseline_condition": len(baseline) == len(axes),
                "axes": baseline,
            },
        }


def _is_marked(level: Level) -> bool:
    return "is_baseline" in level.metadata or "role" in level.metadata
