"""What SDKs ask and are answered: the formats that they speak, and what is common to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from penstock._base.frozen import frozen_json
from penstock.models.chat_model import ChatMessage, Completion, CompletionRequest
from penstock.models.model_errors import ModelError

__all__ = ["Declared", "SdkFormat", "UnreadableRequestError", "only_known", "server_event"]

_LIMITS = frozenset({"max_tokens", "max_completion_tokens"})


class UnreadableRequestError(ValueError):
    """A request of an SDK that cannot be made through the study's gate."""


class Declared(NamedTuple):
    """A model as it may be asked by an SDK.

    Args:
        names: What it may be called: the study's name, and its provider's.
        fields: The fields of a request that hold where it says nothing.
    """

    names: Sequence[str]
    fields: Mapping[str, Any]

    def request(
        self,
        body: Mapping[str, Any],
        messages: Sequence[ChatMessage],
        said: Mapping[str, Any],
        others: Mapping[str, Any],
    ) -> CompletionRequest:
        """Make what is asked.

        Args:
            body: The fields of the request, for the model's name.
            messages: The conversation.
            said: The fields that are ours; None says nothing.
            others: The fields of the provider's own.

        Raises:
            UnreadableRequestError: it asks another model, or nothing.
        """
        if body.get("model") not in self.names:
            listed = " or ".join(map(repr, dict.fromkeys(self.names)))
            wrong = f"model: {body.get('model')!r} is not asked here; {listed} is"
            raise UnreadableRequestError(wrong)

        if not messages:
            raise UnreadableRequestError("messages: there are none")

        known = {name: value for name, value in said.items() if value is not None}
        is_limited = bool(_LIMITS & known.keys())  # one limit under two names
        declared = {k: v for k, v in self.fields.items() if not (is_limited and k in _LIMITS)}
        given = {name: value for name, value in others.items() if value is not None}
        extra = frozen_json({**declared["extra"], **given})
        fields = {**declared, **known, "messages": tuple(messages), "extra": extra}
        return CompletionRequest(**fields)


class SdkFormat(NamedTuple):
    """One format that SDKs speak.

    Args:
        path: What stands after the address.
        read: Reads the body of a request.
        answer: Writes an answer, given the body that was asked.
        events: Writes it as the events of a stream, where there are streams.
        error: Writes why there is no answer.
    """

    path: str
    read: Callable[[Mapping[str, Any], Declared], CompletionRequest]
    answer: Callable[[Completion, Mapping[str, Any]], dict[str, Any]]
    events: Callable[[Completion, Mapping[str, Any]], Iterator[bytes]] | None
    error: Callable[[ModelError | UnreadableRequestError], dict[str, Any]]


def only_known(fields: Mapping[str, Any], known: frozenset[str], what: str) -> None:
    """See that nothing is asked that would be left out without a word.

    Raises:
        UnreadableRequestError: there is more than what is known.
    """
    unknown = sorted(name for name, value in fields.items() if value and name not in known)
    if unknown:
        said = f"{what}: {', '.join(unknown)} cannot be sent through the study's gate"
        raise UnreadableRequestError(said)


def server_event(fields: Mapping[str, Any], *, is_named: bool = False) -> bytes:
    """Write an event of a stream, which may be named by its type."""
    name = f"event: {fields['type']}\n" if is_named else ""
    return f"{name}data: {json.dumps(fields)}\n\n".encode()
