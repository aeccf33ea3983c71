"""Which scores count: those of the evaluators declared now, at the problems declared now.

A scoring is one evaluator, as it was declared, at the answers to one problem, as it was declared.
Scores belong to a scoring and are never deleted: where another counts, those of before stay and
are not shown; where a declaration comes back, so do its scores. An answer that lacks scores that
count is scored again: by itself where that costs nothing, else where it is told to.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any, NamedTuple

from penstock._base.json import encode
from penstock.evaluators.rules import Rule
from penstock.planning.plan import Plan
from penstock.results import RunStatus
from penstock.running.binding import Bindings
from penstock.store.continuing.declaration_rows import question_of
from penstock.store.ended_runs import count_by_status
from penstock.store.scores.score_accounts import judging_cost_usd, mean_costs

__all__ = ["HeldBack", "Scoring", "Scorings", "declare_scorings", "find_scorings"]

_LONG_S = 1.0
"""Who takes longer in the mean is not asked again without being told to."""


class HeldBack(NamedTuple):
    """Kept answers that an evaluator does not score without being told to, for it may cost."""

    evaluator: str
    answers: int
    cost_usd: float | None
    """What an answer would cost: by what its scores have cost, or else by its prompts; None where
    nobody knows."""


@dataclass(slots=True)
class Scoring:
    """One rule at the answers to one problem; it has an id once it is written."""

    problem_id: str
    question: str
    rule: Rule
    place: int
    id: int | None = None
    is_pending: bool = False
    is_ordered: bool = False


@dataclass(slots=True)
class Scorings:
    """The scorings that count now, and what kept answers lack of them.

    Attributes:
        lacking: Position -> the evaluators whose scores its answer lacks.
        again: Evaluator -> how many kept answers it scores in this session.
        held: What kept answers lack that may cost.
        touched: Position -> the attempt's number, where the answer is scored again.
        shown_otherwise: The problems at which other scores count than in the session before, or
            the same in another order.
        is_redone: Whether all kept answers are scored again by what is declared already.
    """

    current: Sequence[Scoring] = ()
    lacking: dict[int, frozenset[str]] = field(default_factory=dict)
    again: Mapping[str, int] = field(default_factory=dict)
    held: tuple[HeldBack, ...] = ()
    touched: dict[int, int] = field(default_factory=dict)
    is_redone: bool = False
    shown_otherwise: frozenset[str] = frozenset()

    def ids(self) -> dict[str, dict[str, int]]:
        """Return the scoring of each evaluator at each problem."""
        ids: dict[str, dict[str, int]] = {}
        for each in self.current:
            if each.id is not None:
                ids.setdefault(each.problem_id, {})[each.rule.evaluator_id] = each.id

        return ids

    def told(self) -> Iterator[str]:
        """Yield which kept answers are scored again."""
        if self.again:
            by = ", ".join(f"{count:,} by {name!r}" for name, count in self.again.items())
            yield f"kept answers are scored by what is declared now; no agent is called: {by}"

    def warnings(self) -> Iterator[str]:
        """Yield which kept answers are not scored, and what that would cost."""
        for name, answers, cost_usd in self.held:
            price = f"about ${answers * cost_usd:,.4f}" if cost_usd else "how much is not known"
            yield (
                f"{answers:,} kept answers are not scored by {name!r}, for that may cost ({price})"
                ": the tables leave these scores empty. To make them, run with --rescore (in "
                "Python rescore=True)"
            )


def find_scorings(
    connection: sqlite3.Connection,
    plan: Plan,
    bindings: Bindings,
    *,
    rescore: bool,
    returned: Collection[str] | None = None,
    moved: Mapping[int, int | None] | None = None,
) -> Scorings:
    """Find the scorings that count now, and what kept answers lack; nothing is written.

    Args:
        connection: The store.
        plan: The plan; its prompts tell what an evaluator that has scored no answer would cost.
        bindings: What takes part, with the rules of its evaluators.
        rescore: Whether kept answers are scored also where it may cost; where none lacks
            anything that may, all are scored again.
        returned: Where the plan is another than that of the session before: the problems that
            have answers which that one did not hold; what these lack, nobody has looked at.
        moved: Attempt -> its position in the plan, where it does not stand there yet.
    """
    known = _known(connection)
    keeps_versions = returned is None and _is_done(connection, len(plan))
    current = [
        _found(known, Scoring(problem_id, question_of(problem), rule, place), keeps_versions)
        for problem_id, problem in bindings.problems.items()
        for place, rule in enumerate(bindings.rules(problem_id))
    ]
    before, now = _counted(known), _by_problem((each.problem_id, each.id) for each in current)
    changed = {name for name in {**before, **now} if before.get(name) != now.get(name)}
    found = Scorings(current, shown_otherwise=frozenset(changed))
    pending = {each.problem_id for each in current if rescore or each.is_pending}
    to_look_at = now.keys() & {*changed, *pending, *(returned or ())}
    if to_look_at:
        _look_at_answers(connection, found, to_look_at, moved or {})

    may_cost = _costs(connection, current) if rescore or found.lacking else {}
    lacking = Counter(name for names in found.lacking.values() for name in names)
    if rescore and not any(may_cost[name] for name in lacking):
        found.is_redone = True
        found.shown_otherwise = frozenset({**before, **now})
        found.current = [replace(each, id=None, is_ordered=True) for each in current]
        return found

    ordered = {each.rule.evaluator_id for each in current if each.is_ordered}
    ordered |= lacking.keys() if rescore else set()
    for each in current:
        each.is_ordered = each.rule.evaluator_id in ordered

    held = [name for name in lacking if may_cost[name] and name not in ordered]
    paid = mean_costs(connection) if held else {}
    prices = {name: paid.get(name, (0.0, 0.0))[0] or judging_cost_usd(plan, name) for name in held}
    found.held = tuple(HeldBack(name, lacking[name], prices[name]) for name in held)
    found.touched = {
        position: number
        for position, number in found.touched.items()
        if not found.lacking[position] <= {*held}
    }
    found.again = {name: count for name, count in lacking.items() if name not in held}
    return found


def declare_scorings(connection: sqlite3.Connection, scorings: Scorings) -> None:
    """Write which scorings count now; the others stay, and are not shown.

    Args:
        connection: The store, inside a transaction.
        scorings: What `find_scorings` gave; those that are new get their ids.
    """
    connection.execute("UPDATE scoring SET place = NULL WHERE id <> 0 AND place IS NOT NULL")
    pending = set[str]().union(*scorings.lacking.values())
    evaluators: dict[Rule, int] = {}
    for each in scorings.current:
        is_pending = scorings.is_redone or each.rule.evaluator_id in pending
        states = (each.place, is_pending, is_pending and each.is_ordered)
        if each.id is not None:
            connection.execute(
                "UPDATE scoring SET place = ?, is_pending = ?, is_ordered = ? WHERE id = ?",
                (*states, each.id),
            )
            continue

        if each.rule not in evaluators:
            evaluators[each.rule] = _evaluator_row(connection, each.rule)

        cursor = connection.execute(
            "INSERT INTO scoring (place, is_pending, is_ordered, problem_id, question, evaluator) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (*states, each.problem_id, each.question, evaluators[each.rule]),
        )
        each.id = cursor.lastrowid


def _evaluator_row(connection: sqlite3.Connection, rule: Rule) -> int:
    told = (rule.evaluator_id, rule.declaration, rule.version, rule.source)
    found = connection.execute(
        "SELECT id FROM evaluator WHERE evaluator_id = ? AND declaration = ? AND version = ? "
        "AND source = ?",
        told,
    ).fetchone()
    if found is not None:
        return int(found[0])

    cursor = connection.execute(
        "INSERT INTO evaluator (evaluator_id, declaration, version, source) VALUES (?, ?, ?, ?)",
        told,
    )
    return int(cursor.lastrowid or 0)


_Known = dict[tuple[Any, ...], list[dict[str, Any]]]
_COLUMNS = ("id", "place", "problem_id", "is_pending", "is_ordered", "version")
_PLACE = itemgetter("place")
_ALIKE = ("problem_id", "question", "evaluator_id", "declaration", "source")


def _known(connection: sqlite3.Connection) -> _Known:
    """Read the scorings that there are; those that differ in the rule's version are together."""
    query = (
        "SELECT s.id, s.place, s.problem_id, s.is_pending, s.is_ordered, r.version, "
        "s.problem_id, s.question, r.evaluator_id, r.declaration, r.source "
        "FROM scoring s JOIN evaluator r ON r.id = s.evaluator ORDER BY s.id"
    )
    known: _Known = {}
    for row in connection.execute(query):
        cells = tuple(row)
        told = dict(zip(_COLUMNS, cells, strict=False))
        known.setdefault(cells[-len(_ALIKE) :], []).append(told)

    return known


def _found(known: _Known, wanted: Scoring, keeps_versions: bool) -> Scoring:  # noqa: FBT001
    """Find a scoring among those that there are; the last of several is the one that counts."""
    rule = wanted.rule
    key = (wanted.problem_id, wanted.question, rule.evaluator_id, rule.declaration, rule.source)
    alike = known.get(key, [])
    same = [row for row in alike if row["version"] == rule.version]
    if keeps_versions and not same:  # a study that is done keeps its scores after an upgrade
        same = [row for row in alike if row["place"] is not None]

    if not same:
        return wanted

    row = same[-1]
    states = (bool(row["is_pending"]), bool(row["is_ordered"]))
    return Scoring(wanted.problem_id, wanted.question, rule, wanted.place, row["id"], *states)


def _is_done(connection: sqlite3.Connection, planned: int) -> bool:
    counts = count_by_status(connection)
    return counts.get(RunStatus.SUCCESS, 0) + counts.get(RunStatus.SKIPPED, 0) == planned


def _counted(known: _Known) -> dict[str, list[int | None]]:
    """Return for each problem the scorings that counted in the session before, in their order."""
    rows = [row for alike in known.values() for row in alike if row["place"] is not None]
    return _by_problem((row["problem_id"], row["id"]) for row in sorted(rows, key=_PLACE))


def _by_problem(scorings: Iterable[tuple[str, int | None]]) -> dict[str, list[int | None]]:
    found: dict[str, list[int | None]] = {}
    for problem_id, scoring_id in scorings:
        found.setdefault(problem_id, []).append(scoring_id)

    return found


# One pass front to back: most answers are to most problems, or it is known that there are none.
_ANSWERS = """
SELECT id, position, number, problem_id,
       (SELECT group_concat(scoring_id) FROM scored WHERE attempt_id = attempt.id)
FROM attempt NOT INDEXED
WHERE final AND status = ? AND problem_id IN (SELECT value FROM json_each(?))
"""


def _look_at_answers(
    connection: sqlite3.Connection,
    scorings: Scorings,
    problems: Collection[str],
    moved: Mapping[int, int | None],
) -> None:
    """Find what each kept answer of the plan to one of some problems lacks."""
    wanted: dict[str, list[Scoring]] = {name: [] for name in problems}
    for each in scorings.current:
        if each.problem_id in wanted:
            wanted[each.problem_id].append(each)

    lacked: dict[tuple[str, str | None], frozenset[str]] = {}  # most answers have the same scores
    values = (RunStatus.SUCCESS, encode([*wanted]))
    for attempt_id, stored, number, problem_id, scored in connection.execute(_ANSWERS, values):
        position = moved.get(attempt_id, stored)
        if position is None:
            continue

        names = lacked.get((problem_id, scored))
        if names is None:
            has = {int(each) for each in scored.split(",")} if scored else set()
            names = lacked[problem_id, scored] = frozenset(
                each.rule.evaluator_id for each in wanted[problem_id] if each.id not in has
            )

        if names:
            scorings.lacking[position] = names
            scorings.touched[position] = number


def _costs(connection: sqlite3.Connection, current: Sequence[Scoring]) -> dict[str, bool]:
    """Return for each evaluator whether scoring may cost: as it says, or by its record."""
    dear = {
        name
        for name, (cost_usd, latency_s) in mean_costs(connection).items()
        if cost_usd or latency_s > _LONG_S
    }
    return {
        each.rule.evaluator_id: (
            each.rule.evaluator_id in dear if each.rule.is_free is None else not each.rule.is_free
        )
        for each in current
    }
