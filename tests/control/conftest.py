"""A study that runs and listens, for the tests of both sides of its socket."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.control.address import CAN_LISTEN


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short path for results, so that the socket fits into it."""
    if not CAN_LISTEN:
        pytest.skip("this system has no sockets of one user")

    with tempfile.TemporaryDirectory(prefix="s-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder) / "results"
