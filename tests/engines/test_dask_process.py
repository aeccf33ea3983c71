"""Another process of a job: what it does with the word of one that was killed, and with none."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.engines.dask_process import work_when_told
from penstock.engines.ranks import leave_word
from penstock.errors import EngineError

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


@pytest.mark.parametrize("word", [None, {"address": "tls://127.0.0.1:1", "certificate": ""}])
async def test_a_process_that_finds_nobody_to_work_for_says_so_in_the_end(
    tmp_path: Path, word: dict[str, str] | None
) -> None:
    file = tmp_path / ".workers.json"
    if word is not None:
        leave_word(file, word)

    with pytest.raises(EngineError, match=r"has not left word in .*\.workers\.json for 300 s"):
        await work_when_told(file)
