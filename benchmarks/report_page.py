"""The report page at 1,600 and 50,000 runs: its size, what it takes to make, and to open.

python benchmarks/report_page.py [--runs N] [--screenshots DIR]

Two prompts by two framings by two agents, with as many problems and replicates as make the runs,
and answers of some 500 characters. Opened in Chromium, where it and Playwright are installed.
"""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterator
from math import exp
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

from figures import Figure, options, report

import penstock as ps
from penstock.analysis.analyze import analyze
from penstock.page.report import write_report
from penstock.store.reader import StoreReader
from penstock.study.hypotheses import Contrast

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
WORDS = ("the", "water", "runs", "down,", "and", "then", 'says "stop";', "turbine", "is\n", "42.")
VIEWS: dict[str, dict[str, Any]] = {
    "light-1280": {"viewport": {"width": 1280, "height": 720}},
    "dark-1280": {"viewport": {"width": 1280, "height": 720}, "color_scheme": "dark"},
    "light-390": {"viewport": {"width": 390, "height": 844}},
    "dark-390": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}
DRAWN = """() => [...document.querySelectorAll('[data-figure]')].every(
    each => each.querySelector('svg,canvas'))"""


async def answer(ctx: ps.RunContext) -> str:
    """Be right more often when asked for steps; fail once in a hundred runs; say some words."""
    draw = Random(ctx.seed)
    if draw.random() < 0.01:
        raise TimeoutError("the provider did not answer")

    ease = Random(ctx.problem.problem_id).gauss(0.2, 1.2)
    steps = 0.85 * (ctx.condition["prompt"] == "steps")
    ctx.record(
        correct=float(draw.random() < 1 / (1 + exp(-ease - steps))),
        cost_usd=0.0002 * (1 + steps),
        input_tokens=200,
        output_tokens=120,
    )
    return " ".join(draw.choices(WORDS, k=100 + int(80 * steps)))


def make_study(folder: Path, runs: int) -> ps.Study:
    """Make a study of about so many runs: 40 problems, or 250 where they are many."""
    problems = 40 if runs <= 5_000 else 250
    claims = (("h1", "prompt", "steps", "plain"), ("h2", "framing", "polite", "neutral"))
    return ps.Study(
        study_id="report-page",
        title="Do steps and politeness help?",
        factors=[
            ps.Factor(name="prompt", levels=["plain", "steps"]),
            ps.Factor(name="framing", levels=["neutral", "polite"]),
        ],
        agent_specs=["small", "large"],
        problems=[
            ps.Problem(problem_id=f"p{at:03}", brief=f"How much is {at} and one?")
            for at in range(problems)
        ],
        outcomes=[
            ps.Outcome(
                name="correct",
                source_table="runs",
                column="correct",
                aggregation="mean",
                primary=True,
                better="higher",
            )
        ],
        hypotheses=[
            ps.Hypothesis(
                hypothesis_id=name,
                label=name,
                statement=f"{left} helps",
                independent_vars=[factor],
                contrast=Contrast(left=left, right=right),
                direction="greater",
                minimum_effect_of_interest=0.05,
            )
            for name, factor, left, right in claims
        ],
        replicates=max(1, round(runs / (8 * problems))),
        execution=ps.Execution(concurrency=500),
        output_dir=folder / "results",
    )


def measure(runs: int, screenshots: Path | None) -> Iterator[Figure]:
    """Run the study, make its page, and open it."""
    with TemporaryDirectory() as folder:
        study = make_study(Path(folder), runs)
        agents = {"small": answer, "large": answer}
        results = ps.run_study(study, agent_bindings=agents, show_progress=False, report=False)
        page = Path(folder) / "report.html"
        with StoreReader(results.output_dir) as store:
            started = process_time()
            analysis = analyze(store, study, with_models=False)
            analysed = process_time() - started
            started = process_time()
            write_report(store, study, page, analysis=analysis)
            made = process_time() - started

        text = page.read_bytes()
        what = f"{len(results):,} runs: "
        yield Figure(f"{what}file", len(text) / 1e6, "MB", at_most=12)
        yield Figure(f"{what}file, gzipped", len(gzip.compress(text)) / 1e6, "MB")
        yield Figure(f"{what}analysis, CPU", analysed, "s")
        yield Figure(f"{what}page beyond it, CPU", made, "s", at_most=5)
        yield from _opened(page, what, screenshots)


def _opened(page: Path, what: str, screenshots: Path | None) -> Iterator[Figure]:
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where it is
    except ImportError:
        return

    if not CHROMIUM:
        return

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        times = [_open_once(chromium, page) for _ in range(3)]
        for name, unit, at_most in (
            ("ready", "s", 3.0),
            ("all figures drawn", "s", None),
            ("first paint", "s", None),
            ("JS heap", "MB", None),
            ("DOM nodes", "", None),
            ("text filter", "ms", None),
        ):
            value = median(each[name] for each in times)
            yield Figure(f"{what}{name}", value, unit, at_most=at_most)

        if screenshots is not None:
            _take(chromium, page, screenshots, what.split(maxsplit=1)[0].replace(",", ""))

        chromium.close()


def _open_once(chromium: Any, page: Path) -> dict[str, float]:
    context = chromium.new_context(**VIEWS["light-1280"])
    tab = context.new_page()
    started = perf_counter()
    tab.goto(page.as_uri(), wait_until="commit")
    tab.wait_for_selector("html[data-ready=yes]", state="attached")
    ready = perf_counter() - started
    tab.wait_for_function(DRAWN)
    drawn = perf_counter() - started
    found = {
        "ready": ready,
        "all figures drawn": drawn,
        "first paint": tab.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
        )
        / 1000,
        "JS heap": tab.evaluate("performance.memory.usedJSHeapSize") / 1e6,
        "DOM nodes": tab.evaluate("document.querySelectorAll('*').length"),
        "text filter": tab.evaluate(
            """() => {
                const box = document.querySelector('#search');
                const started = performance.now();
                box.value = 'did not answer';
                box.dispatchEvent(new Event('input', {bubbles: true}));
                return performance.now() - started;
            }"""
        ),
    }
    context.close()
    return found


def _take(chromium: Any, page: Path, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for view, how in VIEWS.items():
        context = chromium.new_context(**how)
        tab = context.new_page()
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-ready=yes]", state="attached")
        tab.wait_for_function(DRAWN)
        tab.screenshot(path=folder / f"{name}-{view}.png", full_page=True)
        context.close()


if __name__ == "__main__":
    parser = options(__doc__, runs=0)
    parser.add_argument("--screenshots", type=Path, help="where to put pictures of the page")
    given = parser.parse_args()
    sizes = [given.runs] if given.runs else [1_600, 50_000]
    report(
        "report page", [each for size in sizes for each in measure(size, given.screenshots)], given
    )
