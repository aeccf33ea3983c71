"""What a simulated provider remembers of its requests."""

from __future__ import annotations

import os
from collections import Counter, deque
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import orjson

from penstock.simulator.faults import Fault

__all__ = ["CLIENT_LEFT", "NO_RESPONSE", "RequestLog", "RequestRecord"]

NO_RESPONSE = 0
"""The status of a request whose connection was closed before a response began."""

CLIENT_LEFT = 499
"""The status of a request whose client did not wait for a response."""


class RequestRecord(NamedTuple):
    """A request that is over; its times are the server's, on one monotonic clock.

    Args:
        number: Which request to arrive it was, from 1.
        arrived_s: When it arrived, in seconds since the server began.
        answered_s: When its response was over.
        status: Its HTTP status; 0 where the connection was closed, 499 where the client left.
        fault: What went wrong on purpose.
        model: The model asked for.
        key: A digest of what was asked; equal requests have the same.
        problem_id: The problem whose recorded answer was asked for.
        attempt: How many equal requests had arrived, with this one.
        input_tokens: Tokens of the prompt that are charged.
        output_tokens: Tokens of the answer that are charged.
        is_streamed: Whether the answer was to be streamed.
        request_id: The id in its response's header.
    """

    number: int
    arrived_s: float
    answered_s: float
    status: int
    fault: Fault | None = None
    model: str = ""
    key: str = ""
    problem_id: str | None = None
    attempt: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    is_streamed: bool = False
    request_id: str = ""


class RequestLog:
    """The requests in the order in which they ended, and their totals.

    Args:
        kept: How many requests are kept; the totals count all.
        path: A file that gets a line of JSON for each.
        input_usd_per_million: Price of a million tokens of prompts.
        output_usd_per_million: Price of a million tokens of answers.
    """

    def __init__(
        self,
        *,
        kept: int,
        path: Path | None = None,
        input_usd_per_million: float = 0.0,
        output_usd_per_million: float = 0.0,
    ) -> None:
        self.records: deque[RequestRecord] = deque(maxlen=kept)
        self.in_flight = 0
        self.max_in_flight = 0
        self._statuses: Counter[int] = Counter()
        self._faults: Counter[str] = Counter()
        self._prices = input_usd_per_million, output_usd_per_million
        self._tokens = [0, 0]
        self._first_s: float | None = None
        self._last_s = 0.0
        # Line by line, so that whoever reads it while the server runs sees whole requests.
        self._file: TextIO | None = None
        if path is not None:
            self._file = path.open("w", buffering=1, encoding="utf-8")

    def begin(self, arrived_s: float) -> None:
        """Count a request that has arrived."""
        self._first_s = arrived_s if self._first_s is None else self._first_s
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def end(self, record: RequestRecord) -> None:
        """Keep a request that is over."""
        self.in_flight -= 1
        self.records.append(record)
        self._statuses[record.status] += 1
        if record.fault is not None:
            self._faults[record.fault.value] += 1

        self._tokens[0] += record.input_tokens
        self._tokens[1] += record.output_tokens
        self._last_s = max(self._last_s, record.answered_s)
        if self._file is not None:
            self._file.write(orjson.dumps(record._asdict()).decode() + "\n")

    def totals(self) -> dict[str, Any]:
        """Sum up: requests, statuses, faults, tokens, cost, the most requests in flight."""
        tokens_in, tokens_out = self._tokens
        cost_usd = (tokens_in * self._prices[0] + tokens_out * self._prices[1]) / 1e6
        return {
            "requests": self._statuses.total(),
            "by_status": {str(status): self._statuses[status] for status in sorted(self._statuses)},
            "by_fault": {fault: self._faults[fault] for fault in sorted(self._faults)},
            "input_tokens": tokens_in,
            "output_tokens": tokens_out,
            "cost_usd": cost_usd,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "first_arrived_s": self._first_s,
            "last_answered_s": self._last_s,
            "cpu_s": sum(os.times()[:2]),
        }

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
