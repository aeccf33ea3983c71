"""Takes the pictures of the home page: a terminal of 80 columns, and the report of the same study.

CHROMIUM=chromium python docs/make_pictures.py

It runs the study that `penstock init --template paired` writes. It needs Playwright and Chromium.
"""

from __future__ import annotations

import html
import os
import re
import runpy
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"
in_a_shell = runpy.run_path(str(HERE / "make_first_hour.py"))["in_a_shell"]

SESSION = ["penstock init verify --template paired", "cd verify", "penstock check", "penstock run"]
ON_THE_WAY = re.compile(r".*\d+/\d+ done .* left .*\n")
"""Lines of progress but the last, which a terminal would have written over."""

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


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        text = session(Path(folder))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
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
