from __future__ import annotations

from math import inf

from penstock._base.aimd import Pause


def test_a_pause_without_a_stated_length_doubles_up_to_half_a_minute() -> None:
    pause, now, waits = Pause(longest_s=300), 0.0, []
    for _ in range(9):
        pause.begin(None, admitted_at=now, now=now + 0.1)
        waits.append(round(pause.until - now - 0.1, 6))
        now = pause.until

    assert waits == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]


def test_rejections_that_come_together_double_a_pause_once() -> None:
    pause = Pause(longest_s=300)
    assert pause.until == -inf
    began = [pause.begin(None, admitted_at=0.0, now=1.0) for _ in range(100)]

    assert began == [True] + [False] * 99
    assert pause.until == 1.25
