"""Problems in a file of their own: a row of a ``.jsonl`` or ``.csv`` file is a problem."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penstock.study.fact import Declaration, Name, Text
from penstock.study.problem import Problem

__all__ = ["ProblemFile", "expand_variables", "read_problems"]


class ProblemFile(Declaration):
    """Where problems come from, and which column holds what.

    Args:
        file: A ``.jsonl`` or ``.csv`` file; ``${NAME}`` stands for an environment variable.
        id: The column of the problem's id.
        brief: The column of what an agent is told.
        family: The column of the problem's family.
        expected: The column of the right answer; it becomes ``payload["expected"]``.
    """

    file: Name
    id: Text = "problem_id"
    brief: Text = "brief"
    family: Text | None = None
    expected: Text | None = None


def expand_variables(file: str) -> str:
    """Put in the values of environment variables, each written ``${NAME}``.

    Raises:
        ValueError: a variable is not set.
    """

    def value(named: re.Match[str]) -> str:
        if not (found := os.environ.get(named[1])):
            raise ValueError(
                f"the file {file!r} names the environment variable {named[1]}, which is not set; "
                f"set it first, to an absolute path: `export {named[1]}=/...`"
            )

        return found

    return re.sub(r"\$\{(\w+)\}", value, file)


def read_problems(path: Path, source: ProblemFile) -> list[Problem]:
    """Read every problem of a file; columns that have no other use go into the payload.

    A row that has a mapping as its ``payload`` is a problem as it stands.

    Raises:
        OSError: the file cannot be read.
        ValueError: a row is no mapping, or lacks a column that was named.
    """
    needed = {source.id, source.brief, source.family, source.expected} - {None}
    problems = []
    for line, row in _rows(path):
        if isinstance(row.get("payload"), dict):
            problems.append(Problem(**row))
            continue

        missing = sorted(name for name in needed if name is not None and name not in row)
        if missing:
            known = ", ".join(row)
            raise ValueError(
                f"{path}, line {line}: no column {', '.join(missing)}; columns: {known}"
            )

        problems.append(_problem(row, source))

    if not problems:
        raise ValueError(f"{path} holds no problem")

    return problems


def _problem(row: dict[str, Any], source: ProblemFile) -> Problem:
    problem_id, brief = str(row.pop(source.id)), str(row.pop(source.brief))
    family = row.pop(source.family or "family", None)
    if source.expected is not None:
        row["expected"] = row.pop(source.expected)

    named = {} if family is None else {"family": str(family)}
    return Problem(problem_id=problem_id, brief=brief, payload=row, **named)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix == ".csv":
            reader = csv.DictReader(file)
            for row in reader:
                yield reader.line_num, row

            return

        if path.suffix != ".jsonl":
            raise ValueError(f"{path}: a file of problems must end with .jsonl or .csv")

        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue

            try:
                row = json.loads(text)
            except ValueError as error:
                raise ValueError(f"{path}, line {line}: not JSON: {error}") from error

            if not isinstance(row, dict):
                raise ValueError(f"{path}, line {line}: no JSON object")  # noqa: TRY004

            yield line, row
