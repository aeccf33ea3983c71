"""Two models that argue about a claim, in turns; each hears all that was said before it."""

from __future__ import annotations

import penstock as ps

SIDES = {
    "proposer": "You argue for the claim. Answer what was said last, in three sentences.",
    "opponent": "You argue against the claim. Answer what was said last, in three sentences.",
}


async def debate(ctx: ps.RunContext) -> ps.AgentResult:
    """Let both sides speak, as many rounds as the condition says."""
    said: list[str] = []
    for _ in range(ctx.condition["rounds"]):
        for side, task in SIDES.items():
            so_far = "\n\n".join([f"The claim: {ctx.problem.brief}", *said])
            answer = await ctx.model(side).chat(
                [{"role": "system", "content": task}, {"role": "user", "content": so_far}]
            )
            said.append(f"{side}: {answer.text}")
            ctx.observe("statement", answer.text, actor_id=side)

    return ps.AgentResult(outputs={"text": "\n\n".join(said), "statements": len(said)})
