"""The live page in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import anyio
import pytest

import penstock as ps
from penstock.control.address import CAN_LISTEN
from penstock.store.actions import actions
from penstock.store.reader import StoreReader
from penstock.web.serving import listen, open_server
from tests.browsers import open_page, started_browser
from tests.page.studies import HOSTILE, run_study

pytestmark = pytest.mark.skipif(not CAN_LISTEN, reason="needs sockets of one user")


class Elsewhere:
    """A study of 400 runs in another thread; so many of them may end as it is told to let go."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self.may_end = 0
        self.begun = 0
        study = ps.Study(
            study_id="watched",
            title=HOSTILE[1],
            factors=(ps.Factor(name="tone", levels=("plain", HOSTILE[0])),),
            problems=tuple(ps.Problem(problem_id=f"p{at}") for at in range(10)),
            agent_specs=("a",),
            replicates=20,
        )
        self.runner = ps.StudyRunner(
            study,
            agent_bindings={"a": self.agent},
            output_dir=results,
            show_progress=False,
            control=True,
            concurrency=4,
        )

    async def agent(self, ctx: ps.RunContext) -> str:
        self.begun += 1
        own = self.begun
        while own > self.may_end:  # noqa: ASYNC110 - another thread lets it go
            await anyio.sleep(0.01)

        if own % 20 == 0:
            raise TimeoutError(HOSTILE[1])

        return HOSTILE[own % len(HOSTILE)]

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=anyio.run, args=(self.runner.run,))
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.may_end = 10_000
        self.thread.join(30)
        assert not self.thread.is_alive()


class Server:
    """A server of the page, which can be ended and started again at its port."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self.port = 0
        self.address = ""

    def start(self) -> None:
        self.at = listen("127.0.0.1", self.port)
        self.port = self.at.getsockname()[1]
        self.server, self.address = open_server([self.results], self.at, control=True)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.at]})
        self.thread.start()

    def end(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)
        self.at.close()


@pytest.fixture(scope="module")
def browser(whole: Path) -> Iterator[Any]:
    with started_browser() as found:
        yield found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_study(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Server]]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    started = []

    def start(results: Path) -> Server:
        server = Server(results)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.end()


def saying(page: Any, place: str, text: str) -> None:
    page.wait_for_function(
        "([place, text]) => document.querySelector(place).textContent.includes(text)",
        arg=[place, text],
    )


def test_a_study_is_watched_and_steered_from_a_page_that_finds_its_server_again(
    tmp_path: Path, browser: Any, serve: Callable[[Path], Server]
) -> None:
    with Elsewhere(tmp_path / "r") as study:
        server = serve(study.results)
        found = open_page(browser, server.address)
        page = found.page
        saying(page, "#state", "Running")
        saying(page, "#flight", "4")
        study.may_end = 100
        saying(page, "#counts", "100 of 400 runs have ended")
        saying(page, "#failures-more", "TimeoutError")
        saying(page, "#matrix-said", "5 runs have failed")
        page.locator("#newest-part").scroll_into_view_if_needed()
        page.wait_for_function("() => document.querySelectorAll('#newest li').length === 8")

        page.fill("#reason", "the night rate")
        page.fill("#concurrency", "7")
        page.click("[data-do=set]")
        saying(page, "#flight", "7")
        saying(page, "#done-so", "done, and kept")
        page.click("[data-do=pause]")
        saying(page, "#state", "Paused by ")
        assert study.runner.steering.is_paused

        server.end()
        saying(page, "#notice", "does not answer")
        server.start()
        page.wait_for_selector("#notice", state="hidden")
        page.click("[data-do=resume]")
        saying(page, "#state", "Running")

        study.may_end = 400
        page.wait_for_selector("#evidence")  # it has become the report
        saying(page, "#state", "Complete")
        saying(page, "#counts", "400 of 400 runs have ended")

    said = [each for each in found.said if "ERR_" not in each]  # while there was no server
    assert said == []
    assert {url.split("/")[2] for url in found.asked if not url.startswith("data:")} == {
        f"127.0.0.1:{server.port}"
    }
    assert page.title() == HOSTILE[1]
    with StoreReader(study.results) as store:
        kept = [(each.what, each.new, each.reason) for each in actions(store)]

    assert kept == [
        ("set execution.concurrency", "7", "the night rate"),
        ("pause", None, ""),
        ("resume", None, ""),
    ]


def test_runs_are_paged_opened_and_chosen_and_none_of_them_runs(
    browser: Any, serve: Callable[[Path], Server], whole: Path
) -> None:
    found = open_page(browser, serve(whole).address)
    page = found.page
    saying(page, "#count", "48")
    page.select_option("#problem", label="p3")
    page.select_option("#status", label="Failed")
    saying(page, "#count", "1")
    page.wait_for_selector(".grid .row.failed")
    page.click(".grid .row")
    saying(page, "#panel", "the line broke")
    page.keyboard.press("Escape")
    page.select_option("#status", label="Any status")
    page.select_option("#problem", label="Any problem")
    saying(page, "#count", "48")
    page.focus("#grid")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector("#panel:not([hidden])")
    for _ in range(47):
        page.keyboard.press("j")

    saying(page, "#panel", "polite")
    assert "#run=run-" in page.url
    assert page.locator("#panel img, #panel iframe, #panel script").count() == 0
    assert found.said == []


@pytest.mark.parametrize(
    "options",
    [{"viewport": {"width": 390, "height": 844}}, {"color_scheme": "dark"}],
)
def test_it_fits_a_phone_and_a_dark_screen(
    browser: Any, serve: Callable[[Path], Server], whole: Path, options: dict[str, Any]
) -> None:
    found = open_page(browser, serve(whole).address, **options)
    wide = found.page.evaluate("document.documentElement.scrollWidth - innerWidth")

    assert wide <= 0
    assert found.said == []
