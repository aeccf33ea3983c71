"""The results of a study: runs, tables, analysis, figures, read from its store when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from penstock._base.html import html_block, html_table
from penstock.errors import PenstockError
from penstock.results import RunResult
from penstock.store.frames import arrow_table, pandas_frame, polars_frame
from penstock.store.ledger import read_ledger
from penstock.store.reader import StoreReader
from penstock.store.unblinding import unblind as make_unblind
from penstock.store.wide_rows import wide_rows
from penstock.summary import StudySummary

if TYPE_CHECKING:
    from penstock.analysis.analysis_facts import Analysis
    from penstock.page.paper_figures import Figure

__all__ = ["StudyResult"]

_MOST_SUMMED_UP = 100_000
"""Above so many runs a notebook is not made to wait for the finding."""


class StudyResult(Sequence[RunResult]):
    """The results of a study in plan order, read from its store when asked for.

    Args:
        output_dir: The study's output directory.
        summary: What the study has come to, over all its sessions.
    """

    def __init__(self, output_dir: Path, summary: StudySummary, *, dry_run: bool = False) -> None:
        self.output_dir = output_dir
        self.summary = summary
        self._length = 0
        if not dry_run:
            with StoreReader(output_dir) as store:
                self._length = store.count()

    @classmethod
    def open(cls, output_dir: Path | str) -> StudyResult:
        """Read the results of a study that was run before, or that is running now.

        Args:
            output_dir: The study's output directory.

        Raises:
            StoreError: there is no study in it.
        """
        with StoreReader(Path(output_dir)) as store:
            return cls(Path(output_dir), read_ledger(store).summary)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[RunResult]:
        return self._read(0, self._length)

    @overload
    def __getitem__(self, index: int) -> RunResult: ...
    @overload
    def __getitem__(self, index: slice) -> list[RunResult]: ...
    def __getitem__(self, index: int | slice) -> RunResult | list[RunResult]:
        places = range(self._length)[index]
        if isinstance(places, int):
            return next(self._read(places, places + 1))

        if not places:
            return []

        low, high = min(places), max(places)
        between = list(self._read(low, high + 1))
        return [between[place - low] for place in places]

    def to_rows(self) -> Iterator[dict[str, Any]]:
        """Yield a mapping per run: the columns of ``runs.csv``, levels, answer, scores, metrics.

        A factor or block keeps its name; a built-in column that it would hide is ``run_<name>``.
        """
        with StoreReader(self.output_dir) as store:
            yield from wide_rows(store)

    def to_pandas(self) -> Any:
        """Return the rows as a pandas ``DataFrame``; pandas must be installed.

        Factors whose levels are texts are ordered categories, in the order that is declared; so
        they are in `to_polars` and `to_arrow`.
        """
        with StoreReader(self.output_dir) as store:
            return pandas_frame(store)

    def to_polars(self) -> Any:
        """Return the rows as a polars ``DataFrame``; polars must be installed."""
        with StoreReader(self.output_dir) as store:
            return polars_frame(store)

    def to_arrow(self) -> Any:
        """Return the rows as an Arrow ``Table``; needs ``penstock[parquet]``.

        Raises:
            ValidationError: the extra is not installed.
        """
        with StoreReader(self.output_dir) as store:
            return arrow_table(store)

    def items(self, outcome: str | None = None) -> list[dict[str, Any]]:
        """Return the paired table: a mapping per problem, with its mean under each condition.

        Args:
            outcome: The outcome's name; the primary one where not given.

        Returns:
            For each problem ``problem_id`` and, by the names of conditions as the analysis has
            them, the mean of its scored runs; None where there is none.

        Raises:
            KeyError: the study has no such outcome.
            PenstockError: runs of a study with declared hypotheses are left, so what conditions
                came to is withheld; ``analyze(unblind="...")`` shows it.
        """
        from penstock.analysis.readings import paired_table  # noqa: PLC0415 - slow to import

        with StoreReader(self.output_dir) as store, store.snapshot():
            return paired_table(store, store.study(), outcome)

    def figures(self) -> dict[str, Figure]:
        """Return the figures of the report by name; notebooks draw them, `Figure.save` writes them.

        Raises:
            ValidationError: what draws the report is not installed.
        """
        from penstock.page.paper_figures import paper_figures  # noqa: PLC0415 - slow to import
        from penstock.page.report import report_view  # noqa: PLC0415 - slow to import

        with StoreReader(self.output_dir) as store, store.snapshot():
            view = report_view(store, store.study(), texts="none")

        return {figure.name: figure for figure in paper_figures(view)}

    def analyze(self, *, unblind: str | None = None) -> Analysis:
        """Analyse what came of the study, as it declares it; needs ``penstock[analysis]``.

        Args:
            unblind: Why what each condition came to is to be shown although runs of a study with
                declared hypotheses are left; the reason is kept, and stands in the report.

        Raises:
            ValidationError: the extra is not installed.
            StoreError: the reason cannot be kept.
        """
        from penstock.analysis.analyze import analyze  # noqa: PLC0415 - needs an extra

        if unblind is not None:
            make_unblind(self.output_dir, unblind)

        with StoreReader(self.output_dir) as store, store.snapshot():
            return analyze(store, store.study())

    def _read(self, start: int, stop: int) -> Iterator[RunResult]:
        if start < stop:
            with StoreReader(self.output_dir) as store:
                yield from store.results(start, stop)

    def _repr_html_(self) -> str:
        summary = self.summary
        counts = ("planned", "succeeded", "failed", "remaining")
        rows = [[f"{getattr(summary, name):,}" for name in counts]]
        kept = summary.session.restored
        lines = [*([f"{kept:,} kept from before"] if kept else []), *self._finding()]
        return html_block(f"results in {self.output_dir}", html_table(counts, rows), lines=lines)

    def _finding(self) -> list[str]:
        """Describe what came of the study in three lines, or why nothing is said."""
        if not self._length:
            return ["no run has a result yet"]

        if self._length > _MOST_SUMMED_UP:
            return ["analyze() says what came of so many runs"]

        from penstock.analysis.finding import finding_lines  # noqa: PLC0415 - slow to import

        try:
            return finding_lines(self.analyze())
        except PenstockError as error:  # the extra is not installed
            return [str(error)]
