"""A real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
_PATIENCE_MS = 240_000
"""How long a page may take on a busy machine."""


class Opened:
    """A page in a browser, and what it said and asked for."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))


@contextmanager
def started_browser() -> Iterator[Any]:
    """Start Chromium, once studies have run: Playwright keeps an event loop in this thread."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if not _CHROMIUM:
        pytest.skip("there is no chromium here: install it, or set CHROMIUM to its path")

    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=_CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            timeout=_PATIENCE_MS,
        )
        yield chromium
        chromium.close()


def open_page(browser: Any, address: str, **options: Any) -> Opened:
    """Open a page of ours, and wait until it is drawn."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 720}} | options)
    context.set_default_timeout(_PATIENCE_MS)
    found = Opened(context.new_page())
    found.page.goto(address)
    found.page.wait_for_selector("html[data-ready=yes]", state="attached")
    return found
