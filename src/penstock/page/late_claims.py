"""Claims that were declared, or changed, after runs had ended: what they were not made to test."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.store.actions import DECLARE, actions
from penstock.store.reader import StoreReader
from penstock.study.model import Study

__all__ = ["late_claims"]


def late_claims(store: StoreReader, study: Study) -> Iterator[str]:
    """Yield a sentence for each hypothesis that is younger than some of the results.

    Args:
        store: The study's store.
        study: The study as it is declared.
    """
    kept = [each for each in actions(store) if each.ended]
    for hypothesis in study.hypotheses:
        path = f"{DECLARE} hypotheses.{hypothesis.hypothesis_id}"
        changes = [each for each in kept if each.what == path or each.what.startswith(f"{path}.")]
        if changes:
            last = changes[-1]
            how = "declared" if last.what == path else "changed"
            yield (
                f"Hypothesis {hypothesis.hypothesis_id} was {how} on {last.at[:10]}, when "
                f"{last.ended:,} of {last.planned:,} runs had ended: read its verdict as a "
                "suggestion, not as a test."
            )
