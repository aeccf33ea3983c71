"""Where a study stands, for machines: what its ledger says."""

from __future__ import annotations

from pathlib import Path

from penstock.cli.directory_records import Session, Standing
from penstock.cli.records import NUMBERS
from penstock.store.ledger import failures, read_ledger
from penstock.store.reader import StoreReader
from penstock.store.score_accounts import lacking_scores
from penstock.store.write_ahead_log import held_log_bytes

__all__ = ["standing"]


def standing(store: StoreReader) -> Standing:
    """Gather counts of runs, what they have cost, how the last session ended, and failures."""
    ledger = read_ledger(store)
    last = {**ledger.sessions[-1], "saved": ledger.sessions[-1]["attempts"]}
    return Standing(
        study_id=ledger.summary.study_id,
        title=store.definition()["title"],
        **{name: getattr(ledger.summary, name) for name in NUMBERS},
        sessions=len(ledger.sessions),
        state=ledger.state,
        last_session=Session(**{name: last[name] for name in Session.model_fields}),
        failures=failures(store),
        not_scored=lacking_scores(store),
        held_log_bytes=held_log_bytes(store.directory / "study.sqlite"),
        output_dir=str(Path(store.directory).absolute()),
    )
