"""Built-in evaluators: each a rule with a version, made ready once for each problem.

A rule turns the options of a declaration and a problem into a check of answers. Whether what a
problem expects can be compared with is known before anything runs (`expected_errors`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from penstock._base.fact import unchecked
from penstock._base.threads import WorkerThreads
from penstock.agents.context import RunContext
from penstock.errors import BindingError
from penstock.evaluators.choices import CHOICE_VERSION, choice_check
from penstock.evaluators.expected import ExpectedError, accepted, single_value, texts_of
from penstock.evaluators.json_fields import JSON_VERSION, json_check
from penstock.evaluators.judge_replies import VERDICT_VERSION
from penstock.evaluators.labels import LABELS_VERSION
from penstock.evaluators.markup import without_thoughts
from penstock.evaluators.numeric import NUMBER_VERSION, number_check
from penstock.evaluators.patterns import REGEX_VERSION, PatternCheck, has_empty_match, regex_check
from penstock.evaluators.port import BoundEvaluator, answer_of
from penstock.evaluators.texts import (
    CONTAINS_VERSION,
    EXACT_VERSION,
    contains_check,
    exact_check,
)
from penstock.results import Evaluation
from penstock.study.declarations import EvaluatorDeclaration
from penstock.study.problem import Problem

__all__ = ["bind_built_in", "expected_errors", "pattern_doubts", "rule_version"]

Outputs: TypeAlias = Mapping[str, Any]
Check: TypeAlias = Callable[[Any], bool] | PatternCheck


def _whole_answer(outputs: Outputs) -> Any:
    return single_value(answer_of(outputs))


def _answer(outputs: Outputs) -> Any:
    value = _whole_answer(outputs)
    return without_thoughts(value) if isinstance(value, str) else value


class _Rule(NamedTuple):
    """One kind of built-in evaluator.

    Args:
        version: Raised when an answer would be scored otherwise than before.
        check: Makes the check of answers to a problem, from the options of the declaration.
        reads: Finds in the outputs of a run what the check is given.
    """

    version: int
    check: Callable[[Any, Problem], Check]
    reads: Callable[[Outputs], Any] = _answer


_RULES = {
    "exact": _Rule(EXACT_VERSION, exact_check),
    "contains": _Rule(CONTAINS_VERSION, contains_check),
    "regex": _Rule(REGEX_VERSION, regex_check, reads=_whole_answer),
    "number": _Rule(NUMBER_VERSION, number_check),
    "choice": _Rule(CHOICE_VERSION, choice_check),
    "json": _Rule(JSON_VERSION, json_check, reads=lambda outputs: outputs),
}

_row = unchecked(Evaluation)


def bind_built_in(
    name: str, declared: EvaluatorDeclaration, threads: WorkerThreads
) -> BoundEvaluator:
    """Make a built-in evaluator: its metric has its name and is 1.0 for a right answer, else 0.0.

    Args:
        name: The evaluator's name.
        declared: Which one it is, with its options.
        threads: Where patterns are finished that take long.
    """
    rule, options = _RULES[declared.kind], declared.options
    checks: dict[str, Check] = {}

    def check_of(problem: Problem) -> Check:
        check = checks.get(problem.problem_id)
        if check is None:
            try:
                check = checks[problem.problem_id] = rule.check(options, problem)
            except ExpectedError as error:
                raise BindingError(f"evaluator {name!r}: {error.sentence(problem)}") from None

        return check

    async def evaluate(ctx: RunContext, outputs: Outputs) -> Sequence[Evaluation]:
        check, given = check_of(ctx.problem), rule.reads(outputs)
        if isinstance(check, PatternCheck):
            is_right = await _matches(check, given, threads)
        else:
            is_right = check(given)

        return (
            _row(
                run_id=ctx.spec.run_id,
                evaluator_id=name,
                metric_name=name,
                metric_value=float(is_right),
            ),
        )

    return evaluate


async def _matches(check: PatternCheck, given: Any, threads: WorkerThreads) -> bool:
    """Try a pattern in the event loop; where it takes long, go on in a worker thread."""
    try:
        return check.quick(given)
    except TimeoutError:
        matches: bool = await threads.call(partial(check.patient, given))
        return matches


_MOST_NAMED = 3


def expected_errors(
    name: str, declared: EvaluatorDeclaration, problems: Iterable[Problem]
) -> list[str]:
    """List why an evaluator could not score answers to some problems, one sentence for each reason.

    An expected answer must be there, have the evaluator's form, be right when it is the answer,
    and not be right when the answer is empty. Evaluators that need none have no errors.

    Args:
        name: The evaluator's name, for the sentences.
        declared: The evaluator.
        problems: The problems that take part.
    """
    rule = _RULES.get(declared.kind)
    if rule is None:
        return []

    sentences: dict[str, str] = {}
    likewise: dict[str, list[str]] = {}
    for problem in problems:
        try:
            _verify(declared, rule, problem)
        except ExpectedError as error:
            if error.reason in sentences:
                likewise[error.reason].append(problem.problem_id)
            else:
                sentences[error.reason] = f"evaluator {name!r}: {error.sentence(problem)}"
                likewise[error.reason] = []

    return [said + _likewise(likewise[reason]) for reason, said in sentences.items()]


def _likewise(ids: Sequence[str]) -> str:
    if not ids:
        return ""

    more = ", ..." if len(ids) > _MOST_NAMED else ""
    others = ", ".join(map(repr, ids[:_MOST_NAMED]))
    return f" (and so in {len(ids):,} more problem{'s' if len(ids) > 1 else ''}: {others}{more})"


def _verify(declared: EvaluatorDeclaration, rule: _Rule, problem: Problem) -> None:
    """Check that a problem's expected answers can be compared with, by scoring them and nothing.

    Raises:
        ExpectedError: they cannot.
    """
    check = rule.check(declared.options, problem)
    if isinstance(check, PatternCheck):
        return  # what a pattern matches is its author's to say

    expected = problem.payload["expected"]
    if declared.kind == "json":
        is_fields = isinstance(expected, Mapping)
        answers: list[Any] = [expected if is_fields else {"text": texts_of(expected)[0]}]
        nothing: Any = {"text": ""}
    else:
        answers = [value for value in accepted(problem) if isinstance(value, str)]
        nothing = ""

    if not all(check(answer) for answer in answers):
        raise ExpectedError("is not right when it is the answer", expected)

    if check(nothing):
        raise ExpectedError("makes an empty answer right", expected)


def pattern_doubts(name: str, declared: EvaluatorDeclaration) -> Iterator[str]:
    """Warn of a pattern that matches an empty answer, which makes every answer right."""
    pattern = declared.regex and declared.regex.pattern
    with suppress(TimeoutError):
        if pattern and has_empty_match(pattern):
            yield (
                f"evaluator {name!r}: the pattern {pattern!r} matches an empty answer, which is "
                "then right; say more of what an answer must hold"
            )


def rule_version(declared: EvaluatorDeclaration) -> int:
    """Return the version of the rule by which an evaluator scores; 0 where its code is the rule.

    It is raised with a release after which an answer may be scored otherwise.
    """
    if declared.kind in _RULES:
        return _RULES[declared.kind].version

    return {"judge": VERDICT_VERSION, "labels": LABELS_VERSION}.get(declared.kind, 0)
