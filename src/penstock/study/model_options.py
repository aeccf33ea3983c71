"""What is said of a chat model wherever one is declared: where it is, and how it is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from pydantic import (
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from penstock._base.fact import EMPTY, Declaration, Flag, JsonMapping, Name, Positive, Text
from penstock._base.frozen import FrozenDict
from penstock._base.secrets import looks_like_key, names_secret
from penstock.study.request_fields import (
    NumberOrTemplate,
    WholeOrTemplate,
    http_address,
    refuse_keys,
    refuse_templates,
)
from penstock.study.spending import EndpointLimits, Price

__all__ = [
    "ANTHROPIC",
    "BUILT_IN_PROVIDERS",
    "NOT_EXTRA",
    "OF_HTTP",
    "OF_THE_CALL",
    "OF_THE_ENDPOINT",
    "SIMULATED",
    "ModelOptions",
]

SIMULATED = "simulated"
"""What stands for the address of a provider that answers within the session."""

ANTHROPIC = "anthropic"
"""The provider that speaks Anthropic's messages."""

BUILT_IN_PROVIDERS = ("openai", ANTHROPIC, SIMULATED)

_LONG = re.compile(r"sk-\w{8,}|[A-Za-z0-9_\-]{40,}")


class ModelOptions(Declaration):
    """Where a chat model is, and how it is asked.

    Texts of what is asked are templates; one that is a single ``{{ expression }}`` gives a value
    of its kind, and null leaves the field out. Texts of how it is asked may hold ``${NAME}``, a
    variable of the environment or a line of the ``.env`` file beside the study file.

    Args:
        provider: Who answers: ``openai`` is an endpoint that speaks OpenAI's chat completions,
            at ``base_url``; ``anthropic`` is one that speaks Anthropic's messages, at their own
            address where there is no ``base_url``; ``simulated`` answers within the session, and
            costs nothing. Others are registered by installed packages, such as ``mistral`` by
            ``penstock[models-any]``.
        provider_options: What a provider of an installed package is told beside this.
        base_url: The endpoint, as ``http://host:port/v1``; it may be ``${NAME}``.
        simulator: How a simulated provider behaves, as the options of ``penstock simulate-model``
            are called in Python: ``{latency_s: 0.5, answers: ["A: 1", "A: 2"]}``.
        api_key_env: The environment variable, or line of a ``.env`` file, that holds the key.
        api_key_file: A file that holds the key; it is read again where the key is refused.
        api_key_command: A command that prints the key; it is run again where the key is refused.
        api_key_header: The header that carries the key, in place of ``Authorization: Bearer``.
        headers: Further HTTP headers; values may hold ``${NAME}``.
        query: Further fields of the address's query, as ``api-version``.
        proxy: The address of an HTTP proxy; it may be ``${NAME}``.
        ca_file: A file with the certificates of the authorities that are trusted.
        verify_tls: Whether the endpoint's certificate is verified.
        temperature: A number, or a template that gives one.
        top_p: A number, or a template that gives one.
        max_tokens: The most tokens of an answer, or a template that gives that.
        max_completion_tokens: The same under the name that newer models insist on.
        reasoning_effort: How much a model reasons before it answers; a template.
        seed: Whether the run's seed is sent.
        stop: Texts at which the answer ends; templates.
        logprobs: Whether the log-probabilities of the answer's tokens are wanted.
        stream: Whether to stream the answer, for the time to its first token.
        timeout_s: How long one call may take once it is admitted, in seconds.
        connect_timeout_s: How long it may take to connect, in seconds.
        think_tags: Whether text between ``<think>`` tags at the beginning of an answer, or their
            like, is reasoning and not a part of the answer.
        extra: Other fields of the request's body; texts in it are templates.
        price: What it costs; it comes before the study's ``prices``.
        limits: What its account lets this model do, in place of the endpoint's ``limits``.
    """

    provider: Name = "openai"
    provider_options: JsonMapping = EMPTY
    base_url: Name | None = None
    simulator: JsonMapping = EMPTY
    api_key_env: Name | None = None
    api_key_file: Name | None = None
    api_key_command: tuple[Name, ...] = ()
    api_key_header: Name | None = None
    headers: Mapping[Name, Text] = EMPTY
    query: Mapping[Name, Text] = EMPTY
    proxy: Name | None = None
    ca_file: Name | None = None
    verify_tls: Flag = True
    temperature: NumberOrTemplate | None = None
    top_p: NumberOrTemplate | None = None
    max_tokens: WholeOrTemplate | None = None
    max_completion_tokens: WholeOrTemplate | None = None
    reasoning_effort: Text | None = None
    seed: Flag = False
    stop: tuple[Text, ...] = ()
    logprobs: Flag = False
    stream: Flag = False
    timeout_s: Positive = 60.0
    connect_timeout_s: Positive = 10.0
    think_tags: Flag = True
    extra: JsonMapping = EMPTY
    price: Price | None = None
    limits: EndpointLimits | None = None

    @model_validator(mode="before")
    @classmethod
    def _speaks_as_its_path_says(cls, data: Any) -> Any:
        url = data.get("base_url") if isinstance(data, Mapping) else None
        is_messages = isinstance(url, str) and url.rstrip("/").endswith("/messages")
        return {"provider": ANTHROPIC, **data} if is_messages else data

    @property
    def has_endpoint(self) -> bool:
        """Whether it says itself who answers."""
        return self.base_url is not None or self.provider != "openai"

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is None:
            return None

        refuse_templates(url, "declare a model for each endpoint")
        if "${" in url and not looks_like_key(url):
            return url.rstrip("/")  # what it stands for is looked at when the study is checked

        return http_address(url)

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        if name is not None and (_LONG.search(name) or not name.isidentifier()):
            raise ValueError("names an environment variable; never write a key in a study file")

        return name

    @field_validator("headers", "query", "proxy", "ca_file", "api_key_file", "api_key_command")
    @classmethod
    def _holds_no_key(cls, given: Any) -> Any:
        pairs = given.items() if isinstance(given, Mapping) else [("", given)]
        for name, value in pairs:
            for text in [value] if isinstance(value, str) else value or ():
                refuse_templates(text, "write ${NAME} for what the environment knows")
                is_named_so = names_secret(name) and "${" not in text
                if is_named_so or looks_like_key(text):
                    raise ValueError(f"{name or 'it'} holds a key; write ${{NAME}} for it")

        return FrozenDict(given) if isinstance(given, Mapping) else given

    @field_validator("extra")
    @classmethod
    def _extra_is_extra(cls, extra: Mapping[str, Any]) -> Mapping[str, Any]:
        refuse_keys(extra)
        for name in extra:
            if name in NOT_EXTRA:
                raise ValueError(f"{name!r} is not extra: {NOT_EXTRA[name]}")

        return extra

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> Self:
        keys = [name for name in _KEYS if getattr(self, name)]
        if len(keys) > 1:
            raise ValueError(f"{' and '.join(keys)} are given; there is one key")

        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise ValueError("max_tokens and max_completion_tokens are one limit; give one of them")

        if self.provider == SIMULATED and self.base_url is not None:
            raise ValueError("a simulated provider has no base_url; leave one of them out")

        if self.simulator and self.provider != SIMULATED:
            raise ValueError("simulator: is of `provider: simulated` alone")

        for name in ("seed", "logprobs"):
            if self.provider == ANTHROPIC and getattr(self, name):
                raise ValueError(f"{name}: Anthropic's messages have none; leave it out")

        self._asks_nothing_that_is_not_done()
        return self

    def _asks_nothing_that_is_not_done(self) -> None:
        is_built_in = self.provider in BUILT_IN_PROVIDERS
        fields = type(self).model_fields
        for name in ("provider_options",) if is_built_in else OF_HTTP:
            if getattr(self, name) != fields[name].default:
                raise ValueError(f"{name}: `provider: {self.provider}` makes no use of it")

    @model_serializer(mode="wrap")
    def _only_what_is_meant(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what older readers do not know, and what the model that is named says."""
        written: dict[str, Any] = write(self)
        if not self.has_endpoint:
            return {name: value for name, value in written.items() if name in self.model_fields_set}

        fields = type(self).model_fields
        for name in _NEWER:
            is_simulators = name == "simulator" and self.provider == SIMULATED
            is_unsaid = name in fields and getattr(self, name) == fields[name].default
            if is_unsaid and not is_simulators:
                written.pop(name, None)

        return written


_KEYS = ("api_key_env", "api_key_file", "api_key_command")
_NEWER = (
    "provider",
    "provider_options",
    "simulator",
    "price",
    "limits",
    "image",
    "messages",
    "tools",
    "max_turns",
)
OF_HTTP = (
    "api_key_file",
    "api_key_command",
    "api_key_header",
    "headers",
    "query",
    "proxy",
    "ca_file",
    "verify_tls",
    "connect_timeout_s",
    "think_tags",
)
"""What is done by penstock's own client alone."""

_OPTION = "it is an option of its own"
NOT_EXTRA = {
    **dict.fromkeys(
        (
            "model",
            "temperature",
            "top_p",
            "max_tokens",
            "max_completion_tokens",
            "reasoning_effort",
            "seed",
            "stop",
            "logprobs",
            "stream",
        ),
        _OPTION,
    ),
    "messages": "it is made of system and prompt",
    "prompt": _OPTION,
    **dict.fromkeys(
        ("max_output_tokens", "max_new_tokens", "max_length", "n_predict", "num_predict"),
        "write max_tokens or max_completion_tokens",
    ),
    **dict.fromkeys(
        ("n", "best_of", "candidate_count", "num_return_sequences"),
        "a run keeps one answer; for more of them declare replicates",
    ),
}
"""What prompts, prices and budgets are made from: no other field may change it behind them."""


OF_THE_ENDPOINT = frozenset(
    {
        *_KEYS,
        "api_key_header",
        "headers",
        "query",
        "proxy",
        "ca_file",
        "verify_tls",
        "simulator",
        "price",
        "limits",
    }
)
"""What is said where the endpoint is, and not beside the name of a declared model."""

OF_THE_CALL = frozenset(
    {
        *_KEYS,
        "api_key_header",
        "proxy",
        "ca_file",
        "verify_tls",
        "timeout_s",
        "connect_timeout_s",
        "price",
        "limits",
    }
)
"""What the answers of a chat model do not depend on."""
