"""The server of `chat.py`: it answers every request after the same time, in a process of its own.

It does as little as HTTP allows, so that on two cores the client is what is measured:

    python benchmarks/chat_server.py [--latency-s 0.2]

prints its port and serves until its standard input is closed.
"""

from __future__ import annotations

import argparse
import asyncio  # noqa: TID251 - a bare protocol is the lightest server there is
import json
import re
import sys

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
ANSWER = json.dumps(
    {
        "id": "chatcmpl-0123456789",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": "some-model-2026-01-01",
        "system_fingerprint": "fp_0123456789",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "word " * 200, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 300,
            "completion_tokens": 200,
            "total_tokens": 500,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    }
).encode()
HEADERS = (
    "HTTP/1.1 200 OK",
    "content-type: application/json",
    "x-request-id: req_0123456789",
    "x-ratelimit-limit-requests: 100000",
    "x-ratelimit-remaining-requests: 99999",
    "x-ratelimit-limit-tokens: 10000000",
    "x-ratelimit-remaining-tokens: 9999999",
    "x-ratelimit-reset-requests: 6ms",
    "x-ratelimit-reset-tokens: 1ms",
    f"content-length: {len(ANSWER)}",
)
RESPONSE = "\r\n".join(HEADERS).encode() + b"\r\n\r\n" + ANSWER


class Answers(asyncio.Protocol):
    """One connection: reads a whole request, and answers it later."""

    latency_s = 0.2

    def __init__(self) -> None:
        self.received = b""
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if end and length is not None and len(body) >= int(length[1]):
            self.received = b""
            asyncio.get_running_loop().call_later(self.latency_s, self.answer)

    def answer(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(RESPONSE)


async def serve(latency_s: float) -> None:
    Answers.latency_s = latency_s
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answers, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-s", type=float, default=0.2)
    asyncio.run(serve(parser.parse_args().latency_s))
