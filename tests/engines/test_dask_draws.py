"""Dask draws at random in a worker's process; agents there draw from the same global generators."""

from __future__ import annotations

import random
from typing import Any, cast

import dask.sizeof
from distributed.comm import core
from distributed.protocol import compression

from penstock.engines.dask_draws import draw_apart


def test_what_dask_draws_takes_nothing_from_the_global_generators() -> None:
    draw_apart()
    before = random.getstate()
    dask.sizeof.sizeof(list(range(100)))
    cast("Any", core).random.uniform(0, 1)
    cast("Any", compression).randint(0, 10)
    assert random.getstate() == before
    random.random()
    assert random.getstate() != before
