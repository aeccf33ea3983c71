"""The page in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from penstock.page.report import write_report
from penstock.store.reader import StoreReader
from tests.browsers import Opened, open_page, started_browser
from tests.page.studies import HOSTILE, run_asking_study, run_study


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    results = run_study(folder, title="<b>Polite</b> \u202eprompts")
    with StoreReader(results) as store:
        write_report(store, store.study(), folder / "report.html")

    return folder / "report.html"


@pytest.fixture(scope="module")
def browser(report: Path) -> Iterator[Any]:
    with started_browser() as found:
        yield found


@pytest.fixture
def opened(browser: Any, report: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    found = open_page(browser, report.as_uri(), **getattr(request, "param", {}))
    yield found
    found.page.context.close()


def test_the_page_is_drawn_without_a_word_and_without_a_request(opened: Opened) -> None:
    opened.page.wait_for_selector("[data-figure=matrix] svg")

    drawn = opened.page.locator("[data-figure] svg").count()
    assert drawn == opened.page.locator("[data-figure]").count() >= 5
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize(
    "opened",
    [{"viewport": {"width": 390, "height": 844}}, {"color_scheme": "dark"}],
    indirect=True,
)
def test_it_fits_a_phone_and_a_dark_screen(opened: Opened) -> None:
    wide = opened.page.evaluate("document.documentElement.scrollWidth - innerWidth")

    assert wide <= 0
    assert opened.said == []


def test_every_answer_can_be_opened_and_none_of_them_runs(opened: Opened) -> None:
    page = opened.page
    page.focus("#grid")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    for _ in range(48):
        page.keyboard.press("j")

    assert page.locator("#panel").is_visible()
    assert page.title().startswith("<b>Polite")
    assert page.locator("#panel img, #panel iframe, #panel script").count() == 0
    assert opened.said == []


def test_a_run_has_an_address_and_escape_closes_it(opened: Opened, report: Path) -> None:
    page = opened.page
    page.click(".grid .row >> nth=3")
    address = page.url
    assert "#run=run-" in address

    page.keyboard.press("Escape")
    assert page.locator("#panel").is_hidden()

    page.goto(address)
    page.reload()
    page.wait_for_selector("#panel:not([hidden])")
    assert address.split("=")[1] in page.locator("#panel .meta").first.inner_text()


def test_runs_are_searched_and_filtered(opened: Opened) -> None:
    page = opened.page
    page.fill("#search", "the line broke")
    assert page.locator("#count").inner_text() == "1 of 48"

    page.fill("#search", "")
    page.select_option("#condition", label="polite")
    page.select_option("#problem", label="p4")
    assert page.locator("#count").inner_text() == "3 of 48"
    assert page.url.endswith("#condition=1&problem=4")


def test_the_forest_is_sorted_by_its_columns(opened: Opened) -> None:
    page = opened.page
    first = page.locator("#forest tbody th").first

    page.click("#forest [data-sort=mean]")
    assert first.inner_text() == "polite"
    page.click("#forest [data-sort=mean]")
    assert first.inner_text() == "plain"
    assert opened.said == []


def test_what_differs_between_two_answers_is_marked(opened: Opened) -> None:
    page = opened.page
    page.fill("#search", "Add 5")
    page.click(".grid .row >> nth=0")
    page.locator("#panel .dots button").last.click()

    assert page.locator("#panel .text").count() >= 2
    assert opened.said == []


def test_it_prints_the_whole_verdict_on_paper(opened: Opened, tmp_path: Path) -> None:
    opened.page.pdf(path=tmp_path / "report.pdf", format="A4")
    opened.page.set_viewport_size({"width": 688, "height": 1000})
    opened.page.emulate_media(media="print")
    opened.page.wait_for_function(
        "document.querySelector('td.plot svg').getBoundingClientRect().width <= 180"
    )
    widths = "[...document.querySelectorAll('#forest th .label')].map((each) => each.clientWidth)"

    assert min(opened.page.evaluate(widths)) > 60
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 688
    assert (tmp_path / "report.pdf").stat().st_size > 10_000
    assert opened.page.locator("#runs").is_hidden()
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )


@pytest.mark.parametrize(
    ("form", "begin"),
    [
        ("CSV", "Condition,Right,95 % interval,n"),
        ("LaTeX", "\\begin{tabular}{lrrrrr}\nCondition & Right & 95 \\% interval"),
        ("Markdown", "| Condition | Right | 95 % interval |"),
    ],
)
def test_a_table_is_copied_for_papers_and_spreadsheets(
    opened: Opened, form: str, begin: str
) -> None:
    page = opened.page
    page.evaluate(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: async (text) => {"
        "window.copied = text}}})"
    )

    page.locator("#forest + .copy button", has_text=form).click()
    page.wait_for_function("window.copied")

    assert page.evaluate("window.copied").startswith(begin)
    assert "polite" in page.evaluate("window.copied")
    assert opened.said == []


def test_the_panel_shows_what_was_asked_and_where_the_time_went(
    opened: Opened, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = opened.page
    folder = tmp_path_factory.mktemp("asked")
    in_a_thread(run_asking_study, folder)
    page.goto((folder / "results" / "report.html").as_uri())
    page.wait_for_selector("html[data-ready=yes]", state="attached")
    page.fill("#search", "p1")
    for row in page.locator(".grid .row").all():
        row.click()
        if page.locator("#panel .waterfall .bar").count() == 2:
            break

    told = page.locator("#panel").inner_text()
    assert "clear: 8\nIt is clear. Score: 8" in told
    assert "TimeoutError" in told
    assert "a asks big" in told or "agent asks big" in told
    assert "clear asks judge" in told
    assert "after 2 messages from above" in told
    assert "Are you sure?" in told
    assert "at the calculator" in told
    assert any(each[:20] in told for each in HOSTILE[:3])
    assert page.locator("#panel img, #panel iframe, #panel script, #panel svg").count() == 0
    assert opened.said == []


def in_a_thread(function: Any, *arguments: Any) -> None:
    """Call a function where no event loop of Playwright's is."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(function, *arguments).result()
