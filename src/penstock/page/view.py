"""The view: everything that the page shows, as one frozen value; the template computes nothing."""

from __future__ import annotations

from typing import Any

from penstock._base.fact import EMPTY, Fact
from penstock.analysis.missingness import Flow

__all__ = [
    "ASKED",
    "ATTEMPTS",
    "LINE",
    "NOTE",
    "REPLIES",
    "SAID",
    "TITLE",
    "BoundsRow",
    "ConditionRow",
    "DesignRow",
    "Details",
    "Matrix",
    "ReportView",
    "RunTable",
    "Signal",
    "TimePoint",
    "Verdict",
]


class Verdict(Fact):
    """A hypothesis, or an effect that nobody declared, and what came of it.

    Args:
        name: Its id, or the name of the comparison.
        claim: What was claimed; empty where nobody declared it.
        word: The verdict.
        sentence: What was found, in words.
        how: The method, the adjustment, and the numbers of problems and runs.
        rows: The SQL that gives those runs.
        estimate: The difference; None where there is none.
        low: The lower end of its 95 % interval.
        high: The upper end.
        delta: The smallest effect of interest; None where none is declared.
        measure: What its numbers are differences in; verdicts of one measure share an axis.
        is_share: Whether they are shares, shown in percentage points.
    """

    name: str
    claim: str = ""
    word: str
    sentence: str
    how: str
    rows: str = ""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    delta: float | None = None
    measure: str = ""
    is_share: bool = False


class Signal(Fact):
    """One of four words about how far the numbers can be trusted.

    Args:
        word: What it is about.
        value: How it stands, in a word or two.
        reason: Why, in a sentence.
        warns: Whether a reader should look.
    """

    word: str
    value: str
    reason: str
    warns: bool = False


class ConditionRow(Fact):
    """A condition in the forest of estimates; money and time are None where they are not known."""

    name: str
    mean: float | None
    low: float | None
    high: float | None
    n: int
    cost_usd: float | None
    latency_s: float | None
    note: str = ""


class BoundsRow(Fact):
    """A difference with failed runs left out, as the worst, and as the best outcome."""

    name: str
    complete: float | None
    worst: float
    best: float


class Matrix(Fact):
    """Conditions by problems, the hardest problem first.

    Args:
        problems: The problems' ids, hard to easy.
        conditions: The conditions' names.
        values: A row for each condition: the mean of each problem; None where none was scored.
        failed: A row for each condition: how many runs of each problem failed.
        is_share: Whether values are shares of right answers, which problems can be compared by.
    """

    problems: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    values: tuple[tuple[float | None, ...], ...] = ()
    failed: tuple[tuple[int, ...], ...] = ()
    is_share: bool = False


class TimePoint(Fact):
    """The mean outcome of a stretch of runs, in the order in which they were started."""

    agent: str
    order: float
    mean: float
    low: float
    high: float


class DesignRow(Fact):
    """A line about how the study was designed and run."""

    name: str
    value: str


TITLE = 0
"""A kind of item: a heading, with its text."""

LINE = 1
"""A line: its text, and the place of what explains it where there is that."""

NOTE = 2
"""A line beside: its text."""

SAID = 3
"""What was said: by whom, and the places of the texts."""

ASKED = ("Conversation", "Prompt")
"""The headings of what was asked: of kept calls, and of what the study says again."""

REPLIES = ("answers", "failed")
"""By whom a call's answer is said, and its error."""

ATTEMPTS = 4
"""For each attempt its number, its line, and its parts: which, from where and how wide in %."""


class Details(Fact):
    """How runs went, of as many as the page carries.

    Args:
        runs: Run -> its items, in order, as `penstock.page.run_details` writes them.
    """

    runs: dict[str, Any] = EMPTY


class RunTable(Fact):
    """Every run, as columns; texts stand once and are named by their place.

    Args:
        columns: Column -> a value for each run.
        texts: The answers and errors, each once.
        briefs: Problem -> what it asks.
        left_out: How many texts did not fit; `penstock` shows them.
        details: How runs went: attempts, conversations, scores.
    """

    columns: dict[str, tuple[Any, ...]] = EMPTY
    texts: tuple[str, ...] = ()
    briefs: tuple[str, ...] = ()
    left_out: int = 0
    details: Details = Details()

    def __len__(self) -> int:
        return len(self.columns.get("id", ()))


class ReportView(Fact):
    """What the page shows of a study.

    Args:
        study_id: Its id.
        title: Its title.
        description: What it says about itself.
        facts: One line: runs, conditions, problems, replicates, cost, date.
        outcome: The name of the primary outcome.
        unit: Its unit: ``points`` for shares, which are shown in percent.
        is_share: Whether it is a share of right answers.
        is_blind: Whether what conditions came to is withheld while runs are left.
        blind_note: Why, where it is.
        unblinded: Who looked while runs were left, each in a sentence.
        is_exploratory: Whether the verdicts are effects that nobody declared.
        lacks_analysis: Whether the extra that makes intervals and verdicts is not installed.
        verdicts: A verdict for each hypothesis, or an effect for each factor.
        signals: Reproducible, complete, provenance, comparable.
        conditions: An estimate for each condition.
        problems: The problems' ids, in the order of the plan.
        rows: The SQL that gives every scored run.
        python: The Python that gives the means of problems.
        conditions_finding: The finding of that section as a sentence.
        flow: What became of each condition's runs.
        flow_finding: The same for this section, and so on.
        winners_finding: Which level is best in each setting of the other factors.
        bounds: Whether failed runs could change a finding.
        matrix: Conditions by problems.
        time: The outcome in the order of the runs.
        design: How the study was designed and run.
        methods: A paragraph for a paper.
        runs: Every run.
        version: The version of penstock that made the page.
    """

    study_id: str
    title: str
    description: str = ""
    facts: str
    outcome: str
    is_share: bool = False
    is_blind: bool = False
    blind_note: str = ""
    unblinded: tuple[str, ...] = ()
    is_exploratory: bool = False
    lacks_analysis: bool = False
    verdicts: tuple[Verdict, ...] = ()
    signals: tuple[Signal, ...] = ()
    conditions: tuple[ConditionRow, ...] = ()
    problems: tuple[str, ...] = ()
    rows: str = ""
    python: str = ""
    conditions_finding: str = ""
    flow: tuple[Flow, ...] = ()
    flow_finding: str = ""
    winners_finding: str = ""
    bounds: tuple[BoundsRow, ...] = ()
    matrix: Matrix = Matrix()
    matrix_finding: str = ""
    time: tuple[TimePoint, ...] = ()
    time_finding: str = ""
    design: tuple[DesignRow, ...] = ()
    methods: str = ""
    runs: RunTable = RunTable()
    version: str
