"""The processes of a job: which one this is, and where the first of them leaves word."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from penstock.engines.ranks import leave_word, others_in, rank_in, read_word, take_word_back


@pytest.mark.parametrize(
    "name", ["SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "RANK", "JOB_COMPLETION_INDEX"]
)
def test_the_rank_is_what_the_launcher_says(name: str) -> None:
    assert rank_in({name: "3"}) == 3


def test_a_process_that_nobody_has_launched_has_no_rank() -> None:
    assert rank_in({}) is None
    assert rank_in({"RANK": "first"}) is None


def test_how_many_others_there_are_is_what_the_launcher_says_where_it_does() -> None:
    assert others_in({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "9"}) == 8
    assert others_in({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"}) == 0
    assert others_in({"RANK": "0", "WORLD_SIZE": "many"}) == 0
    assert others_in({"JOB_COMPLETION_INDEX": "0"}) == others_in({"WORLD_SIZE": "4"}) == 0


def test_the_word_that_is_left_is_for_nobody_elses_eyes(tmp_path: Path) -> None:
    file = tmp_path / ".workers.json"
    file.write_text("of a process that was killed")
    file.chmod(0o644)
    leave_word(file, {"address": "tls://127.0.0.1:1", "key": "secret"})
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_word(file) == {"address": "tls://127.0.0.1:1", "key": "secret"}
    assert [each.name for each in tmp_path.iterdir()] == [".workers.json"]


def test_word_that_is_taken_back_or_was_never_left_is_no_word(tmp_path: Path) -> None:
    file = tmp_path / ".workers.json"
    assert read_word(file) is None
    leave_word(file, {"address": "tls://127.0.0.1:1"})
    take_word_back(file)
    take_word_back(file)
    assert read_word(file) is None
