"""Scores: what an evaluator returned, brought to rows of ``evaluations.csv``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from penstock._base.fact import unchecked
from penstock._base.json import encode
from penstock.errors import BindingError
from penstock.results import Evaluation

__all__ = ["ScoreReader"]

_row = unchecked(Evaluation)


class ScoreReader(NamedTuple):
    """Reads what one evaluator returns.

    Args:
        evaluator_id: The evaluator's name.
        metric_name: What a number is called that comes without a name.
        drops_texts: Whether what is not a number in a mapping of metrics is left out, as the
            evaluators that come with a problem expect; else it is refused.
    """

    evaluator_id: str
    metric_name: str
    drops_texts: bool = False

    def rows(self, scores: Any, run_id: str) -> list[Evaluation]:
        """Make the rows of what was returned for a run (see `penstock.evaluators.port.Scores`).

        Raises:
            BindingError: a part of it cannot be stored as a score, or two scores have one name.
        """
        rows = [*self._rows(scores, run_id)]
        if len(rows) > 1 and not self.drops_texts:
            names = Counter((row.metric_name.casefold(), row.aggregation_level) for row in rows)
            if twice := [metric for (metric, _), count in names.items() if count > 1]:
                raise self._refusal(scores, f"{', '.join(twice)} has several scores")

        return rows

    def _rows(self, scores: Any, run_id: str) -> Iterator[Evaluation]:
        if scores is None:
            return

        if isinstance(scores, Evaluation):
            yield scores.model_copy(update={"run_id": run_id})
        elif isinstance(scores, (list, tuple)):
            for score in scores:
                yield from self._rows(score, run_id)
        elif (number := _number(scores)) is not None:
            yield self._row(run_id, self.metric_name, number)
        else:
            yield from self._rows_of_mapping(self._as_mapping(scores), run_id)

    def _rows_of_mapping(self, scores: Mapping[str, Any], run_id: str) -> Iterator[Evaluation]:
        if self._is_row(scores):
            yield self._full_row(scores, run_id)
            return

        for metric, value in scores.items():
            if metric == "higher_is_better":
                continue

            if not isinstance(metric, str) or not metric.strip():
                raise self._refusal(scores, f"{metric!r} is not the name of a metric")

            number = _number(value)
            if number is not None or (value is None and not self.drops_texts):
                yield self._row(run_id, metric, number)
            elif not self.drops_texts:
                raise self._refusal(scores, f"{metric} is {value!r}")

    def _is_row(self, scores: Mapping[str, Any]) -> bool:
        """Return a row in full from a mapping of metrics, one of which may be called ``value``."""
        if scores.keys() & {"metric_name", "metric_value"}:
            return True

        return "value" in scores and (self.drops_texts or scores.keys() <= _FIELDS)

    def _full_row(self, scores: Mapping[str, Any], run_id: str) -> Evaluation:
        unknown = scores.keys() - _FIELDS
        if unknown and not self.drops_texts:
            raise self._refusal(scores, f"a row has no {', '.join(sorted(map(str, unknown)))}")

        value = scores.get("metric_value", scores.get("value"))
        number = _number(value)
        if number is None and not (value is None or isinstance(value, str)):
            raise self._refusal(scores, f"its value is {value!r}")

        texts = {name: scores[name] for name in _TEXTS if scores.get(name) is not None}
        notes = scores.get("notes_json", {})
        named = {"evaluator_id": self.evaluator_id, "metric_name": self.metric_name, **texts}
        return Evaluation(
            **named,
            run_id=run_id,
            metric_value=value if number is None else number,
            notes_json=notes if isinstance(notes, str) else encode(notes, "evaluation.notes_json"),
        )

    def _row(self, run_id: str, metric: str, value: float | None) -> Evaluation:
        return _row(
            run_id=run_id, evaluator_id=self.evaluator_id, metric_name=metric, metric_value=value
        )

    def _as_mapping(self, scores: Any) -> Mapping[str, Any]:
        if isinstance(scores, Mapping):
            return scores

        if is_dataclass(scores) and not isinstance(scores, type):
            # Not `asdict`, which copies what the fields hold and cannot copy everything.
            return {field.name: getattr(scores, field.name) for field in fields(scores)}

        for method in ("model_dump", "to_dict"):
            if callable(getattr(scores, method, None)):
                mapping: Mapping[str, Any] = getattr(scores, method)()
                return mapping

        try:
            return {name: value for name, value in vars(scores).items() if name[0] != "_"}
        except TypeError:
            raise self._refusal(scores) from None

    def _refusal(self, scores: Any, because: str = "") -> BindingError:
        return BindingError(
            f"evaluator {self.evaluator_id!r} returned {scores!r}{because and f', where {because}'}"
            "; return a number, or a mapping of metrics to numbers"
        )


_TEXTS = ("evaluator_id", "metric_name", "metric_unit", "aggregation_level")
_FIELDS = frozenset({*_TEXTS, "metric_value", "value", "notes_json", "run_id", "higher_is_better"})


def _number(value: Any) -> float | None:
    """Return a score that can be stored, a numpy scalar as Python's own; None for all else."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        value = value.item()

    return value if isinstance(value, (bool, int, float)) else None
