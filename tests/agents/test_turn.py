"""Nobody waits for ever for a turn that another thread does not give back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from penstock.agents.turn import Turn


@pytest.mark.field("engine-K21")
def test_nobody_waits_for_a_turn_that_somebody_has_waited_for_in_vain() -> None:
    turn = Turn()
    turn.patience_s = 0.01
    assert turn.take()
    assert turn.take()  # one thread may take it many times over
    turn.give_back()
    with ThreadPoolExecutor(1) as other:
        assert not other.submit(turn.take).result()
        turn.patience_s = 1e6
        assert not other.submit(turn.take).result()  # at once

        turn.give_back()
        assert other.submit(turn.take).result()
        waits = ThreadPoolExecutor(1)
        waiting = waits.submit(turn.take)  # it is held, and nobody has waited in vain since
        other.submit(turn.give_back).result()
        assert waiting.result()
        waits.shutdown()
