"""The live page: the report's page with what changes above it, and runs that a server gives."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from penstock._base.fact import Fact
from penstock.page.live_view import LiveView
from penstock.page.render import Page, render_page
from penstock.page.view import ReportView

__all__ = ["ListedStudy", "LiveHead", "list_page", "live_page"]

_STYLES = ("page.css", "live.css")


class LiveHead(Fact):
    """What of a live page does not change while it is open.

    Args:
        study_id: The study.
        title: Its title.
        description: What it says about itself.
        conditions: The rows of its matrix.
        problems: Its problems, in the order of the plan.
        grouped: How many neighbouring problems share a column of the matrix.
        planned: For each cell how many runs are planned; row by row.
        may_act: Whether the page has buttons.
        is_listed: Whether there is a list of studies to go back to.
    """

    study_id: str
    title: str
    description: str = ""
    conditions: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    grouped: int = 1
    planned: tuple[int, ...] = ()
    may_act: bool = False
    is_listed: bool = False


class ListedStudy(Fact):
    """A study in the list of those that are served.

    Args:
        name: Its name in addresses.
        study_id: Its id.
        title: Its title.
        view: Where it stands.
    """

    name: str
    study_id: str
    title: str
    view: LiveView

    def told(self) -> dict[str, Any]:
        """Return what the list shows, as plain values."""
        names = ("state", "planned", "succeeded", "failed", "skipped", "cost", "saved_at")
        shown = {name: getattr(self.view, name) for name in names}
        return {"name": self.name, "id": self.study_id, "title": self.title, **shown}


def live_page(head: LiveHead, first: LiveView, report: ReportView | None) -> Page:
    """Return the live page of a study.

    Args:
        head: What does not change.
        first: Where the study stands; the page shows it before it hears anything.
        report: What came of the study; None while it runs, and while that is withheld.
    """
    view = report or _nothing_yet(head.study_id, head.title)
    told = head.model_dump(mode="json", include={"grouped", "planned", "may_act"})
    rows = {"rows": head.conditions, "columns": head.problems, "hasReport": report is not None}
    return render_page(
        "live.html.j2",
        view,
        modules=("page.js", "live.js", "grid.js", "paged.js"),
        styles=_STYLES,
        asks_server=True,
        data={**told, **rows, "first": first.told()},
        head=head,
        has_report=report is not None,
    )


def list_page(studies: Sequence[ListedStudy]) -> Page:
    """Return the page that lists the studies that are served."""
    return render_page(
        "studies.html.j2",
        _nothing_yet("penstock", "Studies"),
        modules=("page.js", "studies.js"),
        styles=_STYLES,
        asks_server=True,
        data={"studies": [each.told() for each in studies]},
    )


def _nothing_yet(study_id: str, title: str) -> ReportView:
    return ReportView(
        study_id=study_id, title=title, facts="", outcome="", version=version("penstock")
    )
