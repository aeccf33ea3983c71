"""Each situation in each dialect of the simulated provider: what becomes of it, and its cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import penstock as ps
from penstock._base.fact import EMPTY
from penstock.simulator import Fault, SimulatedProvider, SimulatorOptions
from penstock.simulator.dialects import DIALECTS, Dialect
from tests.models.studies import chat, chat_study

pytestmark = pytest.mark.anyio

DOLLAR_A_TOKEN = {
    "some-model": {"input_usd_per_million": 0.0, "output_usd_per_million": 1_000_000.0}
}
MOST_TOKENS = 50
STOPS_THE_STUDY = {"azure", "xai"}
"""Whose error is about the key or the account."""


class Cell(NamedTuple):
    """One situation, and what is to become of it."""

    situation: str
    fault: Fault | None = None
    """What the provider does wrong."""

    kind: str | None = None
    """The class of the failure; None is a success."""

    outputs: Mapping[str, Any] = EMPTY
    cost_usd: float = 0.0
    asked: Mapping[str, Any] = EMPTY
    """What the problem asks for, beside an answer."""


def cells(dialect: Dialect) -> Iterator[Cell]:
    """Give every situation that there is in a dialect; the answer, `forty-two`, has 3 tokens."""
    text = {"text": "forty-two"}
    yield Cell("good", outputs=text, cost_usd=3)
    yield Cell("cut", outputs={"text": "fort"}, cost_usd=1, asked={"most": 1})
    yield Cell("refused", Fault.REFUSAL, "RefusalError", cost_usd=10)
    thought = text | {"reasoning": "hm, let me see"}
    yield Cell("reasoning", outputs=thought, cost_usd=7, asked={"effort": "high"})
    called = {"text": "", "tool_calls": [{"id": "call-1", "name": "f", "arguments": {"a": 1}}]}
    yield Cell("tool-call", Fault.TOOL_CALL, outputs=called, cost_usd=2)
    if dialect.filtered is not None:
        yield Cell("filtered", Fault.CONTENT_FILTER, "ContentFilteredError", cost_usd=1)

    yield Cell("broken", Fault.BROKEN_ANSWER, "OverloadedError", cost_usd=3)
    yield Cell("too-long", Fault.CONTEXT_TOO_LONG, "ContextTooLongError")
    yield Cell("uncounted", Fault.MISSING_USAGE, outputs=text, cost_usd=3)
    yield Cell("unknown", Fault.UNKNOWN_ENDING, outputs=text, cost_usd=3)


MESSAGES = "messages"
"""Anthropic's own format, which is asked in place of chat completions."""


async def run(
    folder: Path, dialect: str, given: list[Cell], *, is_streamed: bool = False
) -> list[ps.RunResult]:
    """Run a study with a problem for each situation, in their order."""
    options = SimulatorOptions(
        latency_s=0.0,
        dialect="anthropic" if dialect == MESSAGES else dialect,
        answers=("forty-two",),
        reasoning="hm, let me see",
        faults_at={at: cell.fault for at, cell in enumerate(given, 1) if cell.fault is not None},
    )
    async with SimulatedProvider(options) as provider:
        agent = chat(
            f"{provider.url}/messages" if dialect == MESSAGES else provider.url,
            stream=is_streamed,
            max_tokens="{{ problem.most }}",
            reasoning_effort="{{ problem.effort }}",
        )
        problems = [
            ps.Problem(
                problem_id=cell.situation,
                brief=cell.situation,
                payload={"most": MOST_TOKENS, "effort": None, **cell.asked},
            )
            for cell in given
        ]
        study = chat_study(
            folder,
            agent,
            factors=(),
            problems=problems,
            prices=DOLLAR_A_TOKEN,
            run_order="as_designed",
        )
        never = ps.Retry(attempts=1)
        await ps.StudyRunner(study, retry=never, refused_for_s=0.0).run()

    return list(ps.StudyResult.open(study.resolve("results")))


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", [*DIALECTS, MESSAGES])
async def test_every_situation_is_what_the_provider_says_in_its_own_words(
    name: str, is_streamed: bool, tmp_path: Path
) -> None:
    expected = list(cells(DIALECTS["anthropic" if name == MESSAGES else name]))
    results = await run(tmp_path, name, expected, is_streamed=is_streamed)

    for cell, result in zip(expected, results, strict=True):
        kind = None if result.error is None else result.error.kind
        assert kind == cell.kind, f"{cell.situation}: {result.error}"
        assert result.metrics["cost_usd"] == pytest.approx(cell.cost_usd), cell.situation
        assert "uncounted_cost_usd" not in result.metrics, cell.situation
        if kind is None:
            assert result.outputs == cell.outputs, cell.situation

        is_flagged = result.provenance.get("is_ending_unknown", False)
        assert is_flagged is (cell.situation == "unknown"), cell.situation


@pytest.mark.parametrize("name", [*DIALECTS, MESSAGES])
async def test_an_error_under_200_is_an_error_and_no_money(name: str, tmp_path: Path) -> None:
    (result,) = await run(tmp_path, name, [Cell("error", Fault.ERROR_IN_200)])

    assert result.status == "failed"
    assert result.error is not None
    assert result.error.stops_study is (name in STOPS_THE_STUDY), result.error
    assert result.error.kind != "MalformedResponseError", result.error
    assert (result.cost_usd, result.metrics.get("uncounted_cost_usd", 0)) == (0, 0)


@pytest.mark.parametrize("name", [*DIALECTS, MESSAGES])
async def test_an_error_in_a_stream_fails_the_run_whose_worst_case_is_set_aside(
    name: str, tmp_path: Path
) -> None:
    cell = Cell("error", Fault.ERROR_IN_STREAM)
    (result,) = await run(tmp_path, name, [cell], is_streamed=True)

    assert result.error is not None
    assert result.error.kind != "MalformedResponseError", result.error
    assert result.error.stops_study is (name in STOPS_THE_STUDY), result.error
    assert result.metrics["uncounted_cost_usd"] == MOST_TOKENS, "a piece had come"
