"""Kills workers and drivers of studies, and measures what workers cost and gain.

    python benchmarks/workers.py [--kills 100] [--drivers 20] [--only NAME ...]

Each part runs the command line as a person does, against a simulated provider in a process of its
own, whose log is the truth. It is printed as a line, and a part that breaks a promise ends the
script with exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio  # noqa: TID251 - what one would write by hand
import csv
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from workers_by_hand import run_on_dask

PENSTOCK = Path(sys.executable).with_name("penstock")

AGENTS = """
import random

import anyio
import numpy


async def hand(ctx):
    model = ctx.model("m")
    first = await model.chat(f"{ctx.spec.run_id}: 1")
    ctx.observe("step", "has one answer")
    second = await model.chat(f"{ctx.spec.run_id}: 2")
    return first.text + second.text


async def sleeps(ctx):
    await anyio.sleep(1)
    return "x"


async def sleeps_long(ctx):
    await anyio.sleep(10)
    return "x"


async def nothing(ctx):
    return "x"


async def draws(ctx):
    ctx.observe("step", "drawing")
    await anyio.sleep(0.01 * random.random())
    ctx.record(drawn=random.random())
    return f"{ctx.rng.integers(10**6)} {random.random()} {numpy.random.random()}"


def computes(ctx):
    end = sum(number * number for number in range(1_500_000))
    return str(end)
"""

STUDY = """
study_id: measured
title: A study of workers
models: {{m: {{base_url: "{url}", model: fake, max_tokens: 20}}}}
agents: {{{agent}: agents.py:{agent}}}
problems: [{{problem_id: p}}]
replicates: {runs}
limits: {{"{url}": {{{limits}}}}}
execution: {{concurrency: {concurrency}, report: false, control: false, stop_alike: 0}}
"""


TIMES = ("start_time", "end_time", "latency_s", "timestamp", "run_start_time")


class Place:
    """A folder with a study, its provider, and its results."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.results = folder / "results"
        self.log = folder / "log.jsonl"

    def write(self, agent: str, runs: int, concurrency: int, limits: str = "") -> None:
        (self.folder / "agents.py").write_text(AGENTS)
        limited = STUDY if limits else STUDY.replace('limits: {{"{url}": {{{limits}}}}}\n', "")
        named = {"agent": agent, "runs": runs, "concurrency": concurrency, "limits": limits}
        models = limited if agent == "hand" else limited.replace("models:", "x-models:", 1)
        (self.folder / "study.yaml").write_text(models.format(url=self.url, **named))

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        study, results = str(self.folder / "study.yaml"), str(self.results)
        command = [str(PENSTOCK), "run", study, "--output-dir", results, "--json", *options]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.results / "study.sqlite")) as store:
            return store.execute(query).fetchall()

    def tables(self) -> Iterator[dict[str, str]]:
        """The rows of the artifacts that are tables, without the moments in them."""
        for name in ("conditions", "runs", "events", "evaluations"):
            with (self.results / f"{name}.csv").open(newline="") as file:
                for row in csv.DictReader(file):
                    yield {column: row[column] for column in row if column not in TIMES}

    def asked(self) -> list[dict[str, Any]]:
        text = self.log.read_text() if self.log.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


@contextmanager
def place(latency_s: float = 0.3) -> Iterator[Place]:
    with TemporaryDirectory() as name:
        log = Path(name) / "log.jsonl"
        command = [str(PENSTOCK), "simulate-model", "--port", "0", "--latency", str(latency_s)]
        server = subprocess.Popen(
            [*command, "--log", str(log)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            assert server.stdout is not None
            with server.stdout as stdout:
                yield Place(Path(name), stdout.readline().decode().split()[-1])
        finally:
            server.terminate()
            server.wait()


def workers_of(driver: int) -> list[int]:
    """The worker processes of a driver: those that the one that it has started has forked."""
    return [worker for started in _children(driver) for worker in _children(started)]


def _children(process: int) -> list[int]:
    """The children of a process that have, or are, workers."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        commands = [(int(each), Path(f"/proc/{each}/cmdline").read_bytes()) for each in children]
    except OSError:  # one has just ended
        return []

    return [child for child, command in commands if b"dask_process" in command]


START_S = 5.0
"""After so many seconds a worker process has joined, even where the machine is busy."""


def age_s(process: int) -> float:
    """How long ago a process began, in seconds; 0 where it has ended."""
    try:
        return time.time() - Path(f"/proc/{process}").stat().st_ctime
    except OSError:
        return 0.0


def own_cpu_s(process: int) -> float:
    """Processor time of a process without its children's, in seconds; it may have just ended."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kills_of_workers(kills: int, _: int) -> dict[str, Any]:
    """0 runs lost or doubled, no call paid twice, and what may have been paid told exactly."""
    with place() as study:
        runs = 150 * kills
        study.write("hand", runs, concurrency=60)
        driver = study.start("--workers", "4")
        killed, draw = 0, random.Random(1)
        while driver.poll() is None:
            time.sleep(draw.uniform(0.2, 1.5))
            workers = [each for each in workers_of(driver.pid) if age_s(each) > START_S]
            if killed < kills and workers:
                try:
                    os.kill(draw.choice(workers), signal.SIGKILL)
                except ProcessLookupError:
                    continue

                killed += 1

        times = Counter(line["key"] for line in study.asked() if line["status"] == 200)
        ((final, succeeded),) = study.ask("SELECT count(*), sum(status = 'success') FROM runs")
        ((lost,),) = study.ask("SELECT count(*) FROM attempts WHERE error_kind = 'WorkerLostError'")
        ((cancelled, started, kept),) = study.ask(
            "SELECT sum(cancelled), sum(started), sum(attempts) FROM sessions"
        )
        told = {
            "kills": killed,
            "runs": runs,
            "results": final,
            "succeeded": succeeded,
            "runs whose worker was lost": lost,
            "requests": sum(times.values()),
            "requests paid twice": sum(count - 1 for count in times.values()),
            "exit code": driver.returncode,
        }
        kept_promises = (
            final == succeeded == runs,
            sum(times.values()) == 2 * runs,
            lost == cancelled,
            started == kept,
        )
        return {**told, "is kept": all(kept_promises)}


def kills_of_drivers(_: int, drivers: int) -> dict[str, Any]:
    """A killed driver ends its workers and its calls, and the next one goes on."""
    with place() as study:
        runs = 60 * drivers
        study.write("hand", runs, concurrency=24)
        draw, orphans, late = random.Random(2), 0, 0
        for _killed in range(drivers):
            driver = study.start("--workers", "2")
            while len(workers := workers_of(driver.pid)) < 2 and driver.poll() is None:
                time.sleep(0.05)

            time.sleep(draw.uniform(2.0, 5.0))
            workers = workers_of(driver.pid)
            driver.kill()
            driver.wait()
            time.sleep(1.5)  # what was sent is answered by then, and logged
            before = len(study.asked())
            time.sleep(1.5)
            late += len(study.asked()) - before
            orphans += sum(Path(f"/proc/{worker}").exists() for worker in workers)

        study.start("--workers", "2").wait()
        times = Counter(line["key"] for line in study.asked() if line["status"] == 200)
        ((final, succeeded),) = study.ask("SELECT count(*), sum(status = 'success') FROM runs")
        again = sum(count - 1 for count in times.values())
        ((started, kept),) = study.ask("SELECT sum(started), sum(attempts) FROM sessions")
        return {
            "drivers killed": drivers,
            "runs": runs,
            "succeeded": succeeded,
            "workers left": orphans,
            "requests after the end of the driver": late,
            "requests made again": again,
            "attempts told as possibly paid": started - kept,
            "is kept": final == succeeded == runs
            and not orphans
            and not late
            and again <= started - kept,
        }


def computing(_: int, __: int) -> dict[str, Any]:
    """Agents that compute, on two workers and in one process."""
    took = {}
    for name, options in (("one process", ()), ("two workers", ("--workers", "2"))):
        with place() as study:
            study.write("computes", 160, concurrency=2)
            study.start(*options).wait()
            ((seconds,),) = study.ask(
                "SELECT 86400.0 * (max(julianday(end_time)) - min(julianday(start_time))) FROM runs"
            )
            took[name] = seconds

    return {**_rounded(took), "gain": round(took["one process"] / took["two workers"], 2)}


def many_at_once(_: int, __: int) -> dict[str, Any]:
    """10,000 runs in flight over two workers, of 1 s and of 10 s, and how busy their places are."""
    found: dict[str, float] = {}
    for agent, run_s in (("sleeps", 1.0), ("sleeps_long", 10.0)):
        with place() as study:
            study.write(agent, 30_000, concurrency=10_000)
            study.start("--workers", "2").wait()
            ((runs, seconds),) = study.ask(
                "SELECT count(*), "
                "86400.0 * (max(julianday(end_time)) - min(julianday(start_time))) FROM runs"
            )
            found[f"seconds for runs of {run_s:g} s"] = seconds
            found[f"busy with runs of {run_s:g} s"] = runs * run_s / seconds / 1e4

        with TemporaryDirectory() as folder:
            by_hand_s = asyncio.run(run_on_dask(30_000, 10_000, run_s, Path(folder)))[0]
            found[f"busy with runs of {run_s:g} s, by hand"] = 3 * run_s / by_hand_s

    return {"runs": 30_000, **_rounded(found)}


def cost_of_a_run(_: int, __: int) -> dict[str, Any]:
    """Processor time of the driver for a run that does nothing, with two workers and without."""
    took = {}
    for name, options in (("here", ()), ("driver of two workers", ("--workers", "2"))):
        spent = []
        for runs in (1, 20_000):
            with place() as study:
                study.write("nothing", runs, concurrency=500)
                before = time.monotonic()
                driver = study.start(*options)
                os.waitid(os.P_PID, driver.pid, os.WEXITED | os.WNOWAIT)
                spent.append((own_cpu_s(driver.pid), time.monotonic() - before))
                driver.wait()

        took[name] = 1e6 * (spent[1][0] - spent[0][0]) / 20_000
        took[f"{name}, start and end in seconds"] = spent[0][1]

    return _rounded(took)


def rate(_: int, __: int) -> dict[str, Any]:
    """A rate over two workers, by the provider's log."""
    with place(latency_s=0.1) as study:
        study.write("hand", 600, concurrency=200, limits="requests_per_minute: 600")
        study.start("--workers", "2").wait()
        at = sorted(line["arrived_s"] for line in study.asked())
        most = max(sum(begin <= each < begin + 60 for each in at) for begin in at)
        used = (len(at) - 1) / (at[-1] - at[0]) * 60 / 600
        return {
            "requests": len(at),
            "most in any minute": most,
            "used": round(used, 2),
            "is kept": most <= 600,
        }


def first_run(_: int, __: int) -> dict[str, Any]:
    """From the command to the start of the first run."""
    took = {}
    for name, options in (("one process", ()), ("two workers", ("--workers", "2"))):
        with place() as study:
            study.write("nothing", 1, concurrency=1)
            before = time.time()
            study.start(*options).wait()
            ((began_at,),) = study.ask(
                "SELECT 86400.0 * (julianday(min(start_time)) - 2440587.5) FROM runs"
            )
            took[f"{name}, in seconds"] = began_at - before

    return _rounded(took)


def same_tables(_: int, __: int) -> dict[str, Any]:
    """The tables of agents that draw from the global generators, however many make the runs."""
    runs, read = 2000, []
    for options in ((), ("--workers", "2"), ("--workers", "4")):
        with place() as study:
            study.write("draws", runs, concurrency=200)
            study.start(*options).wait()
            read.append([*study.tables()])

    here, two, four = read
    rows = len(here)
    return {"runs": runs, "rows": rows, "is kept": here == two == four and rows > 2 * runs}


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in numbers.items()}


PARTS: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "kills of workers": kills_of_workers,
    "kills of drivers": kills_of_drivers,
    "computing": computing,
    "many at once": many_at_once,
    "cost of a run": cost_of_a_run,
    "rate": rate,
    "first run": first_run,
    "same tables": same_tables,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--drivers", type=int, default=20)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    asked = parser.parse_args()
    is_kept = True
    for name in asked.only:
        found = PARTS[name](asked.kills, asked.drivers)
        is_kept &= found.get("is kept", True)
        print(json.dumps({"part": name, **found}), flush=True)

    return 0 if is_kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
