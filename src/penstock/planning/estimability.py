"""Estimability: whether a design can answer what a hypothesis asks.

An effect can be estimated where its columns add their full rank to a model matrix that holds the
main effects of every other factor and block: S. R. Searle, Linear Models (1971), chapter 5.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from penstock.study.conditions import Condition
from penstock.study.factors import FactorKind
from penstock.study.identity import stable_json_dumps
from penstock.study.model import Study

__all__ = ["estimability_errors"]

_MOST_COLUMNS = 1500
_TOLERANCE = 1e-9
_Effect = tuple[str, ...]


def estimability_errors(study: Study, conditions: Sequence[Condition]) -> list[str]:
    """List the hypotheses that these conditions cannot test, and say why.

    The effects a hypothesis asks about are the main effect of each of its independent variables,
    and their interactions with its moderators where those are factors or blocks. Each is looked at
    beside all main effects, then the interactions beside each other. Measured factors are observed
    and not set, so nothing is said of them. Nothing is said either of a model of more than 1,500
    columns, unless every combination is there.
    """
    asked = list(_asked(study))
    able = [condition for condition in conditions if condition.admissible]
    if not asked or not able:
        return []

    design = _Design(study, able)
    reasons = {effect: design.why_not(effect) for effect in dict.fromkeys(e for _, e in asked)}
    advice = "choose another design or more rows"
    if study.constraints:
        advice += ", or loosen the constraints"

    told = [
        f"Hypothesis '{hypothesis_id}': {reason.text}; {reason.advice or advice}."
        for hypothesis_id, effect in asked
        if (reason := reasons[effect]) is not None
    ]
    sound = [effect for effect, reason in reasons.items() if reason is None and len(effect) > 1]
    for effects in design.not_told_apart(sound):
        alike = [set(effect) for effect in effects]
        names = dict.fromkeys(name for name, effect in asked if set(effect) in alike)
        kind = "Hypothesis" if len(names) == 1 else "Hypotheses"
        said = " and ".join(f"the {_said(effect)}" for effect in effects)
        told.append(
            f"{kind} {' and '.join(map(repr, names))}: {said} cannot be told apart by the "
            f"{len(able)} admissible conditions; {advice}."
        )

    return told


def _asked(study: Study) -> Iterator[tuple[str, _Effect]]:
    factors = {f.name for f in study.factors if f.kind is not FactorKind.MEASURED}
    varied = factors | {block.name for block in study.blocks}
    for hypothesis in study.hypotheses:
        for variable in dict.fromkeys(hypothesis.independent_vars):
            if variable not in factors:
                continue

            yield hypothesis.hypothesis_id, (variable,)
            for moderator in hypothesis.moderators:
                if moderator.name in varied and moderator.name != variable:
                    yield hypothesis.hypothesis_id, (variable, moderator.name)


class _Reason(NamedTuple):
    """Why an effect cannot be estimated, and what to do where it is not the usual."""

    text: str
    advice: str = ""


class _Column(NamedTuple):
    """A factor or block: the place of each condition's level, and its weight there."""

    places: Any
    weights: Any
    size: int
    levels: tuple[Any, ...]


class _Design:
    """The admissible conditions as columns, and the ranks of models over them."""

    def __init__(self, study: Study, conditions: Sequence[Condition]) -> None:
        declared = {factor.name: factor.values() for factor in study.factors}
        declared |= {block.name: tuple(block.levels) for block in study.blocks}
        self._rows = len(conditions)
        self._columns = {
            name: _column([condition.get(name) for condition in conditions], levels)
            for name, levels in declared.items()
        }
        sizes = [len(levels) for levels in declared.values()]
        self._complete = self._rows == math.prod(sizes) and all(
            column.levels for column in self._columns.values()
        )

    def why_not(self, effect: _Effect) -> _Reason | None:
        """Return why an effect cannot be estimated beside the main effects; None where it can."""
        for name in effect:
            reason = self._lacking(name)
            if reason is not None:
                return reason

        if self._complete or self._width([effect]) > _MOST_COLUMNS:
            return None

        others = [(name,) for name in self._columns if (name,) != effect]
        if self._rank([*others, effect]) - self._rank(others) >= self._freedom(effect):
            return None

        return _Reason(self._confounded(effect) or self._empty_cell(effect) or self._joint(effect))

    def not_told_apart(self, interactions: Sequence[_Effect]) -> list[tuple[_Effect, ...]]:
        """List the interactions that can be estimated alone and not beside each other.

        Pairs where pairs are too many already, else all of them as one.
        """
        # The interaction of a and b is that of b and a, whichever of them moderates.
        effects = list({frozenset(effect): effect for effect in reversed(interactions)}.values())
        effects.reverse()
        if self._complete or self._are_told_apart(effects):
            return []

        pairs = itertools.combinations(effects, 2)
        found = [pair for pair in pairs if not self._are_told_apart(pair)]
        return [*found] or [tuple(effects)]

    def _are_told_apart(self, effects: Sequence[_Effect]) -> bool:
        if len(effects) < 2 or self._width(effects) > _MOST_COLUMNS:  # noqa: PLR2004 - a pair
            return True

        mains = [(name,) for name in self._columns]
        added = self._rank([*mains, *effects]) - self._rank(mains)
        return added >= sum(self._freedom(effect) for effect in effects)

    def _lacking(self, name: str) -> _Reason | None:
        column = self._columns[name]
        if column.levels and len(column.levels) == 1:
            return _Reason(
                f"'{name}' has one level only, so there is nothing to compare",
                f"give '{name}' another level, or leave it out of the hypothesis",
            )

        if not column.levels and len(set(column.weights.tolist())) == 1:
            return _Reason(f"'{name}' has one value only, so there is nothing to compare")

        present = set(column.places.tolist())
        absent = [repr(v) for i, v in enumerate(column.levels) if i not in present]
        if absent:
            return _Reason(f"no admissible condition has '{name}' at {', '.join(absent)}")

        return None

    def _confounded(self, effect: _Effect) -> str:
        """Name the factors whose main effect alone takes a part of the effect's rank away."""
        own = [*((name,) for name in effect), effect] if len(effect) > 1 else [effect]
        alone = self._rank(own)
        found = [
            name
            for name in self._columns
            if name not in effect
            and self._rank([*own, (name,)]) < alone + self._rank([(name,)]) - 1
        ]
        if not found:
            return ""

        named = " and ".join(f"'{name}'" for name in found)
        return (
            f"the {_said(effect)} is aliased with the main effect of {named}: "
            f"the {self._rows} admissible conditions cannot tell them apart"
        )

    def _empty_cell(self, effect: _Effect) -> str:
        columns = [self._columns[name] for name in effect]
        if len(effect) == 1 or not all(column.levels for column in columns):
            return ""

        seen = set(zip(*(column.places.tolist() for column in columns), strict=True))
        for cell in itertools.product(*(range(column.size) for column in columns)):
            if cell not in seen:
                values = [column.levels[i] for column, i in zip(columns, cell, strict=True)]
                named = [f"{name} = {v!r}" for name, v in zip(effect, values, strict=True)]
                return (
                    f"the {_said(effect)} cannot be estimated: "
                    f"no admissible condition has {' and '.join(named)}"
                )

        return ""

    def _joint(self, effect: _Effect) -> str:
        return (
            f"the {_said(effect)} cannot be estimated beside the main effects of all the other "
            f"factors and blocks together: {self._rows} admissible conditions do not tell them "
            "apart"
        )

    def _freedom(self, effect: _Effect) -> int:
        columns = [self._columns[name] for name in effect]
        return math.prod(column.size - 1 if column.levels else 1 for column in columns)

    def _width(self, effects: Sequence[_Effect]) -> int:
        mains = sum(column.size for column in self._columns.values())
        sizes = [math.prod(self._columns[name].size for name in effect) for effect in effects]
        return 1 + mains + sum(sizes)

    def _rank(self, effects: Sequence[_Effect]) -> int:
        """Find the rank of a model with an intercept, from the sums of its columns' products."""
        terms = [(np.zeros(self._rows, dtype=np.int64), np.ones(self._rows))]
        width = 1
        for effect in effects:
            places, weights, size = self._term(effect)
            terms.append((places + width, weights))
            width += size

        gram = np.zeros((width, width))
        for (left, left_weights), (right, right_weights) in itertools.product(terms, repeat=2):
            np.add.at(gram, (left, right), left_weights * right_weights)

        scale = np.sqrt(np.where(np.diag(gram) > 0, np.diag(gram), 1.0))
        values = np.linalg.eigvalsh(gram / scale[:, None] / scale)
        return int((values > _TOLERANCE * width).sum())

    def _term(self, effect: _Effect) -> tuple[Any, Any, int]:
        places: Any = np.zeros(self._rows, dtype=np.int64)
        weights: Any = np.ones(self._rows)
        size = 1
        for name in effect:
            column = self._columns[name]
            places = places * column.size + column.places
            weights = weights * column.weights
            size *= column.size

        return places, weights, size


def _column(values: Sequence[Any], levels: tuple[Any, ...]) -> _Column:
    """Code a column by its levels; numbers between the levels make it one linear column."""
    known = {stable_json_dumps(level): place for place, level in enumerate(levels)}
    texts = [stable_json_dumps(value) for value in values]
    if all(text in known for text in texts):
        places = np.array([known[text] for text in texts], dtype=np.int64)
        return _Column(places, np.ones(len(values)), len(levels), levels)

    if all(isinstance(value, (int, float)) for value in values):
        numbers = np.array(values, dtype=np.float64)
        spread = float(np.ptp(numbers)) or 1.0
        return _Column(np.zeros(len(values), np.int64), (numbers - numbers.mean()) / spread, 1, ())

    found = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    places = np.array([found[text] for text in texts], dtype=np.int64)
    return _Column(places, np.ones(len(values)), len(found), tuple(found))


def _said(effect: _Effect) -> str:
    if len(effect) == 1:
        return f"main effect of '{effect[0]}'"

    return f"interaction of {' and '.join(repr(name) for name in effect)}"
