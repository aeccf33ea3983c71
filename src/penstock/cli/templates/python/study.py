"""A study in Python: `python study.py` runs it, and running it again makes only what is missing."""

import csv
from pathlib import Path

import anyio

import penstock as ps

HERE = Path(__file__).parent


async def solver(ctx):
    """Answer one problem under one condition; here an agent would call a model."""
    await anyio.sleep(0.01)
    slips = ctx.rng.random() < (0.1 if ctx.condition["check"] == "once" else 0.3)
    return f"I make it {int(ctx.problem.payload['expected']) + (10 if slips else 0)}."


def problems():
    """Read what is asked."""
    with (HERE / "problems.csv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            yield ps.Problem(
                problem_id=row["id"], brief=row["question"], payload={"expected": row["answer"]}
            )


study = ps.Study(
    study_id="python",
    title="Does it help to check the answer?",
    factors=[ps.Factor(name="check", levels=["never", "once"])],
    agents={"solver": solver},
    problems=tuple(problems()),
    evaluators={"correct": "number"},
    replicates=10,
    output_dir=HERE / "results",
)


if __name__ == "__main__":
    results = ps.run_study(study, concurrency=16)
    first = next(results.to_rows())
    print(f"{first['problem_id']}, check {first['check']}: {first['answer']} {first['correct']}")
    print(f"{len(results)} runs: {results.output_dir / 'report.html'}")
