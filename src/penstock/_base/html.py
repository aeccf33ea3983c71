"""HTML for notebooks: small tables in which nothing of a study is markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from penstock._base.text import printable

__all__ = ["html_block", "html_table"]

_MOST_ROWS = 50
_LONGEST_CELL = 300


def html_block(title: str, *parts: str, lines: Iterable[str] = ()) -> str:
    """Return a title, lines of text, and tables below one another.

    Args:
        title: What it is.
        parts: Tables, as `html_table` makes them.
        lines: Texts, which are escaped.
    """
    said = "".join(f"<p>{_cell(line)}</p>" for line in lines)
    return f"<div><strong>{_cell(title)}</strong>{said}{''.join(parts)}</div>"


def html_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table; of many rows the first fifty, and how many more there are.

    Args:
        header: The names of its columns.
        rows: Its cells, which are escaped and cut where they are long.
    """
    if not rows:
        return ""

    head = "".join(f"<th>{_cell(name)}</th>" for name in header)
    body = "".join(
        f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>"
        for row in rows[:_MOST_ROWS]
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    more = len(rows) - _MOST_ROWS
    return f"{table}<p>and {more:,} more</p>" if more > 0 else table


def _cell(value: object) -> str:
    text = printable("" if value is None else str(value))
    return escape(text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…")
