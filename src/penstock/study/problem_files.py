"""Problems in a file of their own: a row of the file is a problem."""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from penstock._base.fact import Declaration, Name, Text
from penstock._base.suggestions import did_you_mean
from penstock.errors import ValidationError
from penstock.study.identity import stable_json_dumps
from penstock.study.paths import path_fault
from penstock.study.problem import Problem
from penstock.study.row_files import read_rows

__all__ = ["ProblemFile", "find_problems", "misplaced_file", "read_problems"]


class ProblemFile(Declaration):
    """Where problems come from, and which column holds what.

    Args:
        file: A file (see `penstock.study.row_files.KINDS`), or a folder as data-set hubs lay one
            out; ``${NAME}`` stands for an environment variable.
        split: Which set of a folder: ``test``.
        id: The column of the problem's id.
        id_from: Where no column holds an id: ``content`` makes it from the row, so that it stays
            where rows move; ``line`` is the line, or the number of the row.
        brief: The column of what an agent is told.
        family: The column of the problem's family.
        expected: The column of the right answer; it becomes ``payload["expected"]``.
        delimiter: What stands between the cells of a ``.csv`` file: one character.
        decimal: The mark before decimals in the cells of a ``.csv`` file that are numbers.
        encoding: How the file's text is written: ``utf-8``, ``cp1252``, ``utf-16``, ...

    A column may be a field in a field: ``answer.value``.
    """

    file: Name
    id: Text = "problem_id"
    brief: Text = "brief"
    family: Text | None = None
    expected: Text | None = None
    split: Name | None = None
    id_from: Literal["content", "line"] | None = None
    delimiter: Annotated[Text, Field(min_length=1, max_length=1)] | None = None
    decimal: Literal[".", ","] = "."
    encoding: Text = "utf-8-sig"

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError(f"no encoding is called {encoding!r}; try utf-8 or cp1252") from None

        return encoding


def misplaced_file(problems: Any) -> str | None:
    """Return the file that somebody gave as the problems, or as one of them."""
    for each in problems if isinstance(problems, list) else ():
        if isinstance(each, dict) and "problem_id" not in each:
            each = each.get("file")  # noqa: PLW2901 - the same thing, one level up

        if isinstance(each, str):
            return each

    return problems if isinstance(problems, str) else None


def find_problems(source: ProblemFile) -> str:
    """Return the path of the file, with the values of its variables put in.

    Raises:
        ValueError: a variable is not set, or the path leads out of the study file's folder.
    """

    def value(named: re.Match[str]) -> str:
        if not (found := os.environ.get(named[1])):
            raise ValueError(
                f"the file {source.file!r} names the environment variable {named[1]}, which is "
                f"not set; set it first, to an absolute path: `export {named[1]}=/...`"
            )

        return found

    file = re.sub(r"\$\{(\w+)\}", value, source.file)
    if fault := path_fault(file):
        raise ValueError(
            f"the file {fault}; write an absolute path, or `${{NAME}}/...` with an environment "
            "variable that holds one"
        )

    return file


def read_problems(path: Path, source: ProblemFile) -> list[Problem]:
    """Read every problem of a file; columns that have no other use go into the payload.

    A row that has a mapping as its ``payload`` is a problem as it stands, unless columns were
    named and it has others than a problem's fields. One column may have several uses.

    Raises:
        OSError: the file cannot be read.
        ValueError: a row is not a mapping, lacks a column that was named, or is not a problem; the
            message says in which line.
    """
    problems = []
    for line, row in read_rows(path, source.delimiter, source.encoding, source.split):
        try:
            problems.append(_problem(row, line, source))
        except ValidationError as error:
            raise ValueError(f"{path}, line {line}: {'; '.join(error.errors)}") from error
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from error

    if not problems:
        raise ValueError(f"{path} holds no problem")

    return problems


def _problem(row: dict[str, Any], line: int, source: ProblemFile) -> Problem:
    if isinstance(row.get("payload"), dict) and (
        source.model_fields_set <= {"file", "split"} or row.keys() <= Problem.model_fields.keys()
    ):
        return Problem(**row)

    id_column = None if source.id_from else source.id
    named = [id_column, source.brief, source.family, source.expected]
    missing = [name for name in named if name is not None and not _holds(row, name)]
    if missing:
        raise ValueError(_no_column(missing, row, wants_id=id_column in missing))

    family = _value(row, source.family or "family")
    used = {id_column, source.brief, source.family or "family", source.expected}
    payload = {name: value for name, value in row.items() if name not in used}
    if source.expected is not None:
        if "expected" in payload:
            raise ValueError(
                f"the column {source.expected} is declared as what is expected, and there is a "
                "column expected beside it, which it would hide; rename one of them"
            )

        payload["expected"] = _value(row, source.expected)

    if source.decimal == ",":
        payload = {name: _with_point(value) for name, value in payload.items()}

    return Problem(
        problem_id=_id_of(row, line, source),
        family="unknown" if family is None else str(family),
        brief=_brief_of(row, source),
        payload=payload,
    )


def _holds(row: Mapping[str, Any], name: str) -> bool:
    return _value(row, name, _MISSING) is not _MISSING


def _value(row: Mapping[str, Any], name: str, default: Any = None) -> Any:
    """Return a column, or a field in a field, by its name."""
    if name in row:
        return row[name]

    outer, dot, rest = name.partition(".")
    inner = row.get(outer)
    return _value(inner, rest, default) if dot and isinstance(inner, Mapping) else default


_MISSING = object()


def _no_column(missing: Sequence[str], row: Mapping[str, Any], *, wants_id: bool) -> str:
    said = f"no column {', '.join(missing)}; columns: {', '.join(row)}"
    alike = {name.strip().casefold(): name for name in row}
    for name in missing:
        if (meant := alike.get(name.strip().casefold())) is not None:
            said += f"; did you mean {meant!r}?"
        else:
            said += did_you_mean(name, row)

    return f"{said} (without ids say `id_from: content`)" if wants_id else said


def _id_of(row: Mapping[str, Any], line: int, source: ProblemFile) -> str:
    if source.id_from == "line":
        return str(line)

    if source.id_from == "content":
        return f"p-{sha256(stable_json_dumps(row).encode()).hexdigest()[:12]}"

    problem_id = _value(row, source.id)
    if not isinstance(problem_id, str) and type(problem_id) is not int:
        raise ValueError(
            f"the column {source.id}, which names the problem, is {json.dumps(problem_id)}; an id "
            "is a text or a whole number"
        )

    return str(problem_id)


def _brief_of(row: Mapping[str, Any], source: ProblemFile) -> str:
    brief = _value(row, source.brief)
    if isinstance(brief, (dict, list)):
        raise ValueError(  # noqa: TRY004 - what is wrong with a file is told as one
            f"the column {source.brief}, which an agent is told, is {json.dumps(brief)[:80]}; a "
            "brief is a text: name a column of texts, and let prompts read the rest of the payload"
        )

    return "" if brief is None else brief if isinstance(brief, str) else json.dumps(brief)


_DECIMAL_COMMA = re.compile(r"\s*[-+]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?\s*")


def _with_point(value: Any) -> Any:
    """Write a cell that is a number with a decimal comma as one with a point."""
    if not isinstance(value, str) or not _DECIMAL_COMMA.fullmatch(value):
        return value

    return value.strip().replace(".", "").replace(",", ".")
