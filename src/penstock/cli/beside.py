"""The live page of a study, served while `penstock run` runs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.cli.output import say

__all__ = ["page_beside"]


@contextmanager
def page_beside(directory: Path, *, is_wanted: bool) -> Iterator[None]:
    """Serve the live page of a study inside the block, and print its address.

    Args:
        directory: The study's output directory.
        is_wanted: Whether to; else nothing is imported for it.

    Raises:
        ValidationError: the page cannot be served.
    """
    if not is_wanted:
        yield
        return

    from penstock._base.extras import load_extra

    serving = load_extra("penstock.web.serving", extra="web", what="the live page")
    with serving.served_beside(directory, control=False) as address:
        say(f"the live page: {address}")
        yield
