"""The agent of the study: replace its body with your own."""

import anyio


async def solver(ctx):
    """Calculate, with slips; a second look finds most of them.

    ctx.problem is what is asked, ctx.condition holds the levels of the factors, and ctx.rng draws
    the same numbers in every run of the study.
    """
    await anyio.sleep(0.01)  # here an agent would call a model
    expected = ctx.problem.payload["expected"]
    digits = len(expected)
    slips = ctx.rng.random() < 0.15 * digits
    if slips and ctx.condition["check"] == "once":
        slips = ctx.rng.random() < 0.4

    answer = int(expected) + (10 if slips else 0)
    return f"I make it {answer}."
