"""Rules: what a score was made by, so that scores of two rules never stand under one name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from penstock._base.fact import EMPTY
from penstock.agents.context import RunContext
from penstock.agents.shapes import is_async
from penstock.evaluators.builtin import rule_version
from penstock.evaluators.port import BoundEvaluator
from penstock.results import Evaluation
from penstock.study.chat import Model, spelled_out
from penstock.study.declarations import EvaluatorDeclaration
from penstock.study.fingerprints import code_fingerprint, filled_cells
from penstock.study.identity import stable_json_dumps
from penstock.study.model_options import OF_THE_CALL

__all__ = [
    "PROBLEM_EVALUATOR",
    "Rule",
    "RuledEvaluator",
    "declaration_of",
    "rule_of",
    "rule_of_problem",
]

PROBLEM_EVALUATOR = "problem_evaluator"
"""The name of the evaluator that comes with a problem."""


class Rule(NamedTuple):
    """What an evaluator's scores are made by.

    Args:
        evaluator_id: The evaluator's name.
        declaration: What the study declares of it and its scores depend on, as canonical JSON.
        version: The version of the rule, of those that penstock brings; 0 where code is the rule.
        source: The fingerprint of its code, or of the file that its scores stand in; else empty.
        is_free: Whether scoring costs nothing; None where only its record can tell.
    """

    evaluator_id: str
    declaration: str
    version: int = 0
    source: str = ""
    is_free: bool | None = True


@dataclass(frozen=True, slots=True)
class RuledEvaluator:
    """An evaluator that is ready to score, and what its scores are made by.

    Args:
        rule: What its scores are made by.
        evaluate: Scores.
        is_quick: Whether it ends by itself within seconds, as what penstock brings does.
    """

    rule: Rule
    evaluate: BoundEvaluator
    is_quick: bool = False

    async def __call__(self, ctx: RunContext, outputs: Mapping[str, Any]) -> Sequence[Evaluation]:
        """Score the outputs of a run."""
        return await self.evaluate(ctx, outputs)


def rule_of(
    name: str,
    declared: EvaluatorDeclaration,
    function: Any,
    base_dir: Path | None,
    models: Mapping[str, Model] = EMPTY,
) -> Rule:
    """Return what the scores of a declared evaluator are made by.

    Args:
        name: The evaluator's name.
        declared: What the study declares.
        function: Its code, where it is code; the path of its file, where it is labels.
        base_dir: The study's folder.
        models: The models that the study declares by name.
    """
    is_free: bool | None = declared.free
    source = ""
    if declared.call is not None:
        source = code_fingerprint(function, base_dir)
        is_free = _is_free(function) if is_free is None else is_free
    elif declared.judge is not None:
        is_free = bool(is_free)
    else:
        is_free = True if is_free is None else is_free
        if declared.labels is not None:
            source = sha256(Path(function).read_bytes()).hexdigest()[:16]

    return Rule(name, declaration_of(declared, models), rule_version(declared), source, is_free)


def declaration_of(declared: EvaluatorDeclaration, models: Mapping[str, Model] = EMPTY) -> str:
    """Write what scores depend on of what is declared, as canonical JSON."""
    if declared.judge is not None:
        judge = spelled_out(declared.judge, models)
        said = {"judge": {name: judge[name] for name in judge if name not in OF_THE_CALL}}
    else:
        said = declared.model_dump(mode="json")
        said.pop("free", None)

    return stable_json_dumps(said)


def rule_of_problem(function: Callable[..., Any], base_dir: Path | None) -> Rule:
    """Return what the scores of the evaluator that comes with a problem are made by."""
    source = code_fingerprint(function, base_dir)
    return Rule(PROBLEM_EVALUATOR, "{}", 0, source, _is_free(function))


def _is_free(function: Any) -> bool | None:
    """Return what is known of a function's cost before it is called: nothing of a plain one."""
    return False if is_async(function) or _holds_model(function) else None


def _holds_model(function: Any) -> bool:
    """Return whether a function has a model at hand: in itself, its closure or its arguments."""
    held = [*getattr(function, "args", ()), *getattr(function, "keywords", {}).values()]
    held += filled_cells(function).values()
    held += list(getattr(function, "__dict__", {}).values())
    held.append(getattr(function, "__self__", None))
    return any(callable(getattr(each, "complete", None)) for each in held)
