"""Verdicts on the page say what the analysis says."""

from __future__ import annotations

from pathlib import Path

from penstock.page.shown_verdicts import shown_verdicts
from penstock.store.reader import StoreReader
from tests.analysis.test_analyze import three_levels


def test_a_verdict_of_dunnetts_test_shows_dunnetts_interval(tmp_path: Path) -> None:
    found = three_levels(tmp_path, "dunnett")

    with StoreReader(tmp_path / "results") as store:
        verdicts = list(shown_verdicts(found, store.study()))

    simultaneous = found.outcomes["score"].dunnett["polite"].interval
    assert (verdicts[0].low, verdicts[0].high) == (simultaneous.low, simultaneous.high)
    assert verdicts[0].how.startswith("Dunnett's test on ")
