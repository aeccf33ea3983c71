"""The reading side of the store: read-only, at any time, never in the writer's way."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from penstock._base.atomic_files import set_aside
from penstock._base.frozen import frozen_json
from penstock._base.json import decode
from penstock._base.open_files import lack_of_files
from penstock.errors import SchemaError, StoreError
from penstock.results import RunResult
from penstock.store import STORE_FILE
from penstock.store.ended_runs import count_by_status, count_ended
from penstock.store.facts import result_from_row
from penstock.store.files.read_only import open_read_only
from penstock.store.layout import show_our_views
from penstock.store.schema import APPLICATION_ID, FOLLOWS, SCHEMA_VERSION
from penstock.store.views import ANSWER

if TYPE_CHECKING:  # half of what a look at a store would import
    from penstock.planning.plan import Plan
    from penstock.study.conditions import Condition
    from penstock.study.model import Study

__all__ = ["StoreReader", "holds_plan", "is_begun"]

_CHUNK = 500
# Metadata that holds an infinite level is not JSON to SQLite.
_FINGERPRINT = (
    "coalesce(iif(json_valid(metadata), metadata ->> '$.fingerprint', NULL), "
    """'{"blocks":' || blocks || ',"factors":' || factors || '}')"""
)
_WITH_CONDITIONS = (
    f"SELECT attempt.*, coalesce({_FINGERPRINT}, '') AS condition_fingerprint, study.study_id "  # noqa: S608
    "FROM attempt LEFT JOIN condition USING (condition_id), study"
)
_OBSERVED = f"""
SELECT * FROM observation WHERE attempt_id IN ({{}}) AND number < {ANSWER}
ORDER BY attempt_id, number
"""  # noqa: S608 - our own names
_EVALUATED = """
SELECT e.* FROM evaluation e JOIN scoring s ON s.id = e.scoring_id
WHERE attempt_id IN ({}) AND s.place IS NOT NULL ORDER BY attempt_id, s.place, number
"""
_SCORED = """
SELECT d.*, r.evaluator_id AS evaluator
FROM scored d JOIN scoring s ON s.id = d.scoring_id JOIN evaluator r ON r.id = s.evaluator
WHERE attempt_id IN ({}) AND s.place IS NOT NULL ORDER BY attempt_id, s.place
"""


class StoreReader:
    """Reads the ``study.sqlite`` of a directory, also while a study writes it.

    Args:
        directory: The study's output directory.

    Raises:
        StoreError: there is no store in it, or it is something else.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        path = directory / STORE_FILE
        if not path.is_file():
            raise StoreError(f"{directory} holds no study: there is no {path.name} in it")

        try:
            self._connection, application_id, schema_version, tables = open_read_only(path)
        except sqlite3.Error as error:
            why = lack_of_files() or error
            raise StoreError(f"{path} cannot be read: {why}") from error

        if not tables:  # killed as it was made
            self.close()
            raise StoreError(f"{directory}: the study was created and never begun")

        if application_id != APPLICATION_ID:
            self.close()
            raise StoreError(f"{path} is an SQLite file of another program")

        if schema_version > SCHEMA_VERSION:
            self.close()
            raise SchemaError(path, schema_version, SCHEMA_VERSION)

        try:
            show_our_views(self._connection, schema_version)
        except (sqlite3.Error, StoreError) as error:
            self.close()
            raise StoreError(f"{path} cannot be read: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """The open file, for functions over a connection; it can only be read."""
        return self._connection

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @property
    def study_id(self) -> str:
        """The id of the study."""
        return str(self.definition()["study_id"])

    @property
    def layout(self) -> int:
        """The layout that the file has, whatever it is read as."""
        ((layout,),) = self.table("PRAGMA user_version")
        return int(layout)

    def definition(self) -> dict[str, Any]:
        """Return the study as it was last run, as plain values."""
        row = self._connection.execute("SELECT definition FROM study").fetchone()
        if row is None:
            raise StoreError(f"{self.directory}: the study was created and never begun")

        definition: dict[str, Any] = decode(row[0])
        definition.pop(FOLLOWS, None)
        return definition

    def study(self) -> Study:
        """Return the study as it was last run, with its problems.

        Raises:
            ValueError: some of it only Python knows.
        """
        from penstock.study.model import Study  # noqa: PLC0415 - see above

        stored = self.definition()
        definition = {name: value for name, value in stored.items() if name in Study.model_fields}
        return Study.kept({**definition, "problems": [decode(each) for each in self.problems()]})

    def study_file(self) -> Path | None:
        """Return the file that the last session read its study from, wherever that is now.

        None where the study was made in Python, and where the session was of a version that did
        not keep it.
        """
        query = "SELECT study_file FROM session ORDER BY id DESC LIMIT 1"
        kept = next((file for (file,) in self.table(query)), None)
        return None if kept is None else Path(os.path.normpath(self.directory.resolve() / kept))

    def rows(self, query: str, parameters: tuple[Any, ...] = ()) -> Iterator[sqlite3.Row]:
        """Run a query and give its rows one by one."""
        with closing(self._connection.execute(query, parameters)) as cursor:
            yield from cursor

    def table(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Run a query and give its rows as plain tuples, the fastest way there is."""
        cursor = self._connection.cursor()
        cursor.row_factory = None
        return cursor.execute(query)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read the store as it is now, whatever is written meanwhile."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.rollback()

    def copy_to(self, path: Path) -> None:
        """Write a copy of the store."""
        with set_aside(path) as aside, closing(sqlite3.connect(aside)) as copy:
            self._connection.backup(copy)

    def conditions(self) -> Iterator[Condition]:
        """Yield the conditions of the current plan in design order, inadmissible ones included."""
        from penstock._base.fact import unchecked  # noqa: PLC0415 - see above
        from penstock.study.conditions import Condition  # noqa: PLC0415

        stated = unchecked(Condition)  # they were checked when they were kept
        for row in self.rows("SELECT * FROM conditions"):
            metadata = frozen_json(decode(row["assignment_meta_json"]))
            yield stated(
                condition_id=row["condition_id"],
                factor_assignments=frozen_json(decode(row["factors"])),
                block_assignments=frozen_json(decode(row["blocks"])),
                admissible=bool(row["admissible"]),
                constraint_messages=tuple(decode(row["constraint_messages"])),
                metadata=metadata,
                replicates=metadata.get("replicates", 1),
            )

    def problems(self) -> Iterator[str]:
        """Yield the problems that the study declares, each as JSON."""
        for row in self.rows(
            "SELECT definition FROM problem WHERE position IS NOT NULL ORDER BY position"
        ):
            yield row["definition"]

    def planned(self) -> int:
        """Return how many runs the plan of the last session holds."""
        query = "SELECT planned FROM session ORDER BY id DESC LIMIT 1"
        (planned,) = self._connection.execute(query).fetchone() or (0,)
        return int(planned)

    def count(self) -> int:
        """Count the runs of the plan that have a result."""
        return count_ended(self._connection)

    def status_counts(self) -> dict[str, int]:
        """Count the runs of the plan by how they ended."""
        return count_by_status(self._connection)

    def results(self, start: int = 0, stop: int | None = None) -> Iterator[RunResult]:
        """Yield results in plan order, a chunk in memory at a time.

        Args:
            start: How many results to pass over.
            stop: Where to end; None means at the last.
        """
        after = self._position_before(start)
        left = self.count() if stop is None else stop - start
        while left > 0:
            chunk = self._results_after(after, min(_CHUNK, left))
            if not chunk:
                return

            yield from chunk
            after = chunk[-1].spec.position
            left -= len(chunk)

    def result_at(self, position: int) -> RunResult:
        """Return the result at a position of the plan."""
        (result,) = self._results_after(position - 1, 1)
        return result

    def _position_before(self, start: int) -> int:
        if start <= 0:
            return -1

        row = self._connection.execute(
            "SELECT position FROM attempt WHERE final AND position IS NOT NULL "
            "ORDER BY position LIMIT 1 OFFSET ?",
            (start - 1,),
        ).fetchone()
        return int(row[0]) if row is not None else 2**62

    def _results_after(self, position: int, most: int) -> list[RunResult]:
        attempts = [
            dict(row)
            for row in self.rows(
                f"{_WITH_CONDITIONS} WHERE final AND attempt.position > ? "
                "ORDER BY attempt.position LIMIT ?",
                (position, most),
            )
        ]
        return self._whole(attempts)

    def attempts(self, where: str, values: Sequence[Any]) -> dict[int, tuple[Any, RunResult]]:
        """Return attempts that the plan holds or held, by id: the row, and the same as a fact.

        Args:
            where: Which, as SQL over the table ``attempt``.
            values: The values of its parameters.
        """
        rows = [
            {**dict(row), "position": -1 if row["position"] is None else row["position"]}
            for row in self.rows(f"{_WITH_CONDITIONS} WHERE {where} ORDER BY id", tuple(values))
        ]
        whole = zip(rows, self._whole(rows), strict=True)
        return {row["id"]: (row, result) for row, result in whole}

    def _whole(self, rows: Sequence[Mapping[str, Any]]) -> list[RunResult]:
        """Read attempts back, with all that belongs to them."""
        ids = [row["id"] for row in rows]
        details = [self._details(query, ids) for query in (_OBSERVED, _EVALUATED, _SCORED)]
        return [
            result_from_row(row, *(each.get(row["id"], ()) for each in details)) for row in rows
        ]

    def _details(self, query: str, ids: list[int]) -> dict[int, list[dict[str, Any]]]:
        found = self.rows(query.format(", ".join("?" * len(ids))), tuple(ids))
        grouped = groupby(map(dict, found), itemgetter("attempt_id"))
        return {attempt_id: list(rows) for attempt_id, rows in grouped}


def holds_plan(directory: Path, plan: Plan) -> bool:
    """Return whether a session of exactly this plan was begun in a directory."""
    from penstock.planning.fingerprint import fingerprint_of  # noqa: PLC0415 - see above

    try:
        with StoreReader(directory) as store:
            return list(store.table("SELECT fingerprint FROM study")) == [(fingerprint_of(plan),)]
    except StoreError:  # whoever opens it for writing says what is wrong with it
        return False


def is_begun(directory: Path) -> bool:
    """Return whether a study was begun in a directory: there is a store, and a study in it.

    A store that cannot be read counts as begun: whoever opens it says what is wrong with it.
    """
    path = directory / STORE_FILE
    if not path.is_file():
        return False

    try:
        connection, *_, tables = open_read_only(path)
        with closing(connection):
            return tables > 0 and connection.execute("SELECT 1 FROM study").fetchone() is not None
    except sqlite3.Error:
        return True
