"""GSM8K over real HTTP: recorded answers from a simulated provider in a process of its own.

With a provider that misbehaves: see tests/models/test_faults_end_to_end.py.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.children import COMMAND_LINE, run_python, start_python

STUDY = """\
study_id: gsm8k-http
title: GSM8K over HTTP
agents:
{agents}
problems: {{file: {data}/problems.jsonl, id: problem_id, brief: question, expected: answer}}
evaluators:
  correct:
    number: {{pattern: 'A:.*?(-?\\d[\\d,]*(?:\\.\\d+)?)\\D*$'}}
run_budget: {{parallelism: 1000}}
output_dir: results
"""
AGENT = """\
  {name}: {{chat: {{base_url: "{url}", model: {name}, prompt: "{{{{ problem.brief }}}}",
                  max_tokens: 1000, timeout_s: 600}}}}
"""
RIGHT = {"6b_finetuning": 286, "6b_verification": 515}


@contextmanager
def provider(data: Path, model: str, log: Path) -> Iterator[str]:
    """Serve one model's recorded answers; gives the base URL."""
    answers = log.with_suffix(".answers.jsonl")
    recorded = (data / "recorded_answers.jsonl").read_text(encoding="utf-8").splitlines()
    answers.write_text(
        "\n".join(line for line in recorded if json.loads(line)["model"] == model), encoding="utf-8"
    )
    options = ("--port", "0", "--latency", "0.05", "--log", log)
    replay = ("--replay", answers, "--replay-problems", data / "problems.jsonl")
    command = (*COMMAND_LINE, "simulate-model", *options, *replay)
    with start_python(*command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield next(word for word in line.split() if word.startswith("http"))
        finally:
            process.terminate()


def test_recorded_answers_over_http_give_the_published_totals(gsm8k: Path, tmp_path: Path) -> None:
    with (
        provider(gsm8k, "6b_finetuning", tmp_path / "one.log") as one,
        provider(gsm8k, "6b_verification", tmp_path / "two.log") as two,
    ):
        agents = "".join(
            AGENT.format(name=name, url=url) for name, url in zip(RIGHT, (one, two), strict=True)
        )
        (tmp_path / "study.yaml").write_text(STUDY.format(agents=agents, data=gsm8k))
        ended = run_python(*COMMAND_LINE, "run", "study.yaml", "--no-progress", cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    query = (
        "SELECT agent_id, count(DISTINCT run_id) AS runs, count(*) AS results, "
        "sum(metric_value) AS right FROM runs JOIN evaluations USING (run_id) GROUP BY agent_id"
    )
    with closing(sqlite3.connect(tmp_path / "results" / "study.sqlite")) as store:
        found: dict[str, tuple[Any, ...]] = {row[0]: row[1:] for row in store.execute(query)}
        (failed,) = store.execute("SELECT count(*) FROM attempts WHERE status_class <> 'ok'")

    assert found == {name: (1319, 1319, right) for name, right in RIGHT.items()}
    assert failed[0] == 0
