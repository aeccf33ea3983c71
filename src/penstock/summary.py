"""What a study has come to: counts of runs, what its calls cost, and what one session did of it.

The numbers are the whole study's; those of the session stand beside them, in ``session``. They are
read from the store by `penstock.store.ledger`, and counted while a session goes on by
`penstock.running.tally`.
"""

from __future__ import annotations

from typing import Any

from penstock._base.fact import Fact

__all__ = [
    "EndpointNow",
    "Failure",
    "SessionSummary",
    "Spent",
    "StudySummary",
    "WorkerNow",
    "cost_in_words",
    "endings_in_words",
]


class Spent(Fact):
    """What calls cost, as far as it is known.

    Args:
        cost_usd: US dollars.
        input_tokens: Tokens of prompts.
        output_tokens: Tokens of answers.
    """

    cost_usd: float = 0.0
    input_tokens: int | float = 0
    output_tokens: int | float = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            cost_usd=self.cost_usd + other.cost_usd,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
        )


def endings_in_words(unknown_endings: float) -> str:
    """Describe how many answers ended in a word that is not known; empty where none did."""
    if not unknown_endings:
        return ""

    return (
        f"{unknown_endings:,} answers ended in a word that is not known, and may not be whole "
        "(`finish_reason` in the view `calls`)"
    )


def cost_in_words(cost_usd: float, uncounted_cost_usd: float, unpriced: int) -> str:
    """Describe what is known of a cost, and how much is not; empty where nothing was recorded.

    An agent that records no cost may well have one: what is not known is not told as zero.

    Args:
        cost_usd: What is known, in US dollars.
        uncounted_cost_usd: What calls that broke off may have cost at most.
        unpriced: Attempts whose cost is not known.
    """
    said = [f"${cost_usd:,.4f}"] if cost_usd else []
    if uncounted_cost_usd:
        said.append(f"up to ${uncounted_cost_usd:,.4f} uncounted")

    if unpriced:
        said.append(f"{unpriced:,} of unknown cost")

    return " + ".join(said)


class _Account(Fact):
    """What attempts cost, their agents and their judges told apart.

    Args:
        attempts: Attempts that are saved, those that failed included.
        agents: What agents cost.
        judges: What judges cost.
        uncounted_cost_usd: What calls that broke off after they were sent may have cost at most,
            in US dollars; nobody counted, and ``cost_usd`` leaves it out.
        uncounted_tokens: The same in tokens.
        unpriced: Attempts whose cost is not known.
        unknown_endings: Answers that ended in a word that is not known, and were kept: nobody can
            say whether they are whole.
    """

    attempts: int = 0
    agents: Spent = Spent()
    judges: Spent = Spent()
    uncounted_cost_usd: float = 0.0
    uncounted_tokens: int | float = 0
    unpriced: int = 0
    unknown_endings: int | float = 0

    @property
    def cost_usd(self) -> float:
        """What agents and judges cost together, in US dollars."""
        return self.agents.cost_usd + self.judges.cost_usd

    @property
    def input_tokens(self) -> int | float:
        """Tokens of the prompts of agents and judges."""
        return self.agents.input_tokens + self.judges.input_tokens

    @property
    def output_tokens(self) -> int | float:
        """Tokens of the answers of agents and judges."""
        return self.agents.output_tokens + self.judges.output_tokens

    @property
    def committed(self) -> tuple[float, int]:
        """What was, or may have been, spent at most: US dollars and tokens, as a budget counts."""
        tokens = self.input_tokens + self.output_tokens + self.uncounted_tokens
        return self.cost_usd + self.uncounted_cost_usd, int(tokens)

    @property
    def cost_in_words(self) -> str:
        """What is known of the cost, and how much is not; nothing where it is nothing."""
        return cost_in_words(self.cost_usd, self.uncounted_cost_usd, self.unpriced)


class SessionSummary(_Account):
    """What one session did.

    Args:
        restored: Runs of the plan whose results it kept from earlier sessions.
        started: Attempts whose agent was called.
        succeeded: Runs that succeeded, and answers that were scored again.
        failed: Runs that failed, after their last attempt.
        skipped: Runs whose agent said that they do not apply.
        cancelled: Attempts that were given up after they may have cost something; their runs are
            made in the next session.
        retried: Attempts that failed and were, or were to be, tried again.
        rescored: Kept answers that were scored.
    """

    restored: int = 0
    started: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    cancelled: int = 0
    retried: int = 0
    rescored: int = 0

    @classmethod
    def counts(cls) -> list[str]:
        """List the fields that are numbers: all but what agents and judges cost."""
        return [name for name in cls.model_fields if name not in ("agents", "judges")]

    @property
    def done(self) -> int:
        """Runs that need no more doing in this session."""
        return self.restored + self.succeeded + self.failed + self.skipped

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values."""
        return {**self.model_dump(mode="json"), **_totals(self), "done": self.done}


class StudySummary(_Account):
    """Where a study stands, over all its sessions.

    Args:
        study_id: Which study.
        planned: Runs in the plan.
        succeeded: Runs of the plan that succeeded, in whichever session.
        failed: Runs of the plan whose last attempt failed.
        skipped: Runs of the plan whose agent said that they do not apply.
        in_flight: Attempts under way.
        lost_calls: Calls that may have been paid for and have no result: what made them was
            killed or cancelled.
        stopped_because: Why the last session ended early, if it did.
        is_out_of_budget: Whether that was the study's budget.
        session: What the last session did, which may be under way.
    """

    study_id: str
    planned: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    in_flight: int = 0
    lost_calls: int = 0
    stopped_because: str | None = None
    is_out_of_budget: bool = False
    session: SessionSummary = SessionSummary()

    @property
    def done(self) -> int:
        """Runs that have a result."""
        return self.succeeded + self.failed + self.skipped

    @property
    def remaining(self) -> int:
        """Runs of the plan that have no result."""
        return self.planned - self.done

    @property
    def undone(self) -> int:
        """Runs that the session has still to make, or to make again where they had failed."""
        return self.planned - self.session.done

    @property
    def ending(self) -> str:
        """How the session has ended: ``complete``, ``failed``, or ``stopped`` and why."""
        if self.stopped_because is not None:
            return f"stopped: {self.stopped_because}"

        return "complete" if self.undone == 0 else "failed"

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values."""
        own = self.model_dump(mode="json", exclude={"session"})
        session = self.session.to_dict()
        return {**own, **_totals(self), "remaining": self.remaining, "session": session}


def _totals(account: _Account) -> dict[str, Any]:
    return {name: getattr(account, name) for name in ("cost_usd", "input_tokens", "output_tokens")}


class EndpointNow(Fact):
    """The gate before an endpoint, as it is now.

    Args:
        name: Where the endpoint is; with the model, where it has limits of its own.
        in_flight: Calls in flight.
        limit: How many may be.
        waiting: Calls that wait for their turn.
        refused: Calls that it has refused in this session, as too many or for being overloaded.
    """

    name: str
    in_flight: int
    limit: int
    waiting: int
    refused: int = 0


class WorkerNow(Fact):
    """A worker that makes runs of a study, as it is now.

    Args:
        worker: Its name; or how many others there are, where there are very many.
        in_flight: Attempts that it makes.
        ended: Attempts that it has made in this session.
        lost: Attempts that were lost with it.
        is_there: Whether it is there; one that was lost does not come back under its name.
    """

    worker: str
    in_flight: int
    ended: int
    lost: int = 0
    is_there: bool = True


class Failure(Fact):
    """Runs that failed for one reason.

    Args:
        runs: How many.
        stage: In which stage: `problem`, `agent`, `evaluator` or `output`.
        error: What went wrong, in one of them.
    """

    runs: int
    stage: str
    error: str
