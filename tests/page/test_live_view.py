"""What a browser is sent, put together again, is what is so."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.page.live_view import changes_between

views = st.fixed_dictionaries(
    {
        "state": st.sampled_from(["running", "paused"]),
        "planned": st.integers(0, 3),
        "ended": st.lists(st.integers(0, 2), min_size=3, max_size=4),
        "failed_in": st.lists(st.integers(0, 2), min_size=3, max_size=4),
    }
)


def put_together(known: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    """Do what the page's script does."""
    cells = changed.pop("cells", {})
    now = {**{name: [*v] if isinstance(v, list) else v for name, v in known.items()}, **changed}
    for name, pairs in cells.items():
        for place, value in zip(pairs[::2], pairs[1::2], strict=True):
            now[name][place] = value

    return now


@given(views, views)
@settings(max_examples=50)
def test_a_view_and_what_has_changed_is_the_next_view(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert put_together(before, dict(changes_between(before, after))) == after


def test_nothing_is_said_where_nothing_has_changed() -> None:
    view = {"state": "running", "ended": [1, 2], "failed_in": [0, 0]}

    assert changes_between(view, view) == {}


def test_of_the_matrix_only_cells_are_sent_that_have_changed() -> None:
    before = {"ended": [1, 2, 3], "failed_in": [0, 0, 0]}
    after = {"ended": [1, 5, 3], "failed_in": [0, 0, 0]}

    assert changes_between(before, after) == {"cells": {"ended": [1, 5]}}
