"""Clients that others wrote ask the simulated provider: what it says is what they expect.

They are no dependencies of penstock. ``make clients`` installs them into a folder of their own and
names it in ``PENSTOCK_CLIENTS``; each runs as a process of its own, with that folder on its path.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from socket import socket
from typing import Any

import anyio
import anyio.to_thread
import pytest

import penstock as ps
from penstock.simulator import Fault, SimulatedProvider, SimulatorOptions
from tests.models.studies import chat, chat_study

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif("PENSTOCK_CLIENTS" not in os.environ, reason="make clients runs it"),
]

OPENAI = """
import json, sys
import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key="some-key", max_retries=0)
asked = {"model": "some-model", "messages": [{"role": "user", "content": "6 x 7?"}]}
whole = client.chat.completions.create(**asked, max_tokens=50)
pieces = list(client.chat.completions.create(
    **asked, stream=True, stream_options={"include_usage": True}))
cut = client.chat.completions.create(**asked, max_tokens=1)
failures = []
for _ in range(3):
    try:
        client.chat.completions.create(**asked)
    except openai.OpenAIError as error:
        failures.append(type(error).__name__)

print(json.dumps({
    "models": [each.id for each in client.models.list()],
    "text": whole.choices[0].message.content,
    "ending": whole.choices[0].finish_reason,
    "tokens": whole.usage.completion_tokens,
    "streamed": "".join(p.choices[0].delta.content or "" for p in pieces if p.choices),
    "streamed_tokens": [p.usage.completion_tokens for p in pieces if p.usage],
    "cut": cut.choices[0].finish_reason,
    "failures": failures,
}))
"""

LITELLM = """
import json, sys
import litellm

litellm.suppress_debug_info = True
asked = {
    "model": "openai/some-model", "api_base": sys.argv[1], "api_key": "some-key",
    "messages": [{"role": "user", "content": "6 x 7?"}], "num_retries": 0, "max_retries": 0,
}
whole = litellm.completion(**asked, max_tokens=50)
pieces = list(litellm.completion(**asked, stream=True))
cut = litellm.completion(**asked, max_tokens=1)
failures = []
for _ in range(3):
    try:
        litellm.completion(**asked)
    except Exception as error:
        failures.append(type(error).__name__)

print(json.dumps({
    "text": whole.choices[0].message.content,
    "ending": whole.choices[0].finish_reason,
    "tokens": whole.usage.completion_tokens,
    "streamed": "".join(p.choices[0].delta.content or "" for p in pieces),
    "cut": cut.choices[0].finish_reason,
    "failures": failures,
}))
"""


INSPECT = """
import json, sys, tempfile
from inspect_ai import Task, eval as evaluate
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.scorer import includes

config = GenerateConfig(max_tokens=50, max_connections=1)
named = "openai-api/simulated/some-model"
model = get_model(named, base_url=sys.argv[1], api_key="some-key", config=config)
samples = [Sample(input=f"{number}?", target="forty-two") for number in range(6)]
(log,) = evaluate(
    Task(dataset=samples, scorer=includes()), model=model, log_dir=tempfile.mkdtemp(),
    display="none", log_level="error",
)
(usage,) = log.stats.model_usage.values()
print(json.dumps({
    "status": log.status,
    "accuracy": log.results.scores[0].metrics["accuracy"].value,
    "output_tokens": usage.output_tokens,
    "endings": sorted({each.output.choices[0].stop_reason for each in log.samples}),
}))
"""


async def told_by(script: str, url: str) -> dict[str, Any]:
    """Run a script as a child; what it prints at its end is JSON."""

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", script, url],
            env={**os.environ, "PYTHONPATH": os.environ["PENSTOCK_CLIENTS"]},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    done = await anyio.to_thread.run_sync(run)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


PROXY = """
import sys
from litellm import run_server

sys.argv = ["litellm", "--config", sys.argv[1], "--host", "127.0.0.1", "--port", sys.argv[2]]
run_server()
"""
CONFIG = """
model_list:
  - model_name: some-model
    litellm_params: {model: openai/some-model, api_base: "%s", api_key: some-key, max_retries: 0}
litellm_settings: {num_retries: 0}
"""
MASTER_KEY = "sk-0f9e8d7c6b5a493827160f9e8d7c6b5a"


@asynccontextmanager
async def litellm_proxy(folder: Path, provider_url: str) -> AsyncIterator[str]:
    """Run LiteLLM's proxy in front of a provider; gives its base URL."""
    config = folder / "config.yaml"
    config.write_text(CONFIG % provider_url)
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    path = {"PYTHONPATH": os.environ["PENSTOCK_CLIENTS"], "LITELLM_MASTER_KEY": MASTER_KEY}
    command = [sys.executable, "-c", PROXY, str(config), str(port)]
    async with await anyio.open_process(
        command, env={**os.environ, **path}, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        said = b""
        try:
            while b"Uvicorn running" not in said:
                said += await process.stdout.receive()

            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()


OPTIONS = SimulatorOptions(
    latency_s=0.0,
    answers=("forty-two it is",),
    faults_at={4: Fault.RATE_LIMITED, 5: Fault.SERVER_ERROR, 6: Fault.UNAUTHORIZED},
)
SAID = {"text": "forty-two it is", "ending": "stop", "tokens": 4, "cut": "length"}
FAILED = ["RateLimitError", "InternalServerError", "AuthenticationError"]


async def test_the_client_of_openai_reads_answers_streams_and_failures() -> None:
    async with SimulatedProvider(OPTIONS) as provider:
        told = await told_by(OPENAI, provider.url)

    assert told.items() >= SAID.items()
    assert (told["streamed"], told["streamed_tokens"]) == (SAID["text"], [4])
    assert told["failures"] == FAILED
    assert all(isinstance(each, str) for each in told["models"])


async def test_litellm_reads_answers_streams_and_failures() -> None:
    async with SimulatedProvider(OPTIONS) as provider:
        told = await told_by(LITELLM, provider.url)

    assert told.items() >= SAID.items()
    assert told["streamed"] == SAID["text"]
    assert told["failures"] == FAILED


async def test_inspect_asks_again_after_refusals_and_counts_what_is_billed() -> None:
    options = SimulatorOptions(
        latency_s=0.0,
        answers=("forty-two it is",),
        faults_at={2: Fault.RATE_LIMITED, 5: Fault.SERVER_ERROR},
        retry_after="fraction",
        retry_after_s=0.05,
    )
    async with SimulatedProvider(options) as provider:
        told = await told_by(INSPECT, provider.url)
        billed = provider.stats()

    assert (told["status"], told["accuracy"], told["endings"]) == ("success", 1.0, ["stop"])
    assert billed["by_status"] == {"200": 6, "429": 1, "500": 1}
    assert told["output_tokens"] == billed["output_tokens"]


async def test_a_study_behind_the_proxy_of_litellm_means_what_the_provider_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXY_KEY", MASTER_KEY)
    options = SimulatorOptions(
        latency_s=0.0,
        answers=("forty-two it is",),
        faults_at={2: Fault.CONTEXT_TOO_LONG, 4: Fault.SERVER_ERROR},
    )
    problems = [ps.Problem(problem_id=f"p{number}", brief=f"{number}?") for number in range(6)]
    async with (
        SimulatedProvider(options) as provider,
        litellm_proxy(tmp_path, provider.url) as url,
    ):
        agent = chat(url, api_key_env="PROXY_KEY", max_tokens=20)
        study = chat_study(tmp_path, agent, factors=(), problems=problems, run_order="as_designed")
        once = ps.Retry(attempts=1)
        results = await ps.arun_study(study, show_progress=False, concurrency=1, retry=once)
        billed = provider.stats()

    failed = {result.error.kind for result in results if result.error is not None}
    assert failed == {"ContextTooLongError", "OverloadedError"}
    assert results.summary.succeeded == 4
    assert {result.outputs["text"] for result in results if result.error is None} == {
        "forty-two it is"
    }
    assert results.summary.output_tokens == billed["output_tokens"]
    assert MASTER_KEY not in str([result.error for result in results])
