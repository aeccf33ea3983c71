"""A process that connects again and again and says nothing, or half of something.

    python silent_clients.py ADDRESS COUNT

The address is a port of this machine, or the path of a socket. It prints ``connected`` when it has
connected so often, and ``left`` when all of them were closed at the other end.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

SILENT = int(os.environ.get("PENSTOCK_CONNECTIONS", "600"))
"""So often in a test; `make connections` has it 10,000 times."""

HALF = b"GET / HTTP/1.1\r\nHost: "


def main(address: str, count: int) -> None:
    import resource  # there is none on Windows, where these tests are skipped

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    clients = []
    for at in range(count):
        family = socket.AF_INET if address.isdecimal() else socket.AF_UNIX
        client = socket.socket(family)
        client.connect(("127.0.0.1", int(address)) if address.isdecimal() else address)
        clients.append(client)
        if at % 2:
            with suppress(OSError):  # it was left already
                client.sendall(HALF)

    print("connected", flush=True)
    for client in clients:
        with suppress(ConnectionError):  # it has not read what we said
            while client.recv(1 << 16):
                pass

    print("left", flush=True)


@contextmanager
def silent_clients(address: object, count: int = SILENT) -> Iterator[IO[str]]:
    """Start the process, give what it prints, and end it at the end of the block."""
    command = [sys.executable, "-IS", __file__, str(address), str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.kill()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
