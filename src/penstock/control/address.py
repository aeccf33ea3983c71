"""Where a study that runs can be reached: a socket that only its user may use, and who says so.

In the output directory a folder of mode 0700 holds the socket, of mode 0600, and a file that names
it. The system bounds how long the path of a socket may be, and some file systems hold none: then
the socket is in a new folder below ``$XDG_RUNTIME_DIR`` or the temporary folder.
"""

from __future__ import annotations

import os
import socket
import struct
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from penstock._base.fact import Fact
from penstock.control.protocol import PROTOCOL
from penstock.store.files.ownership import CONTROL

__all__ = ["CAN_LISTEN", "Address", "Candidate", "candidates", "peer_uid", "read_address"]

CAN_LISTEN = os.name == "posix" and hasattr(socket, "AF_UNIX")
"""Whether this system has sockets that only one user may use."""

_FILE = "address.json"
_SOCKET = "socket"
_LONGEST_PATH = 100
"""Linux takes 107 bytes, macOS 103."""


class Address(Fact):
    """Where a study can be reached, as the file says.

    Args:
        penstock: The version of what is said there.
        socket: The path of the socket; relative to the output directory where it is in there.
        host: The machine.
        pid: The process.
    """

    penstock: int = PROTOCOL
    socket: str
    host: str
    pid: int


class Candidate(NamedTuple):
    """A folder that the socket may be in."""

    folder: Path
    is_own: bool
    """Whether it is the one in the output directory."""

    @property
    def socket(self) -> Path:
        """The path of the socket."""
        return self.folder / _SOCKET

    def say(self, directory: Path) -> None:
        """Write down that the study listens there.

        Raises:
            OSError: it cannot be written.
        """
        place = f"{CONTROL}/{_SOCKET}" if self.is_own else str(self.socket)
        address = Address(socket=place, host=socket.gethostname(), pid=os.getpid())
        folder = _own_folder(directory)
        aside = folder / f"{_FILE}.new"
        aside.write_text(address.model_dump_json(), encoding="utf-8")
        aside.replace(folder / _FILE)

    def remove(self, directory: Path) -> None:
        """Remove what was made, and nothing else; what is gone already is ignored."""
        own = directory / CONTROL
        for file in (self.socket, own / f"{_FILE}.new", own / _FILE):
            with suppress(OSError):
                file.unlink(missing_ok=True)

        for folder in {self.folder, own}:
            with suppress(OSError):
                folder.rmdir()


def candidates(directory: Path) -> Iterator[Candidate]:
    """Make and give the folders that the socket may be in, the best one first.

    Args:
        directory: The study's output directory, which this process holds.

    Raises:
        OSError: one cannot be made.
    """
    own = Candidate(_own_folder(directory), is_own=True)
    if len(os.fsencode(own.socket)) <= _LONGEST_PATH:
        own.socket.unlink(missing_ok=True)  # of a session that was killed
        yield own

    for below in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir()):
        if below and Path(below).is_dir():
            yield Candidate(Path(tempfile.mkdtemp(prefix="penstock-", dir=below)), is_own=False)


def _own_folder(directory: Path) -> Path:
    """Make the folder in the output directory, and see that it is this user's alone."""
    folder = directory / CONTROL
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.geteuid():
        raise PermissionError(f"{folder} is somebody else's")

    folder.chmod(0o700)
    return folder


def read_address(directory: Path) -> Address | None:
    """Return where a study can be reached; None where nothing says so.

    What says so may be left by a process that was killed.

    Args:
        directory: The study's output directory.
    """
    try:
        text = (directory / CONTROL / _FILE).read_text(encoding="utf-8")
        return Address.model_validate_json(text)
    except (OSError, ValueError):
        return None


def peer_uid(connection: socket.socket) -> int | None:
    """Return whose process is at the other end of a socket; None where the system does not tell."""
    level, option = socket.SOL_SOCKET, getattr(socket, "SO_PEERCRED", None)
    if option is not None:
        return int(struct.unpack("3i", connection.getsockopt(level, option, 12))[1])

    option = getattr(socket, "LOCAL_PEERCRED", None)
    if option is not None:  # the BSDs and macOS: a version, then the user
        return int(struct.unpack("=II", connection.getsockopt(0, option, 76)[:8])[1])

    return None
