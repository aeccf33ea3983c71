"""Data frames of the wide table, with the texts of factors as ordered categories.

The order is that of the levels as they are declared, so that tables, plots and models keep it.
Factors whose levels are numbers or flags stay what they are: they have an order, and one can
calculate with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from penstock._base.extras import load_extra
from penstock._base.json import encode
from penstock.store.reader import StoreReader
from penstock.store.wide_rows import wide_rows

__all__ = ["arrow_table", "ordered_levels", "pandas_frame", "polars_frame"]

_NUMBERS = frozenset({bool, int, float})
"""What a column may hold together, as numbers."""


def pandas_frame(store: StoreReader) -> Any:
    """Return the runs as a pandas ``DataFrame``; pandas must be installed."""
    import pandas as pd  # noqa: PLC0415 - optional, and slow to import

    rows = [*wide_rows(store)]
    frame = pd.DataFrame.from_records(rows)
    for name, levels in ordered_levels(store, rows).items():
        frame[name] = pd.Categorical(frame[name], categories=levels, ordered=True)

    return frame


def polars_frame(store: StoreReader) -> Any:
    """Return the runs as a polars ``DataFrame``; polars must be installed."""
    import polars as pl  # noqa: PLC0415 - optional

    rows = _alike(wide_rows(store))

    def series(name: str, values: list[Any]) -> Any:  # of all values, else keys of some are lost
        return pl.from_dicts([{name: each} for each in values], infer_schema_length=None)[name]

    refusal = pl.exceptions.PolarsError
    columns = _columns(rows).items()
    frame = pl.DataFrame(
        [_fitting(partial(series, name), values, refusal) for name, values in columns]
    )
    levels = ordered_levels(store, rows)
    return frame.with_columns(pl.col(name).cast(pl.Enum(each)) for name, each in levels.items())


def arrow_table(store: StoreReader) -> Any:
    """Return the runs as an Arrow ``Table``.

    Raises:
        ValidationError: the extra ``penstock[parquet]`` is not installed.
    """
    arrow = load_extra("pyarrow", extra="parquet", what="an Arrow table")
    rows = _alike(wide_rows(store))
    levels = ordered_levels(store, rows)
    arrays = {
        name: _dictionary(arrow, values, levels[name])
        if name in levels
        else _fitting(partial(arrow.array, from_pandas=False), values, arrow.ArrowException)
        for name, values in _columns(rows).items()
    }
    return arrow.table(arrays)


def ordered_levels(store: StoreReader, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return each factor and block whose levels are texts, with its levels in their order.

    Args:
        store: The study's store, for what is declared.
        rows: The wide table, for levels that a design of one's own brings.
    """
    definition = store.definition()
    declared = {
        each["name"]: [level["value"] for level in each["levels"]] for each in definition["factors"]
    }
    declared |= {each["name"]: list(each["levels"]) for each in definition["blocks"]}
    found = {}
    for name, levels in declared.items():
        met = [row[name] for row in rows if row.get(name) is not None]
        values = list(dict.fromkeys([*levels, *met])) if _are_texts([*levels, *met]) else []
        if values:
            found[name] = values

    return found


def _are_texts(values: Sequence[Any]) -> bool:
    return all(isinstance(each, str) for each in values)


def _dictionary(arrow: Any, values: Sequence[Any], levels: Sequence[str]) -> Any:
    place = {level: at for at, level in enumerate(levels)}
    indices = [None if each is None else place[each] for each in values]
    return arrow.DictionaryArray.from_arrays(
        arrow.array(indices, arrow.int32()), arrow.array(levels, arrow.string()), ordered=True
    )


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _fitting(make: Callable[[list[Any]], Any], values: list[Any], refusal: type[Exception]) -> Any:
    """Make a column; of values that it cannot hold together, one of numbers, else one of texts.

    Args:
        make: Makes a column of values.
        values: The values.
        refusal: What the library raises, beside Python's own errors, where it cannot.
    """
    for kind in (None, float):
        with suppress(refusal, OverflowError, TypeError, ValueError):
            return make([_as(value, kind) for value in values])

    return make([_as(value, str) for value in values])


def _alike(rows: Any) -> list[dict[str, Any]]:
    """Write what one column cannot hold together as texts: a score of a number, then of a text."""
    rows = list(rows)
    kinds: dict[str, set[type]] = {}
    for row in rows:
        for name, value in row.items():
            if value is not None:
                kinds.setdefault(name, set()).add(type(value))

    mixed = {name for name, each in kinds.items() if len(each) > 1 and not each <= _NUMBERS}
    numbers = {name for name, each in kinds.items() if len(each) > 1 and each <= _NUMBERS}
    kind = {**dict.fromkeys(mixed, str), **dict.fromkeys(numbers, float)}
    return [{name: _as(value, kind.get(name)) for name, value in row.items()} for row in rows]


def _as(value: Any, kind: type | None) -> Any:
    if value is None or kind is None:
        return value

    return encode(value) if kind is str and not isinstance(value, str) else kind(value)
