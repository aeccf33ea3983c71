from __future__ import annotations

import json
import signal
import subprocess

from tests.children import COMMAND_LINE, start_python


def test_machines_read_the_address_and_at_the_end_what_was_asked() -> None:
    command = (*COMMAND_LINE, "simulate-model", "--port", "0", "--json")
    with start_python(*command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        serving = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        served = json.loads(process.stdout.readline())

    assert process.returncode == 0
    assert serving["event"] == "serving"
    assert serving["url"].startswith("http://127.0.0.1:")
    assert serving["pid"] == process.pid
    assert served == {"event": "served", "requests": 0, "max_in_flight": 0}
