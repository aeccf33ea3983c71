"""Child processes that run Python, and have imported penstock when they begin.

An interpreter that starts from nothing imports for a second, and then runs a study in a tenth of
that. So each process of the tests has one server, which has imported all that studies need and has
no threads, and children are forked from it: processes with streams, a folder, an environment and
signals of their own, which end as interpreters do. Where a test is about how an interpreter starts,
or which modules it loads, use `subprocess`.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import penstock

COMMAND_LINE = ("-c", "from penstock.cli import main; main()")
ROOT = Path(__file__).parents[1]
STREAMS = (0, 1, 2)
NOT_IMPORTED = ("penstock.cli.templates", "penstock.engines.dask", "penstock.testing")
"""What is imported for long and needed seldom, or is not a part of the library."""

_servers: list[tuple[socket.socket, subprocess.Popen[bytes]]] = []


def start_python(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start ``python ARGUMENTS``: ``-c CODE``, ``-m MODULE`` or a file, then what it is given.

    Args:
        arguments: As on the command line.
        options: Of `subprocess.Popen`: ``stdin``, ``stdout``, ``stderr``, ``cwd`` and ``env``.
    """
    command = [sys.executable, *map(str, arguments)]
    # Coverage begins where an interpreter does, and nothing else calls something before it starts.
    is_measured = any(name.startswith("COVERAGE_") for name in os.environ)
    kind = subprocess.Popen if is_measured or "preexec_fn" in options else _Child
    return kind(command, text=True, **options)


def run_python(
    *arguments: object, timeout: float = 120, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run ``python ARGUMENTS`` to its end, and return what it has said."""
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start_python(*arguments, **{**piped, **options}) as child:
        try:
            out, err = child.communicate(timeout=timeout)
        except BaseException:
            child.kill()
            raise

    return subprocess.CompletedProcess(child.args, child.returncode, out, err)


class _Child(subprocess.Popen[str]):
    """A process that is forked from the server, and is used as any other."""

    _line: socket.socket

    def _execute_child(self, args: list[str], *others: Any) -> None:
        """Begin it, which `subprocess` does in this method; it has no public name."""
        _, _, _, _, cwd, env, _, _, _, *pipes = others
        streams = [pipes[0], pipes[3], pipes[5]]
        request = {
            "arguments": args[1:],
            "folder": str(Path.cwd() / (cwd or ".")),
            "environment": dict(os.environ if env is None else env),
        }
        self._line, far = socket.socketpair()
        with far:
            passed = [own if own != -1 else number for number, own in enumerate(streams)]
            socket.send_fds(_server(), [b"."], [far.fileno(), *passed])

        self._line.sendall(json.dumps(request).encode() + b"\n")
        self._said = self._line.makefile()
        self.pid = int(self._said.readline())
        self._child_created = True
        self._close_pipe_fds(*pipes[:6])  # type: ignore[attr-defined]

    def poll(self) -> int | None:
        has_ended = self.returncode is not None or select.select([self._line], [], [], 0)[0]
        return self.wait() if has_ended else None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._line], [], [], timeout)[0]:
                assert timeout is not None
                raise subprocess.TimeoutExpired(self.args, timeout)

            self.returncode = os.waitstatus_to_exitcode(int(self._said.readline()))
            self._said.close()
            self._line.close()

        return self.returncode


@functools.cache
def _server() -> socket.socket:
    """Start the server of this process, which ends when this process does."""
    near, far = socket.socketpair()
    with far:
        command = [sys.executable, "-m", "tests.children", str(far.fileno())]
        server = subprocess.Popen(command, cwd=ROOT, pass_fds=[far.fileno()])

    _servers.append((near, server))
    return near


def end_server() -> None:
    """End the server of this process, where there is one; children that run go on."""
    while _servers:
        near, server = _servers.pop()
        near.close()
        server.wait()


def _serve(requests: socket.socket) -> dict[str, Any]:
    """Fork a child for each request; return, in the child, what it was asked to be."""
    for module in pkgutil.walk_packages(penstock.__path__, "penstock."):
        if not module.name.startswith(NOT_IMPORTED):
            import_module(module.name)

    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that watch children
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        _, received, _, _ = socket.recv_fds(requests, 1, 4)
        if not received:
            os._exit(0)

        if os.fork() == 0:
            requests.close()
            return _watch(socket.socket(fileno=received[0]), received[1:])

        for number in received:
            os.close(number)


def _watch(line: socket.socket, streams: list[int]) -> dict[str, Any]:
    """Fork the child, and tell its id and how it has ended; return in the child alone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with line.makefile() as asked:
        request: dict[str, Any] = json.loads(asked.readline())

    if child := os.fork():
        for number in streams:
            os.close(number)

        line.sendall(b"%d\n" % child)
        _, status = os.waitpid(child, 0)
        with suppress(BrokenPipeError):  # nobody asks any more
            line.sendall(b"%d\n" % status)

        os._exit(0)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    line.close()
    for number, stream in zip(streams, STREAMS, strict=True):
        os.dup2(number, stream)
        os.close(number)

    return request


def _become(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Do what an interpreter does that is started with these arguments, but for its end."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    for number, name, mode in zip(STREAMS, ("stdin", "stdout", "stderr"), "rww", strict=True):
        buffering, errors = (1, "backslashreplace") if name == "stderr" else (-1, None)
        stream = open(number, mode, buffering, "utf-8", errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)

    option = arguments[0] if arguments[0] in {"-c", "-m"} else ""
    what, *rest = arguments[1:] if option else arguments
    sys.argv = [option or what, *rest]
    first = {"-c": "", "-m": folder}.get(option, str(Path(what).parent))
    paths = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:1] = [first, *paths]
    if option == "-c":
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), main.__dict__)
    elif option == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(what, run_name="__main__")


def _main(requests: socket.socket) -> None:
    """Serve, and in a child: run to the end, which then comes as an interpreter's does.

    It waits for threads, calls what wanted to be called and flushes, in this order. It does not
    take to pieces what was imported, which costs ten times what forking did.
    """
    ended = [0]
    atexit.register(lambda: _leave(*ended))  # the first to be registered is the last to be called
    request = _serve(requests)
    try:
        _become(**request)
    except SystemExit as exit_:
        if isinstance(exit_.code, str):
            print(exit_.code, file=sys.stderr)

        ended[:] = [exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)]
    except BaseException as error:  # noqa: BLE001 - all that an interpreter ends with
        sys.excepthook(type(error), error, error.__traceback__)
        ended[:] = [-signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1]


def _leave(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 1

    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)

    os._exit(code & 0xFF)


if __name__ == "__main__":
    _main(socket.socket(fileno=int(sys.argv[1])))
