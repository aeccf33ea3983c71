"""Children that are forked are as those that are started from nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.children import run_python, start_python

ENDS = {
    "print('said')": 0,
    "import sys; sys.exit(3)": 3,
    "import sys; sys.exit('what went wrong')": 1,
    "1 / 0": 1,
    "import os; os._exit(7)": 7,
    "import os; os.kill(os.getpid(), 9)": -signal.SIGKILL,
    "import os; os.kill(os.getpid(), 2)": -signal.SIGINT,
    "import os; os.close(1); print('lost')": 1,
    "import threading; threading.Timer(0.01, print, ['a thread has ended']).start()": 0,
    "import atexit; atexit.register(print, 'at exit')": 0,
}


@pytest.mark.parametrize("code", ENDS)
def test_a_child_ends_as_an_interpreter_does(code: str) -> None:
    started = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    forked = run_python("-c", code)

    assert (forked.returncode, forked.stdout) == (started.returncode, started.stdout)
    assert forked.returncode == ENDS[code]


def test_a_child_says_what_was_wrong() -> None:
    assert run_python("-c", "1 / 0").stderr.endswith("ZeroDivisionError: division by zero\n")
    assert run_python("-c", "import sys; sys.exit('enough')").stderr == "enough\n"


def test_a_child_has_the_folder_environment_arguments_and_streams_it_was_given(
    tmp_path: Path,
) -> None:
    code = "import json, os, sys; print(json.dumps([os.getcwd(), {**os.environ}, sys.argv]))"
    (tmp_path / "file.py").write_text(f"{code}; print(sys.stdin.read(), file=sys.stderr)")
    environment = {"PATH": os.environ["PATH"], "MINE": "ä"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start_python("file.py", "--one", 2, cwd=tmp_path, env=environment, **pipes) as child:
        out, err = child.communicate("asked", timeout=60)

    assert json.loads(out) == [str(tmp_path), environment, ["file.py", "--one", "2"]]
    assert err == "asked\n"
    assert child.pid != os.getpid()
