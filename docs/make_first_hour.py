"""Plays the session of docs/first-hour.md and writes what it prints into the page.

python docs/make_first_hour.py

A test plays it too and sees that the page is what this writes. What differs from one session to the
next is left out: the line of progress, times, the process, the folder.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

PAGE = Path(__file__).parent / "first-hour.md"
HOME = "/home/you"
"""Where the session seems to take place."""

Run = Callable[[str, Path], str]
"""Runs a command in a folder, and returns what it writes to stdout and stderr."""

_BLOCK = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)
_PROGRESS = re.compile(r".*\d+/\d+ done · .*\n")
_CHANGING = (
    (re.compile(r"^( +time +).*", re.MULTILINE), r"\g<1>0.2 s  [0.2 s, 0.3 s]"),
    (re.compile(r"process \d+ on \S+ since \S+"), "process 4711 on your-machine since today"),
)


def played(page: str, folder: Path, run: Run) -> str:
    """Play the session in a new folder, and put what it prints into the page.

    Args:
        page: The page; what follows a line that begins with ``$ `` is what the command printed.
        folder: Where the session begins.
        run: Runs its commands.
    """
    here = folder

    def block(found: re.Match[str]) -> str:
        nonlocal here
        lines = []
        for line in found[0].splitlines():
            if not line.startswith("$ "):
                continue

            lines.append(f"{line}\n")
            command = line.removeprefix("$ ")
            if command.startswith("cd "):
                here /= command.removeprefix("cd ")
            else:
                lines.append(_settled(run(command, here), folder))

        return "".join(lines)

    return _BLOCK.sub(block, page)


def _settled(printed: str, folder: Path) -> str:
    printed = _PROGRESS.sub("", printed).replace(str(folder.resolve()), HOME)
    for pattern, instead in _CHANGING:
        printed = pattern.sub(instead, printed)

    return printed


def in_a_shell(command: str, folder: Path) -> str:
    """Run a command as its reader would; ``penstock`` is the one of this environment."""
    commands = Path(sys.executable).parent
    finished = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return finished.stdout


def arguments_of(command: str) -> list[str] | None:
    """Return the arguments of a call of penstock; None for other commands."""
    program, *arguments = shlex.split(command)
    return arguments if program == "penstock" else None


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        PAGE.write_text(played(PAGE.read_text(encoding="utf-8"), Path(folder), in_a_shell))
