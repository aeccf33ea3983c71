"""Other providers behind the same protocol: the real any-llm where it is installed, or a fake."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from penstock.errors import ValidationError
from penstock.models import model_errors as errors
from penstock.models.any_provider import AnyProviderModel
from penstock.models.chat_model import ChatModel, Usage
from penstock.models.model_errors import ModelError, ModelTimeoutError
from tests.models.loopback import ANSWER, CANARY, REQUEST, answers, http_server

pytestmark = pytest.mark.anyio


class AnyLLMError(Exception):
    def __init__(self, message: str, **fields: Any) -> None:
        self.message, self.original_exception = message, None
        vars(self).update(fields)
        super().__init__(message)


class UnsupportedParameterError(AnyLLMError):
    pass


class ContextLengthExceededError(AnyLLMError):
    pass


class APIConnectionError(Exception):
    pass


class Said:
    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields

    def model_dump(self, **_options: Any) -> dict[str, Any]:
        return self.fields


class FakeLibrary:
    """Stands in for ``any_llm``: answers, or raises, what it is given."""

    UnsupportedParameterError = UnsupportedParameterError

    def __init__(self, outcome: Any) -> None:
        self.AnyLLM = self
        self.outcome = outcome
        self.options: dict[str, Any] = {}

    def create(self, provider: str, **options: Any) -> FakeLibrary:
        if "max_retries" in options and provider == "stubborn":
            raise UnsupportedParameterError("max_retries")

        if provider == "unknown":
            raise AnyLLMError(f"no provider takes {CANARY}")

        self.options = options
        return self

    async def acompletion(self, **fields: Any) -> Any:
        self.options = fields
        if self.outcome is None:
            await anyio.sleep_forever()

        if isinstance(self.outcome, Exception):
            raise self.outcome

        if isinstance(self.outcome, list):
            return self.stream()

        return Said(self.outcome)

    async def stream(self) -> AsyncIterator[Said]:
        for piece in self.outcome:
            yield Said(piece)


def model_of(
    outcome: Any, monkeypatch: pytest.MonkeyPatch, provider: str = "some", **options: Any
) -> tuple[ChatModel, FakeLibrary]:
    library = FakeLibrary(outcome)
    monkeypatch.setitem(sys.modules, "any_llm", library)
    given = {"api_key": CANARY, "key_name": "SOME_KEY"} | options
    return AnyProviderModel(provider, **given), library


async def failure(outcome: Any, monkeypatch: pytest.MonkeyPatch, **options: Any) -> ModelError:
    model, _ = model_of(outcome, monkeypatch, **options)
    with pytest.raises(ModelError) as caught:
        await model.complete(REQUEST)

    assert CANARY not in f"{caught.value} {caught.value.__context__!r} {model!r}"
    return caught.value


async def test_an_answer_is_read_as_the_client_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said = ANSWER | {"model": f"m-{CANARY}"}
    model, library = model_of(said, monkeypatch, "stubborn")
    assert library.options["unified_exceptions"] is True
    completion = await model.complete(REQUEST.model_copy(update={"seed": 3}))
    assert (completion.text, completion.model) == ("42", "m-[redacted]")
    assert completion.usage == Usage(input_tokens=12, output_tokens=3)
    assert library.options["seed"] == 3


async def test_a_streamed_answer_tells_when_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [{"choices": [{"delta": {"content": text}}]} for text in "42"]
    model, library = model_of(pieces, monkeypatch)
    completion = await model.complete(REQUEST.model_copy(update={"stream": True}))
    assert completion.text == "42"
    assert completion.first_token_s is not None
    assert library.options["stream"] is True


async def test_a_status_means_what_it_means_to_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = AnyLLMError(f"slow {CANARY}", status_code=429, retry_after="2", code=None)
    error = await failure(slow, monkeypatch)
    assert (type(error), error.retry_after_s) == (errors.RateLimitedError, 2.0)
    response = SimpleNamespace(headers={"Retry-After": "9000", "X-Request-Id": "r"})
    original = SimpleNamespace(response=response)
    busy = AnyLLMError("busy", status_code=503, original_exception=original)
    error = await failure(busy, monkeypatch)
    assert (type(error), error.request_id) == (errors.RetryAfterTooLongError, "r")
    error = await failure(AnyLLMError("who?", status_code=401), monkeypatch)
    assert type(error) is errors.AuthenticationError
    assert "SOME_KEY" in str(error)


async def test_an_error_without_a_status_is_known_by_its_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cases = {
        ContextLengthExceededError("long"): errors.ContextTooLongError,
        AnyLLMError("x", original_exception=APIConnectionError()): errors.ModelConnectionError,
        AnyLLMError(f"odd {CANARY}"): errors.BadRequestError,
    }
    for outcome, kind in cases.items():
        assert type(await failure(outcome, monkeypatch)) is kind


async def test_a_call_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    error = await failure(None, monkeypatch, timeout_s=0.05)
    assert isinstance(error, ModelTimeoutError)
    assert error.phase == "total"


def test_a_provider_that_cannot_be_made_says_why_without_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ValidationError, match=r"no provider takes \[redacted\]"):
        model_of(None, monkeypatch, "unknown")


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "any_llm", None)
    with pytest.raises(ValidationError, match=r"pip install 'penstock\[models-any\]'"):
        AnyProviderModel("some")


@pytest.mark.skipif(find_spec("any_llm") is None, reason="any-llm is not installed")
async def test_the_real_library_answers_and_its_errors_are_told_apart() -> None:
    usage = ANSWER["usage"] | {"total_tokens": 15}
    whole = ANSWER | {"object": "chat.completion", "created": 1, "usage": usage}
    wait = {"Retry-After": "2"}
    async with http_server(answers(whole)) as base_url, real(base_url) as model:
        assert (await model.complete(REQUEST)).text == "42"

    async with real(base_url) as model:
        with pytest.raises(errors.ModelConnectionError):
            await model.complete(REQUEST)

    async with http_server(answers()) as base_url, real(base_url) as model:
        with pytest.raises(errors.MalformedResponseError):  # it is stricter than our own client
            await model.complete(REQUEST)

    async with http_server(answers(status=429, headers=wait)) as base_url, real(base_url) as model:
        with pytest.raises(errors.RateLimitedError) as caught:
            await model.complete(REQUEST)

    assert caught.value.retry_after_s == 2


def real(base_url: str) -> AnyProviderModel:
    return AnyProviderModel("openai", api_key=CANARY, base_url=base_url)


async def test_closing_closes_what_the_library_has_open(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = anyio.Event()

    async def close() -> None:
        closed.set()

    _, library = model_of(ANSWER, monkeypatch)
    async with AnyProviderModel("some"):
        pass  # nothing is open

    vars(library)["client"] = SimpleNamespace(close=close)
    async with AnyProviderModel("some"):
        assert not closed.is_set()

    assert closed.is_set()


def test_the_library_is_not_imported_before_a_model_is_made() -> None:
    script = "import sys, penstock.models.any_provider; sys.exit('any_llm' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
