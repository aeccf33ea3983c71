"""Writes docs/reliability.md from what the tests of faults have proved.

python docs/make_reliability.py

``make faults`` runs the long suite, which writes docs/reliability.json, and then this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
PROVED = HERE / "reliability.json"
PAGE = HERE / "reliability.md"

BEFORE = """\
<!-- Written by docs/make_reliability.py from docs/reliability.json; `make faults` makes both. -->

# Reliability

What was paid for is never lost, and never paid for twice without a word. This page is made from
what the tests of faults have shown on the machine that ran them last: each row is a fault, what is
promised when it happens, the test that makes it happen to a real study, and a figure.

| fault | promise | test | figure |
| --- | --- | --- | --- |
"""

AFTER = """
## Calls that have no result

A result is durable when `RunsSaved` has said so: about 20 ms after it exists. When a process is
killed, the calls in flight, and the answers of the last moments, have been made and have no result.
Each start is counted in a file before its call is made, so the next session knows how many there
were, and says so: `StudyStarted.lost_calls`, `calls.lost` in the log, a line of `penstock run`, and
`lost_calls` in `penstock status`. These runs are made again.

The count is exact when a process is killed. When the whole machine loses power, the starts since
the last group of results may be missing from it.

## On your own machine

```console
$ penstock doctor artifacts/search-strategies
$ penstock doctor artifacts/search-strategies --crash-test
```

The first looks for damage and says what to do. The second kills a small study five times on the
same disk and sees that nothing is lost: whether a disk keeps what it says it has written depends on
the disk.
"""


def page(proved: Sequence[Mapping[str, str]]) -> str:
    """Write the page."""
    rows = [
        f"| {each['fault']} | {each['promise']} | `{each['test']}` | {each['figure']} |\n"
        for each in proved
    ]
    return BEFORE + "".join(rows) + AFTER


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(PROVED.read_text("utf-8"))), "utf-8")
