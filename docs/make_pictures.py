"""Takes the pictures of the docs: a terminal, the report of the same study, and the live page.

CHROMIUM=chromium python docs/make_pictures.py [live]

It runs the study that `penstock init --template paired` writes, and one of benchmarks/page.py that
takes a minute. It needs Playwright and Chromium. With `live` the pictures of the live page alone.
"""

from __future__ import annotations

import html
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any

from playwright.sync_api import sync_playwright

from penstock.web.serving import served_beside

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"
in_a_shell = runpy.run_path(str(HERE / "make_first_hour.py"))["in_a_shell"]

SESSION = ["penstock init verify --template paired", "cd verify", "penstock check", "penstock run"]
ON_THE_WAY = re.compile(r".*\d+/\d+ done .* left .*\n")
"""Lines of progress but the last, which a terminal would have written over."""

LIVE: dict[str, Any] = {
    "live": {"viewport": {"width": 1100, "height": 820}},
    "live-phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}

TERMINAL = """<style>
body {{ margin: 0; background: #14171c; color: #d6dbe3; font: 15px/1.45 "DejaVu Sans Mono", monospace }}
pre {{ margin: 0; padding: 18px 22px; width: 80ch; white-space: pre-wrap; overflow-wrap: anywhere }}
b {{ color: #7fd1b9; font-weight: normal }}
</style><pre>{}</pre>"""  # noqa: E501 - CSS


def session(folder: Path) -> str:
    """Run the commands one after the other, and return what a terminal shows, as HTML."""
    shown, here = [], folder
    for command in SESSION:
        shown.append(f"<b>$</b> {html.escape(command)}\n")
        if command.startswith("cd "):
            here /= command.removeprefix("cd ")
        else:
            printed = in_a_shell(command, here).replace(str(folder.resolve()), "/home/you")
            shown.append(html.escape(ON_THE_WAY.sub("", printed)))

    return "".join(shown).rstrip()


def live(browser: Any, folder: Path) -> None:
    """Take pictures of a study of 1,600 runs in the middle of it."""
    size = ["1600", "40", "1200"]
    command = [sys.executable, str(HERE.parent / "benchmarks" / "page.py"), "--study", str(folder)]
    with subprocess.Popen([*command, *size], stdout=subprocess.DEVNULL) as study:
        while not (folder / "results" / "study.sqlite").exists():
            sleep(0.1)

        with served_beside(folder / "results", control=True) as address:
            for name, options in LIVE.items():
                page = browser.new_page(**options)
                page.goto(address)
                page.wait_for_function(
                    "() => Number(document.body.querySelector("
                    "'#progress').getAttribute('aria-valuenow')) > 500"
                )
                page.wait_for_timeout(4_000)
                page.screenshot(path=PICTURES / f"{name}.png")

        study.terminate()


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        live(browser, Path(folder) / "live")
        if sys.argv[1:] == ["live"]:
            return

        text = session(Path(folder))
        page = browser.new_page(viewport={"width": 800, "height": 200})
        page.set_content(TERMINAL.format(text))
        page.locator("pre").screenshot(path=PICTURES / "terminal.png")

        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.goto((Path(folder) / "verify" / "artifacts" / "paired" / "report.html").as_uri())
        page.wait_for_selector("[data-figure] svg")
        page.screenshot(path=PICTURES / "report.png")
        browser.close()


if __name__ == "__main__":
    main()
