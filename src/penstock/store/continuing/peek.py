"""What a session would find in a directory, without beginning one: for whoever only wants to know.

It asks what a session asks, in the same order, so that it refuses what a session refuses.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from penstock.errors import StoreError
from penstock.planning.plan import Plan
from penstock.running.binding import Bindings
from penstock.store import STORE_FILE
from penstock.store.continuing.beginning import declared_problems
from penstock.store.continuing.changes import edited_agents, refuse_changes, refuse_older_copy
from penstock.store.continuing.redeclared import changes_told, declared_otherwise
from penstock.store.continuing.replaced_images import replaced_images
from penstock.store.continuing.restored import Restored, would_restore
from penstock.store.files.opening import refuse_lost_store
from penstock.store.files.ownership import refuse_foreign
from penstock.store.reader import StoreReader, is_begun

__all__ = ["peek"]


def peek(
    directory: Path,
    plan: Plan,
    bindings: Bindings | None = None,
    *,
    rescore: bool = False,
    retry_failed: bool = False,
) -> Restored:
    """Find what of a plan is done in a directory; nothing is written, and nobody is held up.

    Args:
        directory: Where results are, or would go; it need not exist.
        plan: The plan of the session that may come.
        bindings: What takes part in it, with what its scores are made by.
        rescore: Whether answers that were scored are to be scored again.
        retry_failed: Whether what was refused for good is asked again.

    Raises:
        StoreError: a session would be refused here; the error is the same. It is not raised where
            another process uses the directory, which will end.
    """
    bindings = declared_problems(plan.study) if bindings is None else bindings
    path = directory / STORE_FILE
    refuse_foreign(directory, plan.study.study_id)
    if not is_begun(directory):
        refuse_lost_store(path)
        return Restored.nothing(len(plan))

    try:
        with StoreReader(directory) as store, store.snapshot():
            refuse_older_copy(store.connection, path)
            refuse_changes(store.connection, directory, plan, bindings, rescore=rescore)
            again = {"rescore": rescore, "retry_failed": retry_failed}
            left = would_restore(store.connection, directory, plan, bindings, **again)
            edited = (
                *edited_agents(store.connection, bindings),
                *replaced_images(store.connection, plan, bindings),
            )
            otherwise = changes_told(declared_otherwise(store.connection, plan, bindings))
            notes = (*left.notes, *otherwise)
            return left._replace(notes=notes, warnings=(*edited, *left.warnings))
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
