"""Small stores, run for real, that the page is made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import penstock as ps
from penstock.study.hypotheses import Contrast
from tests.builders import stopping_after

HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "<svg onload=\"document.title='owned'\"></svg>",
    "<iframe src='javascript:parent.document.title=1'></iframe>",
    "<style>body{display:none}</style>",
    "{{ 7 * 7 }} {% raw %} ${7*7} \\u003cscript>",
    "<!--",
    "]]>",
    "\u2028\u2029 \u202etxt.exe \x1b[31mred\x00",
    '=HYPERLINK("http://example.invalid")',
)


def run_study(folder: Path, **fields: Any) -> Path:
    """Run a study of two conditions, eight problems and three replicates; return its results."""
    correct = ps.Outcome(
        name="correct", source_table="runs", column="correct", aggregation="mean", primary=True
    )
    stated: dict[str, Any] = {
        "study_id": "paged",
        "title": "Does a polite prompt help?",
        "factors": (ps.Factor(name="tone", levels=("plain", "polite")),),
        "problems": tuple(ps.Problem(problem_id=f"p{at}", brief=f"Add {at}") for at in range(8)),
        "agent_specs": ("a",),
        "outcomes": (correct,),
        "hypotheses": (
            ps.Hypothesis(
                hypothesis_id="h1",
                label="polite against plain",
                statement="polite is better",
                independent_vars=("tone",),
                dependent_vars=("correct",),
                contrast=Contrast(label="polite - plain", left="polite", right="plain"),
                direction="greater",
                minimum_effect_of_interest=0.05,
            ),
        ),
        "replicates": 3,
        "output_dir": folder / "results",
    }
    agent, report = fields.pop("agent", answer), fields.pop("report", None)
    study = ps.Study(**stated | fields)
    ps.run_study(study, agent_bindings={"a": agent}, show_progress=False, report=report)
    return folder / "results"


def run_part(folder: Path, runs: int = 30, **fields: Any) -> Path:
    """Run so many of the 48 runs of that study, so that it is blind; return its results."""
    agent = stopping_after(runs, fields.pop("agent", answer))
    return run_study(folder, agent=agent, **fields)


async def answer(ctx: Any) -> str:
    """Be right more often where it is asked politely; fail once."""
    at = int(ctx.problem.problem_id[1:])
    polite = ctx.condition["tone"] == "polite"
    if at == 3 and not polite and ctx.spec.replicate == 2:
        raise RuntimeError("the line broke")

    ctx.record(correct=float(at + 4 * polite + ctx.spec.replicate > 6), cost_usd=0.01)
    return f"The answer to {ctx.problem.brief} is {HOSTILE[at]}"


def run_asking_study(folder: Path, **fields: Any) -> Path:
    """Run a study whose agent asks a model twice, fails once, and is scored by a judge."""

    async def asks(ctx: Any) -> str:
        if ctx.attempt == 1 and ctx.spec.replicate == 2:
            raise TimeoutError("the line broke")

        asked = [
            {"role": "system", "content": "You add."},
            {"role": "user", "content": ctx.problem.brief},
        ]
        first = await ctx.model("m").chat(asked)
        ctx.observe("looked", "at the calculator")
        asked += [
            {"role": "assistant", "content": first.text},
            {"role": "user", "content": "Are you sure?"},
        ]
        second = await ctx.model("m").chat(asked)
        return str(second.text)

    simulated = {"provider": "simulated", "max_tokens": 50}
    judge = {
        **simulated,
        "model": "judge",
        "prompt": "Is it clear? {{ answer }}",
        "simulator": {"answers": ("It is clear. Score: 8",), "latency_s": 0.0},
    }
    model = {
        **simulated,
        "model": "big",
        "simulator": {"answers": HOSTILE[:3], "latency_s": 0.0},
    }
    stated: dict[str, Any] = {
        "study_id": "asked",
        "title": "t",
        "models": {"m": model},
        "problems": tuple(ps.Problem(problem_id=f"p{at}", brief=f"Add {at}") for at in range(2)),
        "agent_specs": ("a",),
        "evaluators": {"clear": {"judge": judge}},
        "replicates": 2,
        "execution": {"retry": {"attempts": 2, "wait_s": 0.0}},
        "output_dir": folder / "results",
    }
    ps.run_study(ps.Study(**stated | fields), agent_bindings={"a": asks}, show_progress=False)
    return folder / "results"
