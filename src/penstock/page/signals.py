"""How far the numbers can be trusted: four signals with their reasons, and claims made late."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.analysis.adjustment import ALPHA
from penstock.analysis.analysis_facts import OutcomeAnalysis
from penstock.page.view import Signal
from penstock.store.actions import DECLARE, actions
from penstock.store.reader import StoreReader
from penstock.study.model import Study
from penstock.study.policies import RunOrder

__all__ = ["late_claims", "signals_of"]


_SERVED = """
SELECT agent_id, iif(json_valid(provenance), provenance ->> '$.model_name', NULL) AS model,
       iif(json_valid(provenance), provenance ->> '$.system_fingerprint', NULL) AS fingerprint,
       count(*) AS runs
FROM attempt WHERE final AND position IS NOT NULL AND status = 'success'
GROUP BY 1, 2, 3
"""


def signals_of(
    store: StoreReader, study: Study, found: OutcomeAnalysis | None, *, planned: int, ended: int
) -> tuple[Signal, ...]:
    """Return the four signals of a study."""
    return (
        _reproducible(store),
        _complete(store, found, planned, ended),
        _provenance(store),
        _comparable(study),
    )


def _reproducible(store: StoreReader) -> Signal:
    versions = {row["version"] for row in store.rows("SELECT version FROM session")}
    if len(versions) > 1:
        return Signal(
            word="Reproducible",
            value="mixed versions",
            reason=f"Sessions were made with {len(versions)} versions of penstock.",
            warns=True,
        )

    return Signal(
        word="Reproducible",
        value="yes",
        reason="Seeds and plan are fixed; the same store gives this page again.",
    )


def _complete(
    store: StoreReader, found: OutcomeAnalysis | None, planned: int, ended: int
) -> Signal:
    counts = store.status_counts()
    failed, scored = counts.get("failed", 0), counts.get("success", 0)
    if scored == planned:
        return Signal(word="Complete", value="yes", reason=f"All {planned:,} runs succeeded.")

    reasons = [f"{failed:,} runs failed."] if failed else []
    if ended < planned:
        reasons.append(f"{planned - ended:,} have not ended.")

    tested = [] if found is None else [each.p for each in found.missing.values()]
    if any(p is not None and p <= ALPHA for p in tested):
        reasons.append("Failures depend on the condition.")

    value = f"{scored:,} of {planned:,}"
    return Signal(word="Complete", value=value, reason=" ".join(reasons), warns=True)


def _provenance(store: StoreReader) -> Signal:
    late = [each for each in actions(store) if each.is_declaration and each.ended]
    if late:
        return Signal(
            word="Provenance",
            value="declared otherwise",
            reason=f"{len(late):,} declaration{'s' * (len(late) > 1)} changed after runs had "
            "ended; see Design.",
            warns=True,
        )

    served: dict[str, set[tuple[str, str | None]]] = {}
    for row in store.rows(_SERVED):
        if row["model"] is not None:
            served.setdefault(row["agent_id"], set()).add((row["model"], row["fingerprint"]))

    changed = sorted(agent for agent, versions in served.items() if len(versions) > 1)
    if changed:
        return Signal(
            word="Provenance",
            value="changed",
            reason=f"{', '.join(changed)}: more than one version of a model answered.",
            warns=True,
        )

    if not served:
        reason = "No agent said which model answered."
        return Signal(word="Provenance", value="not known", reason=reason)

    return Signal(
        word="Provenance", value="unchanged", reason="One version of each model answered all runs."
    )


def _comparable(study: Study) -> Signal:
    if study.run_order is RunOrder.AS_DESIGNED:
        return Signal(
            word="Comparable",
            value="not over time",
            reason="Conditions were run one after the other: a change of the provider looks like "
            "an effect.",
            warns=True,
        )

    return Signal(
        word="Comparable",
        value="yes",
        reason="Conditions were interleaved in time, so a change hits all of them alike.",
    )


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
