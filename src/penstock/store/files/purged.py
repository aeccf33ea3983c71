"""Purging a store: what was asked and said is taken out for good; counts, costs and scores stay.

What is deleted in SQLite stays in free pages and in the log until it is written over, so a store
that was purged is written anew as a whole.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from penstock._base.json import decode, encode
from penstock.errors import ForeignDirectoryError, StoreError
from penstock.results import OWN_OUTCOME, timestamp
from penstock.store import STORE_FILE
from penstock.store.actions import KEEP_ACTION, this_user
from penstock.store.announced import ANNOUNCE_ACTION
from penstock.store.reader import StoreReader
from penstock.store.schema import SCHEMA_VERSION
from penstock.store.transaction import open_existing, store_failure

__all__ = ["PurgedRows", "Wanted", "purge_store", "refuse_purged"]

_WHAT = "purge"
_KEPT_PROVENANCE = frozenset(
    {
        *OWN_OUTCOME,
        "agent_kind",
        "finish_reason",
        "model_name",
        "model_provider",
        "pattern_name",
        "problem_family",
    }
)
_OF_ALL = "TRUE"
_OF_PROBLEMS = "problem_id IN (SELECT value FROM json_each(:problems))"


class Wanted(NamedTuple):
    """What is to be purged.

    Args:
        texts: All that was asked and said, calls included.
        calls: What was sent to chat models and what they sent back.
        problems: Ids of problems that are purged of their texts, and so are the answers to them.
    """

    texts: bool = False
    calls: bool = False
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        named = (f"problem {each}" for each in self.problems)
        return ", ".join([*(["texts"] * self.texts), *(["calls"] * self.calls), *named])


class PurgedRows(NamedTuple):
    """How much a store was purged of."""

    attempts: int
    problems: int
    calls: int


def purge_store(directory: Path, wanted: Wanted) -> PurgedRows:
    """Remove texts from the store of a directory, and write it anew.

    Args:
        directory: The study's output directory; its caller holds it.
        wanted: What of it.

    Raises:
        StoreError: it cannot be written, an older version of penstock wrote it, or it holds no
            problem of that id.
    """
    path = directory / STORE_FILE
    ran = _looked_at(directory, wanted)
    try:
        with closing(open_existing(path)) as connection:
            connection.create_function("numbers_of", 1, _numbers_of)
            connection.create_function("plain_of", 1, _plain_of)
            connection.create_function("bytes_of", 1, _bytes_of)
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("BEGIN IMMEDIATE")
            found = _purge(connection, wanted)
            done = (timestamp(), this_user(), f"{_WHAT} {wanted}", None, encode(wanted), "", *ran)
            connection.execute(KEEP_ACTION, done)
            connection.execute(ANNOUNCE_ACTION)
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise store_failure(path, error) from error

    return found


def refuse_purged(connection: sqlite3.Connection, directory: Path, ids: Collection[str]) -> None:
    """Refuse to run what a store was purged of: its texts would come back.

    Args:
        connection: The store.
        directory: Where it is.
        ids: The problems of the plan.

    Raises:
        ForeignDirectoryError: it was purged of all texts, or of those of a problem of the plan.
    """
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'action'").fetchone():
        return  # an older layout

    query = "SELECT at, new FROM action WHERE what LIKE ? ORDER BY id"
    for at, new in connection.execute(query, (f"{_WHAT} %",)):
        texts, _, problems = decode(new)
        again = sorted(set(problems).intersection(ids))
        if not (texts or again):
            continue

        of = "its texts" if texts else f"the texts of problem {', '.join(map(repr, again))}"
        instead = "" if texts else "take it out of the study, "
        raise ForeignDirectoryError(
            f"{directory} was purged of {of} on {at[:10]}, and running it would bring them back; "
            f"{instead}run in another directory (--output-dir), or move this one aside (--fresh)"
        )


def _looked_at(directory: Path, wanted: Wanted) -> tuple[int, int]:
    with StoreReader(directory) as store:
        if store.layout != SCHEMA_VERSION:
            raise StoreError(
                f"{directory / STORE_FILE} was written by an older version of penstock, and "
                "can only be deleted as a whole (penstock purge --aside deletes directories that "
                "--fresh moved aside)"
            )

        known = {problem_id for (problem_id,) in store.table("SELECT problem_id FROM problem")}
        known.update(each for (each,) in store.table("SELECT DISTINCT problem_id FROM attempt"))
        if missing := [each for each in wanted.problems if each not in known]:
            raise StoreError(f"{directory} holds no problem {', '.join(map(repr, missing))}")

        return store.count(), store.planned()


def _purge(connection: sqlite3.Connection, wanted: Wanted) -> PurgedRows:
    values = {"problems": encode(wanted.problems)}

    def changed(statements: Sequence[str]) -> list[int]:
        return [connection.execute(statement, values).rowcount for statement in statements]

    attempts = problems = 0
    if wanted.texts or wanted.problems:
        chosen = _OF_ALL if wanted.texts else _OF_PROBLEMS
        calls, *_ = changed([*_calls_of(chosen)])
        *_, attempts, problems = changed([*_texts_of(chosen)])
    else:
        calls, *_ = changed([*_calls_of(_OF_ALL)])

    changed(_ORPHANS)
    return PurgedRows(attempts, problems, calls)


def _texts_of(chosen: str) -> Iterator[str]:
    attempts = f"SELECT id FROM attempt WHERE {chosen}"  # noqa: S608 - our own words
    yield f"UPDATE observation SET text = '', meta_json = '{{}}' WHERE attempt_id IN ({attempts})"  # noqa: S608
    yield f"UPDATE evaluation SET notes_json = '{{}}' WHERE attempt_id IN ({attempts})"  # noqa: S608
    yield f"""
UPDATE attempt SET outputs = '{{"text":""}}', metrics = numbers_of(metrics),
    provenance = plain_of(provenance), trace_refs = '[]',
    traceback = iif(traceback IS NULL, NULL, ''),
    error_message = iif(error_message IS NULL, NULL, '[purged]')
WHERE {chosen}"""  # noqa: S608
    yield f"""
UPDATE problem SET definition = json_object('problem_id', problem_id, 'family',
    coalesce(definition ->> '$.family', 'unknown'), 'metadata', json_object('purged', id))
WHERE {chosen}"""  # noqa: S608


def _calls_of(chosen: str) -> Iterator[str]:
    # A call of an attempt that was never saved may be to any problem.
    others = f"SELECT run_id FROM attempt WHERE NOT ({chosen})"  # noqa: S608
    yield f"""
UPDATE call SET digest = NULL, asked = NULL, answer = NULL, reasoning = NULL, refusal = NULL,
    logprobs = NULL, error_message = iif(error_message IS NULL, NULL, '[purged]')
WHERE run_id NOT IN ({others})"""  # noqa: S608
    yield f"""
UPDATE content SET digest = randomblob(32), text = json_object('name', text ->> '$.name',
    'endpoint', text ->> '$.endpoint', 'model', text ->> '$.model')
WHERE id IN (SELECT options FROM call)
    AND id NOT IN (SELECT options FROM call WHERE run_id IN ({others}))"""  # noqa: S608


_ORPHANS = (
    """
DELETE FROM turn WHERE id NOT IN (
    WITH RECURSIVE kept(id) AS (
        SELECT asked FROM call WHERE asked IS NOT NULL
        UNION
        SELECT turn.before FROM kept JOIN turn ON turn.id = kept.id
    )
    SELECT id FROM kept
)""",
    """
DELETE FROM content WHERE id NOT IN (
    SELECT content FROM turn UNION SELECT options FROM call
    UNION SELECT answer FROM call WHERE answer IS NOT NULL
    UNION SELECT served FROM call WHERE served IS NOT NULL
    UNION SELECT image.id FROM turn JOIN content AS message ON message.id = turn.content
        JOIN json_each(message.text, '$.content') AS part
        JOIN content AS image ON image.digest
            = CASE part.type WHEN 'object' THEN bytes_of(part.value ->> '$.digest') END
)""",
)
"""Texts that no call names any more."""


def _bytes_of(digest: str | None) -> bytes | None:
    return None if digest is None else bytes.fromhex(digest)


def _numbers_of(metrics: str) -> str:
    kept = {name: each for name, each in decode(metrics).items() if not _holds_text(each)}
    return encode(kept)


def _holds_text(value: Any) -> bool:
    return isinstance(value, (str, list, dict))


def _plain_of(provenance: str) -> str:
    known = decode(provenance).items()
    return encode({name: each for name, each in known if _is_plain(name, each)})


def _is_plain(name: str, value: Any) -> bool:
    return name in _KEPT_PROVENANCE or isinstance(value, (bool, int, float))
