"""A study that is run as a child process, and kills itself with SIGKILL where it is told to.

python -m tests.faults.child OUTPUT_DIR NOTES_DIR

NOTES_DIR/calls      what agents noted before they answered: SESSION RUN_ID ATTEMPT
NOTES_DIR/heard      what RunsSaved said: SESSION RUN_ID DIGEST, synced to the disk at once
NOTES_DIR/started    what StudyStarted said: SESSION RESTORED LOST_CALLS
NOTES_DIR/killed     where it died: SESSION FAULT

The fault comes in the environment, ``PENSTOCK_FAULT=point:nth:delay_us``: at the nth time that a
point is reached a thread waits so many microseconds and kills the process, whatever it does then.
``PENSTOCK_REPLICATES`` makes the study smaller, ``PENSTOCK_AUTOCHECKPOINT`` says after how many
pages of its write-ahead log SQLite moves them to the file, ``PENSTOCK_CHECKPOINT=0`` syncs nothing.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

import penstock as ps
from penstock.events import RunsSaved, StudyStarted, Subscriber
from penstock.export import tables
from penstock.store import transaction, writer
from penstock.store.continuing import beginning
from penstock.store.files import opening
from penstock.study.policies import RunBudget
from penstock.subscribers import checkpoint, export

REPLICATES = 16
RUNS = 48 * REPLICATES
CONCURRENCY = 24
COST_USD = 0.001
INPUT_TOKENS = 3
SESSION = os.environ.get("PENSTOCK_SESSION", "0")
AUTOCHECKPOINT = int(os.environ.get("PENSTOCK_AUTOCHECKPOINT", "1000"))


class Fault:
    """Kills this process at the nth time that a point is reached."""

    def __init__(self, notes: Path, told: str) -> None:
        self.notes = notes
        self.point, nth, delay_us = (*told.split(":"), "0", "0")[:3] if told else ("", 0, 0)
        self.left, self.delay_s = int(nth), int(delay_us) / 1e6
        self.told = told

    def reached(self, point: str) -> None:
        if point != self.point:
            return

        self.left -= 1
        if self.left == 0 and self.delay_s == 0:
            self.kill()
        elif self.left == 0:
            threading.Thread(target=self.wait_and_kill, daemon=True).start()

    def wait_and_kill(self) -> None:
        time.sleep(self.delay_s)
        self.kill()

    def kill(self) -> None:
        note(self.notes / "killed", self.told)
        os.kill(os.getpid(), signal.SIGKILL)


def note(path: Path, *words: object, sync: bool = False) -> None:
    """Append a line; a file that is only appended to keeps it when the process is killed."""
    line = " ".join([SESSION, *map(str, words)])
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    if sync:
        os.fsync(descriptor)

    os.close(descriptor)


def main() -> None:
    output_dir, notes = map(Path, sys.argv[1:])
    fault = Fault(notes, os.environ.get("PENSTOCK_FAULT", ""))
    patch(fault)
    fault.reached("launch")
    agent = make_agent(notes, fault)
    ps.run_study(
        build_study(int(os.environ.get("PENSTOCK_REPLICATES", REPLICATES))),
        agent_bindings={"one": agent, "two": agent},
        output_dir=output_dir,
        parallelism=CONCURRENCY,
        checkpoint=os.environ.get("PENSTOCK_CHECKPOINT") != "0",
        retry=ps.Retry(attempts=3, wait_s=0.001),
        subscribers=[hear(notes, fault)],
        show_progress=False,
    )
    fault.point = ""  # it came too late; from here on nothing is at stake


def build_study(replicates: int = REPLICATES) -> ps.Study:
    return ps.Study(
        study_id="killed",
        title="A study that is killed again and again",
        factors=[ps.Factor(name="tone", levels=["terse", "polite", "long"])],
        agent_specs=["one", "two"],
        problems=[
            ps.Problem(problem_id=f"p{number}", family="f", evaluator="tests.faults.child:score")
            for number in range(8)
        ],
        run_budget=RunBudget(replicates=replicates),
    )


def score(answer: float) -> dict[str, float]:
    return {"score": answer * 2}


def make_agent(notes: Path, fault: Fault) -> Callable[[ps.RunContext], Any]:
    async def agent(ctx: ps.RunContext) -> dict[str, object]:
        note(notes / "calls", ctx.spec.run_id, ctx.attempt)
        fault.reached("call")
        ctx.record(cost_usd=COST_USD, input_tokens=INPUT_TOKENS)
        ctx.observe("tool_call", "looked it up")
        await anyio.sleep(0.002 + 0.004 * float(ctx.rng.random()))
        if ctx.attempt == 1 and ctx.seed % 8 == 0:
            raise ConnectionError("the first time it often fails")

        return {"x": float(ctx.rng.random()), "text": "answer " * 200}

    return agent


def digest(result: ps.RunResult) -> str:
    """What a result holds, in a few letters."""
    content = [
        result.status,
        result.attempt,
        result.spec.seed,
        result.outputs_json,
        sorted((name, repr(value)) for name, value in result.metrics.items()),
        [(each.metric_name, each.metric_value) for each in result.evaluations],
        [each.record_id for each in result.observations],
    ]
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def hear(notes: Path, fault: Fault) -> Subscriber:
    async def subscriber(stream: ps.EventStream) -> None:
        results: dict[str, str] = {}
        async for event in stream:
            if isinstance(event, StudyStarted):
                note(notes / "started", event.restored, event.lost_calls)
            elif isinstance(event, ps.RunFinished):
                results[event.run_id] = digest(event.result)
            elif isinstance(event, RunsSaved):
                for run_id in event.run_ids:
                    note(notes / "heard", run_id, results.pop(run_id))

                with (notes / "heard").open("a") as heard:
                    os.fsync(heard.fileno())

                fault.reached("said")

    return subscriber


def patch(fault: Fault) -> None:
    """Put the points at which it may be killed into the functions that pass them."""
    checkpoint.GROUP, checkpoint._LINGER_S = 16, 0.001  # many small groups
    before(opening, "_prepare", fault, "startup")
    before(opening, "hold_directory", fault, "lock")
    before(writer.Store, "begin", fault, "begin")
    before(beginning, "_describe", fault, "describe")
    before(beginning, "restored", fault, "restore")
    before(writer.Store, "end", fault, "end")
    before(writer.Store, "close", fault, "close")
    before(export, "export_artifacts", fault, "export")
    replaced = tables._replaced

    def watched(path: Path) -> Any:
        fault.reached("file")
        return replaced(path)

    tables._replaced = watched
    transact = transaction.transact

    def watched_transact(connection: Any, statements: Any) -> None:
        connection.set_trace_callback(
            lambda sql: fault.reached({"COMMIT": "commit"}.get(sql, "group"))
        )
        connection.execute(f"PRAGMA wal_autocheckpoint = {AUTOCHECKPOINT:d}").fetchall()
        transact(connection, statements)
        connection.set_trace_callback(None)
        if fault.point == "checkpoint":
            fault.reached("checkpoint")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    vars(writer)["transact"] = watched_transact


def before(owner: Any, name: str, fault: Fault, point: str) -> None:
    function = getattr(owner, name)

    def watched(*arguments: Any, **options: Any) -> Any:
        fault.reached(point)
        return function(*arguments, **options)

    setattr(owner, name, watched)


if __name__ == "__main__":
    main()
