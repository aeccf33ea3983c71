"""What `check` passes can be run, and what it refuses is refused by `run`, in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

import penstock as ps

EXPECTED = some.sampled_from(
    [
        "yes",
        "42",
        42,
        1.5,
        True,
        "",
        " ",
        None,
        [],
        ["4", "four"],
        [""],
        {"a": 1},
        {},
        "1,5",
        "(",
        "B",
    ]
) | some.text(max_size=5)
EVALUATORS: list[Any] = [
    "exact",
    "contains",
    "regex",
    "number",
    "choice",
    "json",
    {"exact": {"case": "ignore", "punctuation": "ignore"}},
    {"regex": {"pattern": "(yes)?"}},
    {"number": {"decimal": ",", "pattern": r"\\d+"}},
    {"json": {"fields": ["a"]}},
    {"choice": {"count_from": 1}},
    lambda answer: float(bool(answer)),
]
COLUMNS = [
    None,
    ("evaluations", "right"),
    ("evaluations", "wrong"),
    ("runs", "primary_outcome"),
    ("runs", "right"),
    ("events", "text"),
]


class Declared(NamedTuple):
    """What is declared, and who answers."""

    expected: Any
    evaluator: Any
    factor: str = "tone"
    column: tuple[str, str] | None = None
    max_runs: int | None = None
    bound: str = "a"

    def study(self, folder: Path) -> ps.Study:
        """The study of two runs that declares it."""
        payload = {"options": ["yes", "no", "B"], "expected": self.expected}
        outcomes = [
            ps.Outcome(name="o", source_table=table, column=name, aggregation="mean", primary=True)
            for table, name in filter(None, [self.column])
        ]
        return ps.Study(
            study_id="agreed",
            title="t",
            factors=(ps.Factor(name=self.factor, levels=("a", "b")),),
            problems=(ps.Problem(problem_id="p", brief="b", payload=payload),),
            evaluators={"right": self.evaluator},
            outcomes=tuple(outcomes),
            agent_specs=("a",),
            max_runs=self.max_runs,
            output_dir=folder / "results",
        )


async def agent(ctx: ps.RunContext) -> str:
    return str(ctx.problem.payload.get("expected"))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    some.builds(
        Declared,
        expected=EXPECTED,
        evaluator=some.sampled_from(EVALUATORS),
        factor=some.sampled_from(["tone", "status", "right", "study_id", "Right"]),
        column=some.sampled_from(COLUMNS),
        max_runs=some.sampled_from([None, None, 2, 1]),
        bound=some.sampled_from(["a", "a", "a", "b"]),
    )
)
@example(Declared("(", "regex"))
@example(Declared("yes", {"regex": {"pattern": "(yes)?"}}, column=("evaluations", "wrong")))
@example(Declared("1,5", "number", "right", max_runs=1, bound="b"))
def test_check_and_run_refuse_the_same_and_what_they_pass_is_scored(
    tmp_path: Path, declared: Declared
) -> None:
    study, bound = declared.study(tmp_path), {declared.bound: agent}
    report = ps.check(study, agent_bindings=bound)
    options: dict[str, Any] = {"fresh": True, "report": False, "show_progress": False}
    if report.errors:
        for dry_run in (True, False):
            with pytest.raises(ps.ValidationError) as refused:
                ps.run_study(study, agent_bindings=bound, dry_run=dry_run, **options)

            assert tuple(refused.value.errors) == report.errors

        return

    results = ps.run_study(study, agent_bindings=bound, **options)

    assert report.planned == len(results) == 2
    assert [each.error for each in results if each.error is not None] == []
    assert all(each.evaluations for each in results)
