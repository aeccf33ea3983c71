"""The conclusion of a session: the finding in a few lines, and the report beside the results."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from penstock.analysis.analysis_facts import Analysis
from penstock.analysis.analyze import analyze
from penstock.analysis.finding import finding_lines
from penstock.errors import ValidationError
from penstock.store.reader import StoreReader
from penstock.study.model import Study

__all__ = ["REPORT_FILE", "Conclusion", "conclude"]

REPORT_FILE = "report.html"
_MOST_RUNS = 100_000
"""Above so many runs the report is made when somebody asks for it (`penstock report`)."""

_STATE = """
SELECT (SELECT definition FROM study), (SELECT count(*) || ' ' || max(id) FROM attempt),
       (SELECT count(*) || ' ' || max(session_id) FROM scored),
       (SELECT group_concat(DISTINCT version) FROM session), (SELECT count(*) FROM action)
"""


class Conclusion(NamedTuple):
    """What a session ends with."""

    finding: Sequence[str]
    report: Path | None
    """Where the report is; None where none was wanted, or there are too many runs for it."""


def conclude(directory: Path, study: Study, *, wants_report: bool = True) -> Conclusion:
    """Return what came of a study, and write its report where it has changed since the last one.

    Args:
        directory: The study's output directory.
        study: The study as it is declared.
        wants_report: Whether ``report.html`` is written.
    """
    with StoreReader(directory) as store, store.snapshot():
        count = store.count()
        if count > _MOST_RUNS:
            return Conclusion([f"{count:,} runs: penstock report makes their report"], None)

        try:
            analysis: Analysis | None = analyze(store, study, with_models=False)
            finding = [] if analysis is None else finding_lines(analysis)
        except ValidationError:
            analysis = None
            finding = ["intervals and verdicts need an extra: pip install 'penstock[analysis]'"]

        path = directory / REPORT_FILE
        mark = f"<!-- {_state(store, is_analysed=analysis is not None)} -->"
        if wants_report and not _is_marked(path, mark):
            from penstock.page.report import write_report  # noqa: PLC0415 - 150 ms, not always

            write_report(store, study, path, analysis=analysis, mark=mark)

    return Conclusion(finding, path if wants_report else None)


def _state(store: StoreReader, *, is_analysed: bool) -> str:
    """Return a digest of what the page is made from; the same where nothing has changed."""
    (state,) = store.table(_STATE)
    said = repr((*state, version("penstock"), is_analysed))
    return hashlib.sha256(said.encode()).hexdigest()


def _is_marked(path: Path, mark: str) -> bool:
    try:
        with path.open("rb") as page:
            page.seek(max(0, path.stat().st_size - 2 * len(mark)))
            return mark.encode() in page.read()
    except OSError:
        return False


if __name__ == "__main__":  # in a process of its own, where a host must not be held up
    results = Path(sys.argv[1])
    with StoreReader(results) as kept:
        declared = kept.study()

    conclude(results, declared)
