"""A disk that fills up: the study stops, says so, keeps what it has, and goes on later."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.errors import PenstockError
from tests.children import run_python
from tests.faults.conftest import Prove, environment
from tests.faults.study import RUNS, Calls, build_study, is_root, run, saved

PAYLOAD = 60_000
MANY = 400
STUDY = build_study(run_budget={"replicates": 100, "parallelism": 4})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)]
    if sys.platform != "linux" or not is_root() or subprocess.run(mount, check=False).returncode:
        pytest.skip("a small file system can only be mounted by root on Linux")

    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_a_full_disk_stops_the_study_which_goes_on_once_there_is_space(
    small_disk: Path, proved: Prove
) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 600_000)
    calls = Calls(PAYLOAD)
    results = small_disk / "results"
    with pytest.raises(PenstockError) as caught:
        run(results, calls.agent, study=STUDY)

    said = str(caught.value)
    assert str(results / "study.sqlite") in said
    assert "MB are free on its disk" in said
    kept, first = saved(results), len(calls.run_ids)
    assert 0 < kept < MANY
    assert first < MANY, "it went on starting runs that it could not save"

    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    ballast.unlink()
    assert run(results, calls.agent, study=STUDY).summary.session.succeeded == MANY - kept
    assert saved(results) == MANY
    assert len(calls.run_ids) == MANY + first - kept
    proved(
        "disk full",
        "the study stops starting, says the path and what is free, keeps what was committed, and "
        "goes on once there is space",
        "{kept:.0f} of {runs:.0f} runs kept on 2 MB; {again:.0f} calls could not be saved and were "
        "made again",
        kept=kept,
        runs=MANY,
        again=first - kept,
    )


LIMITED = f"""
import resource, signal, sys
from pathlib import Path
from tests.faults.study import Calls, run

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
run(Path(sys.argv[1]), Calls({PAYLOAD}).agent)
"""


def test_a_file_that_may_not_grow_stops_the_study_which_goes_on_where_it_may(
    tmp_path: Path,
) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    assert signal.getsignal(signal.SIGXFSZ) is not None
    stopped = run_python("-c", LIMITED, tmp_path, env=environment())
    assert stopped.returncode == 1
    assert f"{tmp_path / 'study.sqlite'}" in stopped.stderr
    kept = saved(tmp_path)
    assert 0 < kept < RUNS
    assert run(tmp_path, Calls(PAYLOAD).agent).summary.session.succeeded == RUNS - kept
