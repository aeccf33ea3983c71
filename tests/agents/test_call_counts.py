"""What an attempt has asked of models: which answers the next attempt may take."""

from __future__ import annotations

from penstock.agents.call_counts import CallCounts


def test_equal_requests_are_told_apart_by_how_many_were_before() -> None:
    counts = CallCounts()
    assert [counts.note("a"), counts.note("b"), counts.note("a")] == [0, 0, 1]


def test_an_attempt_takes_no_answer_that_one_before_it_failed_with() -> None:
    first = CallCounts(3)
    first.note("a")
    first.note("b")
    second = first.of_another_attempt()
    second.note("a")
    third = second.of_another_attempt()

    assert second.first_attempt == 3
    assert second.spoilt == {("b", 0)}
    assert third.spoilt == {("a", 0), ("b", 0)}


def test_an_attempt_that_asked_nothing_spoils_nothing() -> None:
    assert CallCounts().of_another_attempt().spoilt == frozenset()
