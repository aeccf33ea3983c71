"""What a disk may hold after a loss of power, made from a recording of what a process wrote.

``kill -9`` leaves what was written in the memory of the system; a loss of power leaves what is on
the disk. That is everything that was synced, and of what was written since, anything: each sector
of 512 bytes is there or not, whatever was written first, and one may be torn. A file is longer or
not. A name that was given or taken away is so on the disk only when its directory was synced, or
when luck will have it.

``strace`` records every call that changes a file, with its bytes. A call is taken to be made where
its end is recorded: what is announced to be durable then, is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

__all__ = ["Call", "Disk", "calls_of", "recorder", "why_not_recorded"]

_CALLS = (
    "open,openat,creat,write,pwrite64,writev,pwritev,sendfile,copy_file_range,fsync,fdatasync,"
    "ftruncate,truncate,fallocate,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,"
    "mkdirat,rmdir,symlink,symlinkat"
).replace(",", ",?")  # a system need not have them all
_SECTOR = 512


def recorder(trace: Path) -> list[str]:
    """The words before a command that record what it writes."""
    whole = ["-xx", "-s", "100000000"]  # every byte of every text, in hexadecimal
    return ["strace", "-f", "-qq", "-y", *whole, "-e", f"trace=?{_CALLS}", "-o", str(trace)]


def why_not_recorded() -> str:
    """Say why nothing can be recorded here; nothing where it can."""
    if shutil.which("strace") is None:
        return "strace is not installed (apt-get install strace)"

    tried = subprocess.run(
        ["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False
    )
    return f"strace may not trace here: {tried.stderr.strip()}" if tried.returncode else ""


class Call(NamedTuple):
    """A call that succeeded: its name, the paths and bytes it was given, numbers, what it gave."""

    name: str
    paths: tuple[str, ...]
    data: bytes
    numbers: tuple[int, ...]
    flags: str
    gave: int


def calls_of(trace: Path) -> Iterator[Call]:
    """Read a recording; a call that others interrupt is told at its end."""
    begun: dict[str, str] = {}
    with trace.open(encoding="ascii") as lines:
        for line in lines:
            process, _, text = line.rstrip("\n").partition(" ")
            text = text.lstrip()
            if text.endswith("<unfinished ...>"):
                begun[process] = text.removesuffix(" <unfinished ...>")
                continue

            if text.startswith("<... "):
                text = begun.pop(process) + text.partition(" resumed>")[2]

            if found := _CALL.fullmatch(text):
                yield _call(*found.groups())


_CALL = re.compile(r"(\w+)\((.*)\) += (\d+)(?:<.*>)?")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FILE = re.compile(r"(?:^|, )\d+<((?:\\x[0-9a-f]{2})*)>")
_OFFSET = re.compile(r"\[(\d+)\]")
_NUMBER = re.compile(r"(?<=, )\d+(?=,|$)")


def _call(name: str, given: str, gave: str) -> Call:
    texts = [bytes.fromhex(text.replace("\\x", "")) for text in _TEXT.findall(given)]
    files = [bytes.fromhex(text.replace("\\x", "")) for text in _FILE.findall(given)]
    paths = files or texts
    return Call(
        name=name,
        paths=tuple(path.decode() for path in paths),
        data=texts[0] if files and texts else b"",
        numbers=tuple(map(int, _NUMBER.findall(given))),
        flags=given.rpartition('"')[2],
        gave=int(gave),
    )


class _File:
    """A file: what of it is on the disk for certain, and what was done to it since."""

    def __init__(self) -> None:
        self.synced = bytearray()
        self.since: list[tuple[int, bytes | None]] = []
        self.size = self.place = 0
        self.is_appended = False

    def write(self, offset: int, data: bytes) -> None:
        self.since.append((offset, data))
        self.size = max(self.size, offset + len(data))

    def cut(self, size: int) -> None:
        self.since.append((size, None))
        self.size = size

    def sync(self) -> None:
        for offset, data in self.since:
            _put(self.synced, offset, data)

        self.since.clear()

    def content(self) -> bytes:
        """Give what the system has, synced or not."""
        return self.after_a_loss(Random(0), 1.0)

    def after_a_loss(self, random: Random, share: float) -> bytes:
        """Give what may be on the disk: of what is not synced, about this share."""
        content = bytearray(self.synced)
        for offset, data in self.since:
            if data is None and random.random() < share:
                _put(content, offset, None)

            for start, piece in _sectors(offset, data or b""):
                if random.random() < share:
                    is_torn = random.random() < _TORN and share < 1
                    kept = random.randrange(len(piece)) if is_torn else len(piece)
                    _put(content, start, piece[:kept])

        if len(content) < self.size and random.random() < share:
            _put(content, self.size, None)  # its length is there, its bytes are not

        return bytes(content)


_TORN = 0.05


def _put(content: bytearray, offset: int, data: bytes | None) -> None:
    """Write bytes into a content; or, without any, give it a length."""
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))

    if data is None:
        del content[offset:]
    else:
        content[offset : offset + len(data)] = data


def _sectors(offset: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        until = min(len(data), at + _SECTOR - (offset + at) % _SECTOR)
        yield offset + at, data[at:until]
        at = until


_DIRECTORY = _File()
"""What the name of a directory stands for."""


class Disk:
    """The names and files below a directory that was there before, as calls are made on them.

    Args:
        root: The directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names: dict[str, _File] = {str(root): _DIRECTORY}
        self._synced = dict(self.names)
        self._since: list[dict[str, _File | None]] = []

    def has_seen(self, call: Call) -> bool:
        """Do a call; tell whether it was about anything here."""
        if not all(Path(path).is_relative_to(self.root) for path in call.paths) or not call.paths:
            return False

        path, *others = call.paths
        match call.name.removesuffix("2").removesuffix("at"):  # renameat2 is a rename
            case "open" if not call.data:
                return self._open(path, call.flags)
            case "mkdir" if not call.data:
                self._name({path: _DIRECTORY})
            case "unlink" | "rmdir" if not call.data:
                self._name({path: None})
            case "rename" if others:
                self._name({path: None, others[0]: self.names[path]})
            case "link" if others:
                self._name({others[0]: self.names[path]})
            case "fsync" | "fdatasync":
                self._sync(path)
            case "ftruncate":
                self.names[path].cut(call.numbers[-1])
            case "pwrite64":
                self.names[path].write(call.numbers[-1], call.data[: call.gave])
            case "write":
                self._write(self.names[path], call.data[: call.gave])
            case "sendfile" if offset := _OFFSET.search(call.flags):
                copied = self.names[others[0]].content()[int(offset[1]) :]
                self._write(self.names[path], copied[: call.gave])
            case _:  # or a name in a directory that is given by its number
                raise NotImplementedError(call)

        return True

    def files(self) -> dict[Path, bytes]:
        """Give every file as the system has it, but those that are written through memory."""
        return {
            Path(path): file.content()
            for path, file in self.names.items()
            if file is not _DIRECTORY and not path.endswith("-shm")
        }

    def after_a_loss(self, to: Path, random: Random) -> None:
        """Make a directory as it may be found when power is lost now."""
        share = random.choice((0.0, 0.5, 0.9, 1.0))
        names = self._names_after_a_loss(random, random.choice((0.0, 0.5, 1.0)))
        to.mkdir()
        for path in sorted(names):
            place = to / Path(path).relative_to(self.root)
            if not place.parent.is_dir() or place == to:
                continue  # the directory that it was in is not there
            if names[path] is _DIRECTORY:
                place.mkdir()
            elif path.endswith("-shm"):  # written through memory, and of no use after a restart
                place.write_bytes(random.randbytes(names[path].size))
            else:
                place.write_bytes(names[path].after_a_loss(random, share))

    def _names_after_a_loss(self, random: Random, share: float) -> dict[str, _File]:
        names = dict(self._synced)
        left_out: set[str] = set()
        for change in self._since:
            if left_out.isdisjoint(change) and random.random() < share:
                _rename(names, change)
            else:
                left_out.update(change)  # what follows about the same names builds on it

        return names

    def _open(self, path: str, flags: str) -> bool:
        if "O_TMPFILE" in flags or not ("O_CREAT" in flags or path in self.names):
            return False

        if path not in self.names:
            self._name({path: _File()})

        file = self.names[path]
        file.is_appended = "O_APPEND" in flags
        file.place = 0
        if "O_TRUNC" in flags:
            file.cut(0)

        return True

    def _name(self, change: dict[str, _File | None]) -> None:
        _rename(self.names, change)
        self._since.append(change)

    def _sync(self, path: str) -> None:
        file = self.names[path]
        if file is not _DIRECTORY:
            file.sync()
            return

        for change in self._since:
            if all(str(Path(name).parent) == path for name in change):
                _rename(self._synced, change)

        self._since = [
            change
            for change in self._since
            if any(str(Path(name).parent) != path for name in change)
        ]

    def _write(self, file: _File, data: bytes) -> None:
        offset = file.size if file.is_appended else file.place
        file.write(offset, data)
        file.place = offset + len(data)


def _rename(names: dict[str, _File], change: dict[str, _File | None]) -> None:
    for name, file in change.items():
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file
