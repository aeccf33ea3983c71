"""The agent of the study: replace its body with your own."""

import anyio


async def solver(ctx):
    """Answer at once, or answer, verify and answer again.

    Problems differ in how hard they are; that is the same under both methods.
    """
    await anyio.sleep(0.01)  # here an agent would call a model
    hardness = int(ctx.problem.problem_id[1:]) * 11 % 31 / 40
    slips = ctx.rng.random() < hardness
    if slips and ctx.condition["method"] == "verified":
        slips = ctx.rng.random() < 0.6

    return f"The answer is {int(ctx.problem.payload['expected']) + (1 if slips else 0)}."
