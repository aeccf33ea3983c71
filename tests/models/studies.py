"""Small studies of chat models, run against a simulated provider."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import penstock as ps
from tests.builders import make_study

PRICE = {"input_usd_per_million": 1000.0, "output_usd_per_million": 2000.0}


def chat(url: str, **fields: Any) -> dict[str, Any]:
    """A chat agent as a study declares it."""
    given = {"base_url": url, "model": "some-model", "max_tokens": 20, **fields}
    return {"chat": given}


def chat_study(tmp_path: Path, agent: Mapping[str, Any], **fields: Any) -> ps.Study:
    """A study of two tones, and of one chat agent named ``gpt``."""
    given: dict[str, Any] = {
        "agents": {"gpt": agent},
        "agent_specs": ("gpt",),
        "prices": {"some-model": PRICE},
        "base_dir": tmp_path,
        "output_dir": "results",
    }
    return make_study(**(given | fields))


def rows(study: ps.Study, query: str) -> list[dict[str, Any]]:
    """Ask a study's store."""
    with closing(sqlite3.connect(study.resolve("results") / "study.sqlite")) as store:
        store.row_factory = sqlite3.Row
        return [dict(row) for row in store.execute(query)]
