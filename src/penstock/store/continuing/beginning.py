"""Beginning a session: what is declared now is written, and what earlier sessions left is found."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from penstock._base.text import without_surrogates
from penstock.planning.fingerprint import fingerprint_of
from penstock.planning.plan import Plan
from penstock.results import timestamp
from penstock.running.binding import Bindings
from penstock.store import rows
from penstock.store.actions import Action, notes_of_actions
from penstock.store.continuing.changes import accept_payloads, edited_agents, refuse_changes
from penstock.store.continuing.declaration_rows import condition_row, definition_of
from penstock.store.continuing.moved_runs import adopt
from penstock.store.continuing.origins import declare_origins
from penstock.store.continuing.redeclared import changes_told, declared_otherwise, keep_redeclared
from penstock.store.continuing.refused import find_refused
from penstock.store.continuing.replaced_images import replaced_images
from penstock.store.continuing.restored import Restored, restored
from penstock.store.group import SessionKeys
from penstock.store.scores.legacy_scores import adopt_scores
from penstock.store.scores.primary_outcomes import follow_outcomes, remake_outcomes
from penstock.store.scores.scorings import declare_scorings, find_scorings
from penstock.study.model import Study
from penstock.study.settings import Settings

__all__ = ["begin_session", "declared_problems"]


def begin_session(
    connection: sqlite3.Connection,
    directory: Path,
    session_id: int,
    *,
    plan: Plan,
    bindings: Bindings,
    rescore: bool,
    retry_failed: bool = False,
) -> tuple[SessionKeys, Restored]:
    """Write what is declared now, and find what earlier sessions left.

    Args:
        connection: The store, inside a transaction.
        directory: Where it is.
        session_id: The session, which is noted already.
        plan: Its plan.
        bindings: What takes part in it.
        rescore: See `penstock.store.scores.scorings.find_scorings`.
        retry_failed: Whether what was refused for good is asked again.

    Raises:
        ForeignDirectoryError: the directory holds another study, or this one with other seeds,
            agents or problems.
    """
    known = connection.execute("SELECT fingerprint FROM study").fetchone()
    fingerprint, edited = fingerprint_of(plan), tuple[str, ...]()
    otherwise: tuple[Action, ...] = ()
    if known is None:
        described = (plan.study.study_id, timestamp(), definition_of(plan), fingerprint)
        connection.execute("INSERT INTO study VALUES (?, ?, ?, ?)", described)
    else:
        refuse_changes(connection, directory, plan, bindings, rescore=rescore)
        edited = tuple(edited_agents(connection, bindings))
        otherwise = declared_otherwise(connection, plan, bindings)
        keep_redeclared(connection, otherwise)
        follow_outcomes(connection, plan.study.outcomes)
        adopt_scores(connection, bindings)

    for statement in rows.KEEP_UNSCORED:  # of a session that was killed as they were
        connection.execute(statement)

    _describe(connection, plan, fingerprint)
    origins = declare_origins(connection, plan, bindings)
    if rescore:
        accept_payloads(connection, origins)

    is_moved = known is not None and known[0] != fingerprint
    returned = adopt(connection, directory, plan) if is_moved else None
    found = find_scorings(connection, plan, bindings, rescore=rescore, returned=returned)
    declare_scorings(connection, found)
    if found.shown_otherwise:
        remake_outcomes(connection, plan.study.outcomes, found.shown_otherwise)

    refused = find_refused(connection, plan, bindings, retry_failed=retry_failed)
    edited += tuple(replaced_images(connection, plan, bindings))
    left = restored(connection, len(plan), scorings=found, refused=refused)
    session = SessionKeys(session_id, origins, found.ids())
    told = notes_of_actions(
        connection, session_id, Settings(plan.study.execution, plan.study.budget)
    )
    notes = (*told, *left.notes, *changes_told(otherwise))
    return session, left._replace(notes=notes, warnings=(*edited, *left.warnings))


def declared_problems(study: Study) -> Bindings:
    """Return what takes part where only a study is known: its problems."""
    return Bindings({}, {each.problem_id: each for each in study.problems}, {})


def _describe(connection: sqlite3.Connection, plan: Plan, fingerprint: str) -> None:
    """Write what is declared now: the study and its conditions."""
    connection.execute("DELETE FROM condition")
    conditions = [condition_row(i, condition) for i, condition in enumerate(plan.conditions)]
    connection.executemany(
        "INSERT INTO condition VALUES (?, ?, ?, ?, ?, ?, ?)", without_surrogates(conditions)
    )
    described = (fingerprint, definition_of(plan))
    connection.execute("UPDATE study SET fingerprint = ?, definition = ?", described)
