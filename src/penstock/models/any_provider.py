"""Chat models of other providers, through any-llm (extra ``penstock[models-any]``).

Two well-kept libraries speak to many providers: any-llm and pydantic-ai's model layer. Measured
beside each other against the server of ``benchmarks/chat.py`` (200 ms, raw aiohttp 0.13 ms of CPU
a call): importing and making a model takes any-llm 1.3 to 1.6 s and pydantic-ai 1.2 to 1.4 s; a
call at 64 in flight 1.8 and 2.1 ms, at 500 in flight 3.1 and 3.3 ms. They cost the same, and about
twenty times what `OpenAIChatModel` does. any-llm was chosen for what it gives: an answer already in
the form of an OpenAI completion, errors with their status, code and ``Retry-After``, and a switch
for its SDKs' own retries; pydantic-ai's layer has parts and messages of an agent's in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isawaitable
from time import perf_counter
from typing import Any, Self

import anyio
import orjson

from penstock._base.deadlines import fail_after
from penstock._base.extras import load_extra
from penstock._base.secrets import Redactor
from penstock.errors import ValidationError, message_of
from penstock.models.chat_model import Completion, CompletionRequest
from penstock.models.model_errors import (
    AuthenticationError,
    BadRequestError,
    ContentFilteredError,
    ContextTooLongError,
    MalformedResponseError,
    ModelConnectionError,
    ModelError,
    ModelTimeoutError,
)
from penstock.models.openai.endpoint import Endpoint, ResponseHead
from penstock.models.openai.error_response import failure_of_status
from penstock.models.openai.request_body import body_of
from penstock.models.openai.response import completion_of, payload_of
from penstock.models.openai.streaming import StreamedAnswer
from penstock.study.model_options import ModelOptions

__all__ = ["AnyProviderModel", "make_model"]

_NO_HEADERS: Mapping[str, str] = {}
_SUCCESS = ResponseHead(200, _NO_HEADERS, None, None)


class AnyProviderModel:
    """Completes conversations at any provider that any-llm knows.

    What a provider's SDK hides stays hidden: which phase of a call ran out of time, most headers,
    and so the limits that a provider reports. Where an endpoint speaks OpenAI's protocol,
    `OpenAIChatModel` tells more, for a twentieth of the CPU time.

    Use it as an async context manager, or call `aclose`.

    Args:
        provider: The provider's name in any-llm: ``anthropic``, ``gemini``, ``mistral``, ...
        api_key: The key. No error, log or ``repr`` of ours shows it.
        key_name: The name of the environment variable that the key came from, for errors.
        base_url: Another address than the provider's own.
        timeout_s: How long a call may take, in seconds.
        max_retry_after_s: The longest wait that the provider may ask for, in seconds.

    Raises:
        ValidationError: any-llm, or what it needs for this provider, is not there.
    """

    def __init__(
        self,
        provider: str,
        *,
        api_key: str | None = None,
        key_name: str | None = None,
        base_url: str | None = None,
        timeout_s: float = 60.0,
        max_retry_after_s: float = 300.0,
    ) -> None:
        library = load_extra("any_llm", extra="models-any", what=f"a chat model of {provider}")
        hidden = Redactor(api_key)
        self._endpoint = Endpoint(
            base_url or provider,
            f"the environment variable {key_name}" if key_name else None,
            api_key is not None,
            max_retry_after_s,
            hidden,
        )
        self._key_name = key_name
        self._timeout_s = timeout_s
        options = {"api_key": api_key, "api_base": base_url, "unified_exceptions": True}
        try:
            self._model = _make(library, provider, options)
        except Exception as error:  # noqa: BLE001 - SDKs of many providers raise what they like
            reason = hidden.excerpt(message_of(error))
        else:
            return

        raise ValidationError([f"a chat model of {provider} cannot be made: {reason}"])

    def __repr__(self) -> str:
        return f"AnyProviderModel({self._endpoint.name!r}, key_name={self._key_name!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections of the provider's SDK, where it has a way to."""
        close = getattr(getattr(self._model, "client", None), "close", None)
        with anyio.CancelScope(shield=True):
            closing = close() if callable(close) else None
            if isawaitable(closing):
                await closing

    async def complete(self, request: CompletionRequest) -> Completion:
        """Ask once.

        Raises:
            ModelError: why there is no answer; nothing of it holds the key.
        """
        fields = orjson.loads(body_of(request))
        begun = perf_counter()
        try:
            with fail_after(self._timeout_s):
                response = await self._model.acompletion(**fields)
                payload, first_token_at = await _payload_of(response)

            read, was_redacted = payload_of(self._endpoint, _SUCCESS, orjson.dumps(payload))
            return completion_of(
                self._endpoint,
                _SUCCESS,
                request,
                read,
                is_redacted=was_redacted,
                provider_s=perf_counter() - begun,
                first_token_s=None if first_token_at is None else first_token_at - begun,
            )
        except ModelError:
            raise
        except Exception as error:  # noqa: BLE001 - SDKs of many providers raise what they like
            failure = self._failure_of(error)

        # Raised out here it carries no context: what an SDK raised may hold the key.
        raise failure

    def _failure_of(self, error: Exception) -> ModelError:
        name, message = self._endpoint.name, message_of(error)
        status = getattr(error, "status_code", None)
        if isinstance(status, int) and status not in _NOT_OF_ERRORS:
            said = {field: getattr(error, field, None) for field in ("message", "code")}
            said["type"] = getattr(error, "error_type", None)
            head = self._endpoint.head_of(status, _headers_of(error))
            return failure_of_status(self._endpoint, head, orjson.dumps({"error": said}))

        names = " ".join(_class_names(error)).lower()
        if "timeout" in names:
            return ModelTimeoutError(
                f"{name} did not answer within timeout_s={self._timeout_s:g}", phase="total"
            )

        kind = next((kind for word, kind in _KINDS.items() if word in names), BadRequestError)
        return kind(f"{name}: {self._endpoint.hidden.excerpt(message)}")


def make_model(options: ModelOptions, key: str | None) -> AnyProviderModel:
    """Make the model that a study declares; its provider's name is the one that any-llm knows.

    Raises:
        ValidationError: any-llm, or what it needs for this provider, is not there.
    """
    if options.provider_options:
        raise ValidationError([f"provider_options: {options.provider} has none"])

    return AnyProviderModel(
        options.provider,
        api_key=key,
        key_name=options.api_key_env,
        base_url=options.base_url,
        timeout_s=options.timeout_s,
    )


_NOT_OF_ERRORS = range(400)
_KINDS: dict[str, type[ModelError]] = {
    "validation": MalformedResponseError,
    "jsondecode": MalformedResponseError,
    "contextlength": ContextTooLongError,
    "contentfilter": ContentFilteredError,
    "authentication": AuthenticationError,
    "missingapikey": AuthenticationError,
    "connect": ModelConnectionError,
    "provider": MalformedResponseError,
}
"""Words in the names of errors without a status, those that say more first."""


def _make(library: Any, provider: str, options: dict[str, Any]) -> Any:
    try:  # retries are the study's; SDKs would hide theirs
        return library.AnyLLM.create(provider, max_retries=0, **options)
    except library.UnsupportedParameterError:
        return library.AnyLLM.create(provider, **options)


async def _payload_of(response: Any) -> tuple[dict[str, Any], float | None]:
    """Return the answer as plain values, and when its first token came where it is streamed."""
    if not hasattr(response, "__aiter__"):
        return response.model_dump(), None

    answer, first_token_at = StreamedAnswer(), None
    async for chunk in response:
        answer.add(chunk.model_dump(exclude_none=True))
        if first_token_at is None and answer.is_begun:
            first_token_at = perf_counter()

    return answer.payload(), first_token_at


def _headers_of(error: Exception) -> dict[str, str]:
    original = getattr(error, "original_exception", None)
    headers = getattr(getattr(original, "response", None), "headers", None)
    read = {f"{name}".lower(): f"{headers[name]}" for name in headers} if headers else {}
    wait = getattr(error, "retry_after", None)
    return read if wait is None else {"retry-after": str(wait)} | read


def _class_names(error: BaseException) -> list[str]:
    """List the names of an error's classes, and of those of what it was made from."""
    original = getattr(error, "original_exception", None) or error.__cause__
    kinds = [*type(original).__mro__, *type(error).__mro__] if original else type(error).__mro__
    return [kind.__name__ for kind in kinds]
