from __future__ import annotations

import json
import sys
from types import FrameType
from typing import Any

from penstock.running.watchdog.culprit import culprit_of, frames_above


def frames_within(call: Any) -> list[FrameType]:
    """The frames of whoever ``call`` calls, as they are within the call."""
    return frames_above(len(frames_above(0, sys._getframe())), call())


class Holds(dict[str, Any]):
    """A mapping that, when the standard library reads it, looks at its own stack."""

    def __init__(self, frames: list[FrameType]) -> None:
        super().__init__(a=1)
        self.frames = frames


def test_the_innermost_own_function_is_named_with_its_file_and_line() -> None:
    def outer() -> FrameType:
        return inner()

    def inner() -> FrameType:
        return sys._getframe()

    name, stack = culprit_of(frames_within(outer))
    assert name.startswith(f"{__name__}:{inner.__qualname__} ({__file__}:")
    assert name.endswith(f":{inner.__code__.co_firstlineno + 1})")
    assert stack.index("in outer") < stack.index("in inner")


def test_what_the_standard_library_does_is_put_down_to_whoever_called_it() -> None:
    found: list[str] = []

    def default(_: object) -> str:
        frame = sys._getframe().f_back  # the encoder's
        assert frame is not None
        found.append(culprit_of(frames_above(0, frame))[0])
        return ""

    def agent() -> None:
        json.dumps([object()], default=default, indent=1)

    agent()
    assert found[0].startswith(f"{__name__}:{agent.__qualname__} (")


def test_a_package_is_named_where_no_own_code_runs_and_what_runs_tasks_never() -> None:
    def frame_of(path: str, module: str) -> FrameType:
        namespace: dict[str, Any] = {"__name__": module, "sys": sys}
        code = compile("def work():\n    return sys._getframe()", path, "exec")
        exec(code, namespace)
        frame: FrameType = namespace["work"]()
        return frame

    package = frame_of("/venv/lib/python3/site-packages/slow/calls.py", "slow.calls")
    anyio = frame_of("/venv/lib/python3/site-packages/anyio/run.py", "anyio.run")
    stdlib = frame_of(json.__file__, "json")

    assert culprit_of([anyio, package, stdlib])[0].startswith("slow.calls:work (")
    assert culprit_of([anyio, stdlib])[0].startswith("json:work (")
