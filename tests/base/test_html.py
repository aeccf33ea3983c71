from __future__ import annotations

from penstock._base.html import html_block, html_table


def test_nothing_of_a_study_is_markup() -> None:
    hostile = "<script>alert(1)</script>"

    page = html_block(hostile, html_table((hostile,), [(hostile,)]), lines=(hostile,))

    assert "<script>" not in page
    assert page.count("&lt;script&gt;") == 4


def test_long_cells_and_many_rows_are_cut_and_said_to_be() -> None:
    page = html_block("t", html_table(("a", "b"), [("x" * 10_000, at) for at in range(10_000)]))

    assert len(page) < 200_000
    assert page.count("<tr>") == 51
    assert "and 9,950 more" in page


def test_a_table_of_nothing_is_nothing() -> None:
    assert html_table(("a",), []) == ""
