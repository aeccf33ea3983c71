"""A study that goes on and on, with faults on: nothing of its runs is kept in memory.

Two studies, one some times as long as the other, must leave as much behind. Hours of it, and slopes
of memory: ``make soak``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.faults.conftest import IS_LONG, ROOT, Prove, environment

FEW, MANY = 500, 20_000 if IS_LONG else 2_500
LEAST = 1.0
"""How many blocks of memory the smallest object takes that could be kept of each run."""


def soak(runs: int) -> dict[str, Any]:
    """Run a study of agents, subscribers and a provider that misbehave; give what it leaves."""
    script, pace = ROOT / "benchmarks" / "soak.py", ("--answer-s", "0.1", "--concurrency", "100")
    ended = subprocess.run(
        [sys.executable, script, "--runs", str(runs), *pace],
        capture_output=True,
        text=True,
        timeout=600,
        env=environment(),
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_a_study_keeps_nothing_of_its_runs_however_many_go_wrong(proved: Prove) -> None:
    with ThreadPoolExecutor() as both:
        few, many = both.map(soak, (FEW, MANY))

    assert min(many[name] for name in ("succeeded", "failed", "skipped", "retried")) > 0
    for found in (few, many):
        assert [found[f"{name}_left"] for name in ("files", "threads", "tasks")] == [0, 0, 0]

    more = many["started"] - few["started"]
    assert more > MANY / 2
    kept = many["blocks_left"] - few["blocks_left"]
    assert kept / more < LEAST  # what is kept once, such as a cache that fills, is some of it
    proved(
        "a long study in which much goes wrong",
        "no file, thread or task is left, and nothing is kept of a run that is saved",
        "{more:,.0f} more attempts, {kept:,.0f} more blocks of memory",
        more=more,
        kept=kept,
    )
