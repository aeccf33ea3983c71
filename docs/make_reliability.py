"""Writes docs/reliability.md from what the tests of faults and the soak have shown.

python docs/make_reliability.py

``make faults`` runs the long suite, which writes docs/reliability.json, and then this; so does
``make soak`` with docs/soak.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
PROVED = HERE / "reliability.json"
SOAKED = HERE / "soak.json"
PAGE = HERE / "reliability.md"

BEFORE = """\
<!-- Written by docs/make_reliability.py from docs/reliability.json and docs/soak.json, which
`make faults` and `make soak` make. -->

# Reliability

What was paid for is never lost, and never paid for twice without a word. This page is made from
what the tests of faults have shown on the machine that ran them last: each row is a fault, what is
promised when it happens, the test that makes it happen to a real study, and a figure.

| fault | promise | test | figure |
| --- | --- | --- | --- |
"""

SOAK = """
## A long study in which much goes wrong

One study, {concurrency} runs in flight, for {minutes:.0f} minutes and {started:,} attempts:
{retried:,} were tried again, and {failed:,} runs failed for good. Its agents raise errors of every
kind, hang until their time is up, return what cannot be kept, or 140 KB, work in threads, or are a
chat model over HTTP whose provider drops, stalls, cuts off and garbles its answers. Meanwhile one
subscriber falls behind again and again, one has failed, watchers that lose events come and go, and
the limit is changed while it runs. Means and growth are those of the second half,
{runs_of_slope:,} attempts; growth is the slope by least squares.

| | mean | growth with every attempt | left at the end |
| --- | --- | --- | --- |
| memory | {memory_mb:.1f} MB | {memory_bytes_per_run:+.2f} bytes | |
| blocks of memory that hold objects | {blocks:,.0f} | {blocks_per_run:+.3f} | |
| files | {files:.1f} | {files_per_run:+.6f} | {files_left} |
| threads | {threads:.1f} | {threads_per_run:+.6f} | {threads_left} |
| tasks | {tasks:.1f} | {tasks_per_run:+.6f} | {tasks_left} |

The least that could be kept of every attempt is a block of 16 bytes. `make soak` measures it anew.
"""

AFTER = """
## Calls that have no result

A result is durable when `RunsSaved` has said so: about 20 ms after it exists. The answer of a chat
model is durable before its agent sees it ([Every call](chat-models.md#every-call)). When a process
is killed, the calls in flight, and the answers of the last moments, have been made and have no
result. Each start is counted in a file before its call is made, so the next session knows how many
there were, and says so: `StudyStarted.lost_calls`, `calls.lost` in the log, a line of `penstock
run`, and `lost_calls` in `penstock status`. These runs are made again.

The count is exact when a process is killed. When the whole machine loses power, the starts since
the last group of results may be missing from it.

Money is kept in the same file. Before a chat model is called, the most that the call may cost is
added to what the session may have spent, and corrected when the provider says what it did cost. So
calls that were cut off by a second Ctrl-C, a kill or a crash are set against the budget of later
sessions at their worst case, and told as `uncounted_cost_usd`; a loss of power may leave out those
since the last group of results. `make bills` makes 200 histories of failing providers, time limits,
interrupts and kills, and compares each with the provider's own bill.

## A loss of power

A kill leaves what was written in the memory of the system; a loss of power leaves what is on the
disk. So a study is recorded with every call that changes a file, and its directory is made as a
disk may hold it at many moments: what was synced is there; of what was written since, each sector
of 512 bytes is there or not, in any order, some torn; names that were given or taken away without a
sync of their directory may be so or not. The study goes on from each. No test can show what becomes
of it on a disk that says it has written what it has not.

## On your own machine

```console
$ penstock doctor artifacts/search-strategies
$ penstock doctor artifacts/search-strategies --crash-test
```

The first looks for damage and says what to do. The second kills a small study five times on the
same disk and sees that nothing is lost: whether a disk keeps what it says it has written depends on
the disk.
"""


def page(proved: Sequence[Mapping[str, str]], soaked: Mapping[str, float]) -> str:
    """Write the page."""
    rows = [
        f"| {each['fault']} | {each['promise']} | `{each['test']}` | {each['figure']} |\n"
        for each in proved
    ]
    return BEFORE + "".join(rows) + SOAK.format(**soaked) + AFTER


if __name__ == "__main__":
    PAGE.write_text(
        page(json.loads(PROVED.read_text("utf-8")), json.loads(SOAKED.read_text("utf-8"))), "utf-8"
    )
