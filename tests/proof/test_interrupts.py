"""A study that is interrupted again and again ends as if it never had been."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

from tests.artifacts import assert_same_artifacts, rows_without_times
from tests.children import ROOT, start_python
from tests.proof.counting_study import RUNS

SCRIPT = Path(__file__).with_name("counting_study.py")


def test_a_study_interrupted_five_times_runs_everything_once_and_writes_the_same_artifacts(
    tmp_path: Path,
) -> None:
    interrupted, whole, calls = (tmp_path / name for name in ("interrupted", "whole", "calls"))
    for moment in (1, 80, 300, 550, 950):
        with _study(interrupted, calls, moment) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "now\n"
            child.send_signal(signal.SIGINT)
            _, stderr = child.communicate(timeout=60)

        assert child.returncode == -signal.SIGINT, stderr
        assert (interrupted / "runs.csv").exists()

    for output_dir, calls_file in ((interrupted, calls), (whole, tmp_path / "other_calls")):
        with _study(output_dir, calls_file) as child:
            _, stderr = child.communicate(timeout=60)

        assert child.returncode == 0, stderr

    called = Counter(calls.read_text().split())
    assert len(called) == RUNS
    assert set(called.values()) == {1}
    assert {row["status"] for row in rows_without_times(interrupted / "runs.csv")} == {"success"}
    assert_same_artifacts(interrupted, whole)


def _study(output_dir: Path, calls: Path, moment: int = 10**6) -> subprocess.Popen[str]:
    return start_python(
        *(SCRIPT, output_dir, calls, 40, moment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
