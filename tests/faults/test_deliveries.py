"""``kill -9`` of a study while its webhook posts: nothing is missed, and what comes twice says so.

``PENSTOCK_DELIVERY_KILLS`` says how many kills are made: a few in ``make test``, 100 in
``make deliveries``.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from random import Random

import pytest

import penstock as ps
from penstock.events import from_json
from penstock.replay import replay
from tests.faults.conftest import Prove, run_module
from tests.receivers import Posted, Receiver, receiving

KILLS = int(os.environ.get("PENSTOCK_DELIVERY_KILLS", "2"))
RUNS = 8 * KILLS + 8


class Killer:
    """Kills who posts at random moments: before its post is answered, or after.

    Args:
        kills: How often.
    """

    def __init__(self, kills: int) -> None:
        self.kills, self.made = kills, 0
        self._random = Random(kills)
        self._left = 1

    def __call__(self, posted: Posted) -> int | None:
        if self.made == self.kills:
            return 204

        self._left -= 1
        if self._left:
            return 204

        self.made += 1
        self._left = self._random.randint(2, 9)
        os.kill(int(posted.path.strip("/")), signal.SIGKILL)
        return self._random.choice([204, None])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_webhook_gets_every_run_although_the_study_is_killed_again_and_again(
    tmp_path: Path, proved: Prove
) -> None:
    killer = Killer(KILLS)
    with receiving(Receiver(killer)) as receiver:
        done = run_module(
            "tests.faults.delivering",
            tmp_path / "results",
            RUNS,
            timeout_s=1200,
            WEBHOOK_URL=receiver.url,
        )

    assert done.returncode == 0, done.stderr
    assert killer.made == KILLS
    numbers = [json.loads(each.body)["seq"] for each in receiver.posted]
    saved: dict[int, ps.RunFinished] = {}
    replay(tmp_path / "results", lambda each: saved.update({each.seq: each}), types=["RunFinished"])

    assert sorted({*numbers}) == [*saved], "nothing is missed"
    assert len(saved) == RUNS
    assert [*dict.fromkeys(numbers)] == [*saved], "in order"
    assert all(
        from_json(each.body.decode()) == saved[seq]
        for each, seq in zip(receiver.posted, numbers, strict=True)
    )
    keys = {each.headers["Idempotency-Key"] for each in receiver.posted}
    assert keys == {f"delivered-{seq}" for seq in saved}
    proved(
        "kill -9 while a webhook posts runs",
        "every run is posted, in order; one that comes twice has the same number",
        "{kills:.0f} kills, {runs:.0f} runs, {missed:.0f} missed",
        kills=KILLS,
        runs=RUNS,
        missed=RUNS - len({*numbers}),
    )
