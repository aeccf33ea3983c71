"""Rows of files as people have them: CSV, JSON, JSON lines, Parquet, packed, or a folder."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from penstock._base.byte_order_marks import MARK_BYTES, encoding_of
from penstock._base.extras import load_extra
from penstock._base.parsing import RowError, csv_rows, json_items, json_rows

__all__ = ["KINDS", "UNSAID", "read_rows"]

UNSAID = "utf-8-sig"
"""The encoding that stands where none is said."""

KINDS = (".jsonl", ".csv", ".tsv", ".json", ".parquet")
"""What the name of a file of rows ends with; ``.gz`` may follow, but for Parquet."""

_SPLIT = re.compile(r"(?P<split>.+?)(?:-\d+-of-\d+)?")
"""How data-set hubs name the parts of a split: ``test-00000-of-00003.parquet``."""


def read_rows(
    path: Path,
    delimiter: str | None = None,
    encoding: str = UNSAID,
    split: str | None = None,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read the rows of a file, or of the files of a folder, each with its line or its number.

    Args:
        path: The file; its name ends with one of `KINDS`. Or a folder that holds such files, as
            data-set hubs lay one out.
        delimiter: What stands between the cells of a ``.csv`` file; a comma where not given, in a
            ``.tsv`` file a tab.
        encoding: How its text is written; where `UNSAID`, by its byte order mark, else as UTF-8.
        split: Which files of a folder: those whose name, or whose folder's name, begins so.

    Raises:
        OSError: a file cannot be read.
        ValueError: it holds something else; the message says in which line.
        ValidationError: Parquet is to be read, and the extra ``parquet`` is not installed.
    """
    if path.is_dir():
        for part in _parts(path, split):
            yield from read_rows(part, delimiter, encoding)

        return

    kind = _kind(path)
    if kind is None or (kind == ".parquet" and path.suffix.lower() == ".gz"):
        others = ", ".join(KINDS[2:])
        raise ValueError(
            f"{path}: its name must end with .jsonl or .csv, or with {others}; .gz may follow"
        )

    try:
        if kind == ".parquet":
            yield from _parquet_rows(path)
            return

        with _opened(path, encoding) as file:
            if kind in {".csv", ".tsv"}:
                yield from csv_rows(file, delimiter or ("," if kind == ".csv" else "\t"))
            else:
                yield from json_rows(file) if kind == ".jsonl" else json_items(file)
    except UnicodeError as error:
        said = error.encoding if isinstance(error, UnicodeDecodeError) else encoding
        name = "UTF-8" if said in ("utf-8", UNSAID) else said  # as its mark, or its zeros, say
        raise ValueError(
            f"{path} is not {name}: {error}; say how it is written (`encoding: cp1252`, or "
            "utf-16), or save it as UTF-8"
        ) from error
    except RowError as error:
        raise ValueError(f"{path}, line {error.line}: {error}") from error
    except (gzip.BadGzipFile, EOFError) as error:
        raise ValueError(f"{path} is not a whole .gz file: {error}") from error


def _kind(path: Path) -> str | None:
    name = path.name.lower().removesuffix(".gz")
    return next((kind for kind in KINDS if name.endswith(kind)), None)


@contextmanager
def _opened(path: Path, encoding: str) -> Iterator[TextIO]:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    if encoding == UNSAID:
        with opened(path, "rb") as file:
            encoding = encoding_of(file.read(MARK_BYTES)) or encoding

    with opened(path, "rt", encoding=encoding, newline="") as file:
        yield file


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    parquet = load_extra("pyarrow.parquet", extra="parquet", what=str(path))
    arrow = load_extra("pyarrow", extra="parquet", what=str(path))
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except arrow.ArrowException as error:
        raise ValueError(f"{path} is not Parquet: {error}") from error


def _parts(folder: Path, split: str | None) -> list[Path]:
    """List the files of a folder that hold rows: all, where they are of one split."""
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and _kind(path)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.name not in _ABOUT
    )
    splits = {path: _split_of(path, folder) for path in found}
    known = sorted(set(splits.values()))
    if not found:
        raise ValueError(f"the folder {folder} holds no file that ends with {', '.join(KINDS)}")

    if split is None and len(known) > 1:
        raise ValueError(f"the folder {folder} holds several sets: say `split:` {known}")

    chosen = [path for path in found if split is None or splits[path] == split]
    if not chosen:
        raise ValueError(f"the folder {folder} holds no split {split!r}; it holds {known}")

    return chosen


_ABOUT = frozenset({"dataset_info.json", "dataset_infos.json", "state.json", "dataset_dict.json"})
"""What data-set libraries write beside the rows."""


def _split_of(path: Path, folder: Path) -> str:
    kind = _kind(path) or ""
    stem = path.name[: path.name.lower().rindex(kind)]
    named = _SPLIT.fullmatch(stem)
    is_number = stem.isdecimal() or stem.startswith("part-")
    if is_number and path.parent != folder:
        return path.parent.name

    return named["split"] if named else stem
