"""What the live page costs: in the browser, in its server, and in the study that it shows.

    CHROMIUM=chromium python benchmarks/page.py [--runs 30000] [--concurrency 256] [--wait-ms 100]
                                                [--turns 2] [--rows 50000] [--screenshots FOLDER]

A study of 2,000 runs a second runs in a process of its own, `penstock serve --control` in another,
the page is open in Chromium for ten seconds of it, and two `penstock watch` look on. Then the same
study with none of them, and that in turns; then the runs of a large one are scrolled. What it costs
is CPU time. It needs Playwright and Chromium.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, process_time, sleep
from typing import Any

import anyio
from figures import Figure, options, report
from playwright.sync_api import sync_playwright
from report_page import VIEWS, answer, make_study

import penstock as ps

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
LONG_TASKS = """
window.long = [];
const note = (list) => list.getEntries().forEach((each) => window.long.push(each.duration));
new PerformanceObserver(note).observe({type: "longtask", buffered: true});
"""
ACT = """async (limit) => {
  const begun = performance.now();
  const body = JSON.stringify({do: "set", values: {"execution.concurrency": limit}});
  const headers = {"content-type": "application/json"};
  const answer = await fetch("actions", {method: "POST", headers, body});
  return [answer.ok, performance.now() - begun];
}"""
JUMP = """async (share) => {
  const box = document.getElementById("rows");
  const begun = performance.now();
  box.scrollTop = share * (box.scrollHeight - box.clientHeight);
  while (performance.now() - begun < 10_000) {
    await new Promise(requestAnimationFrame);
    const rows = [...box.querySelectorAll(".row")];
    if (rows.length > 8 && rows.every((row) => row.children.length === 5)) break;
  }
  return performance.now() - begun;
}"""


def run_alone(folder: Path, runs: int, concurrency: int, wait_ms: int) -> None:
    """Run the study in this process, and print what it cost and took."""

    async def waits(ctx: ps.RunContext) -> str:
        await anyio.sleep(wait_ms / 1000)
        return await answer(ctx)

    study = make_study(folder, runs)
    agents = {"small": waits, "large": waits}
    begun, started = process_time(), monotonic()
    ps.run_study(
        study, agent_bindings=agents, show_progress=False, report=False, concurrency=concurrency
    )
    print(process_time() - begun, monotonic() - started)


@contextmanager
def studying(
    folder: Path, *, runs: int, concurrency: int, wait_ms: int
) -> Iterator[subprocess.Popen[str]]:
    numbers = [str(each) for each in (runs, concurrency, wait_ms)]
    command = [sys.executable, __file__, "--study", str(folder), *numbers]
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, **quiet) as process:  # type: ignore[call-overload]
        yield process
        process.wait()


@contextmanager
def serving(results: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-c", "from penstock.cli import main; main()", "serve"]
    more = [str(results), "--port", "0", "--control"]
    with subprocess.Popen([*command, *more], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = None
        while found is None:
            found = re.search(r"http://\S+", process.stderr.readline())

        try:
            yield process, found[0]
        finally:
            process.terminate()


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def log_bytes(folder: Path) -> int:
    """Return how large the write-ahead log of the study is."""
    log = folder / "results" / "study.sqlite-wal"
    return log.stat().st_size if log.exists() else 0


class Browser:
    """A page in Chromium, and what it has cost."""

    def __init__(self, chromium: Any, address: str) -> None:
        self.chromium = chromium
        self.context = chromium.new_context(**VIEWS["light-1280"])
        self.page = self.context.new_page()
        self.page.add_init_script(LONG_TASKS)
        self.messages = self.bytes = 0
        session = self.context.new_cdp_session(self.page)
        session.send("Network.enable")
        session.on("Network.eventSourceMessageReceived", self.hear)
        self.all = chromium.new_browser_cdp_session()
        self.page.goto(address)
        self.page.wait_for_selector("html[data-ready=yes]", state="attached")

    def hear(self, message: Any) -> None:
        self.messages += 1
        self.bytes += len(message["data"])

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU time of the browser's processes, by kind, in seconds."""
        found: dict[str, float] = {}
        for each in self.all.send("SystemInfo.getProcessInfo")["processInfo"]:
            found[each["type"]] = found.get(each["type"], 0.0) + each["cpuTime"]

        return found


@contextmanager
def watching(results: Path, count: int = 2) -> Iterator[None]:
    """Watch a study with so many terminals, inside the block."""
    command = [sys.executable, "-c", "from penstock.cli import main; main()", "watch", "--json"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    watchers = [subprocess.Popen([*command, str(results)], **quiet) for _ in range(count)]  # type: ignore[call-overload]
    try:
        yield
    finally:
        for each in watchers:
            each.kill()
            each.wait()


def watched(given: Any, chromium: Any) -> Iterator[Figure]:
    """Run the study with the page open and two who watch, and without, in turns."""
    seen, alone, largest = [], [], 0
    for turn in range(given.turns):
        figures, cost, took = _with_page(given, chromium)
        seen.append(cost)
        if not turn:
            yield Figure("runs a second", given.runs / took, "/s", at_least=1_900)
            yield from figures

        cost, largest = _without_page(given)
        alone.append(cost)

    yield Figure("largest write-ahead log without a page", largest / 1e6, "MB")
    ratio = min(seen) / min(alone)
    yield Figure("CPU of the study with page and two watchers, to none", ratio, "x", at_most=1.05)


def _size(given: Any) -> dict[str, int]:
    return {name: getattr(given, name) for name in ("runs", "concurrency", "wait_ms")}


def _with_page(given: Any, chromium: Any) -> tuple[list[Figure], float, float]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        with studying(folder, **_size(given)) as study:
            while not (folder / "results" / "study.sqlite").exists():
                assert study.poll() is None
                sleep(0.01)

            results = folder / "results"
            with serving(results) as (server, address), watching(results):
                figures = [*_watch(Browser(chromium, address), study, server, folder, given)]
                cost, took = map(float, study.communicate()[0].split())

    return figures, cost, took


def _without_page(given: Any) -> tuple[float, int]:
    with TemporaryDirectory() as name, studying(Path(name), **_size(given)) as study:
        largest = 0
        while study.poll() is None:
            largest = max(largest, log_bytes(Path(name)))
            sleep(0.1)

        return float(study.communicate()[0].split()[0]), largest


def _watch(browser: Browser, study: Any, server: Any, folder: Path, given: Any) -> Iterator[Figure]:
    page = browser.page
    page.wait_for_timeout(1_000)  # what comes first is drawn
    page.evaluate("() => { window.long = []; }")
    before, of_server, heard = browser.cpu_s(), cpu_s(server.pid), browser.messages
    bytes_before, begun, largest = browser.bytes, monotonic(), 0
    while study.poll() is None and monotonic() - begun < 10:
        page.wait_for_timeout(200)
        largest = max(largest, log_bytes(folder))

    lasts = monotonic() - begun
    after, served = browser.cpu_s(), cpu_s(server.pid) - of_server
    drawn = after["renderer"] - before["renderer"]
    yield Figure(
        "long tasks", sum(page.evaluate("() => window.long")) * 10 / lasts, "ms/10 s", at_most=300
    )
    yield Figure("CPU of page and server together", 100 * (drawn + served) / lasts, "%", at_most=5)
    yield Figure("of that: the page", 100 * drawn / lasts, "%")
    yield Figure("of that: the server", 100 * served / lasts, "%")
    yield Figure("messages a second", (browser.messages - heard) / lasts, "/s", at_most=4.2)
    yield Figure(
        "bytes a message", (browser.bytes - bytes_before) / max(1, browser.messages - heard), ""
    )
    yield Figure("largest write-ahead log", largest / 1e6, "MB")
    if given.screenshots is not None:
        given.screenshots.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=given.screenshots / "live.png", full_page=True)

    acts = [page.evaluate(ACT, given.concurrency - at % 2) for at in range(9)]
    took = [each for ok, each in acts if ok]
    if took:
        yield Figure("an action, until it is kept and said", median(took), "ms", at_most=100)

    browser.context.close()


def scrolled(rows: int, chromium: Any) -> Iterator[Figure]:
    """Scroll the runs of a study that has ended."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        with studying(folder, runs=rows, concurrency=500, wait_ms=0) as study:
            study.communicate()

        with serving(folder / "results") as (_, address):
            begun = monotonic()
            browser = Browser(chromium, address)
            yield Figure(f"{rows:,} runs: opened, with the report", monotonic() - begun, "s")
            jumps = [browser.page.evaluate(JUMP, share) for share in (1, 0.5, 0.25, 0.75, 0)]
            yield Figure(f"{rows:,} runs: a jump, until rows are there", median(jumps), "ms")
            browser.context.close()


def main() -> None:
    if sys.argv[1:2] == ["--study"]:
        run_alone(Path(sys.argv[2]), *map(int, sys.argv[3:]))
        return

    parser = options(__doc__, runs=30_000, concurrency=256, wait_ms=100, rows=50_000, turns=2)
    parser.add_argument("--screenshots", type=Path, help="where to put a picture of the page")
    given = parser.parse_args()
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        figures = [
            *watched(given, chromium),
            *(scrolled(given.rows, chromium) if given.rows else ()),
        ]
        chromium.close()

    report("page", figures, given)


if __name__ == "__main__":
    main()
