from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from penstock.page.run_table import run_table
from penstock.store.files.opening import open_store
from penstock.store.reader import StoreReader
from tests.builders import make_error, make_plan, make_result

pytestmark = pytest.mark.anyio

LONG = 200_000


async def test_the_answers_that_no_page_carries_are_not_held_in_memory_either(
    tmp_path: Path,
) -> None:
    """100 answers of 200 kB are 20 MB, of which a page carries 6; a failure comes first."""
    plan = make_plan(("a",), replicates=100)
    results = [
        make_result(spec, outputs_json=f'{{"text":"{spec.replicate:0{LONG}}"}}')
        for spec in plan[:-1]
    ]
    failed = make_result(plan[-1], error=make_error(message="no answer"))
    async with open_store(tmp_path) as store:
        await store.begin(plan)
        await store.save([(result, True) for result in [*results, failed]])

    conditions = {(plan[0].condition_id, plan[0].agent_id): 0}
    with StoreReader(tmp_path) as reader:
        tracemalloc.start()
        table = run_table(reader, conditions, ["p1"], [None] * len(plan), briefs={})
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 15_000_000
    assert table.texts[0].endswith("no answer")
    assert table.columns["text"][-1] == 0
    assert table.columns["replicate"] == tuple(range(1, 101))
    assert len(table.texts) + table.left_out == 100
