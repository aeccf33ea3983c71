"""What calls of models raise, as JSON: where it is raised again it is of the same class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock._base.fact import EMPTY, Fact
from penstock.errors import RunFault, StopStudy, StudyCancelled, message_of
from penstock.models import model_errors
from penstock.models.chat_model import Completion, RateLimitHeaders, Usage
from penstock.models.gate.budget import BudgetExhaustedError
from penstock.models.model_errors import ModelError

__all__ = ["Raised", "raised_again", "told_of"]

_KINDS: Mapping[str, type[RunFault]] = {
    **{
        name: getattr(model_errors, name) for name in model_errors.__all__ if name.endswith("Error")
    },
    **{kind.__name__: kind for kind in (BudgetExhaustedError, StopStudy, StudyCancelled)},
}
_PLAIN = ("http_status", "retry_after_s", "request_id", "may_be_billed", "is_refusal", "cost_usd")
_MORE = ("phase", "is_unread", "bound")


class Raised(Fact):
    """An error that a call has raised.

    Args:
        kind: Its class, or the nearest above it that both sides know.
        message: What it says.
        fields: What it says beside.
        usage: Tokens that were used all the same.
        rate_limits: What the provider says about its own limits.
        completion: What came and is not an answer.
    """

    kind: str
    message: str
    fields: Mapping[str, Any] = EMPTY
    usage: Usage | None = None
    rate_limits: RateLimitHeaders | None = None
    completion: Completion | None = None


def told_of(error: BaseException) -> Raised:
    """Write what a call has raised."""
    kind = next((each.__name__ for each in type(error).__mro__ if each.__name__ in _KINDS), "")
    if not isinstance(error, ModelError):
        fields = {name: getattr(error, name) for name in _MORE if hasattr(error, name)}
        told = message_of(error) or type(error).__name__
        return Raised(kind=kind or StudyCancelled.__name__, message=told, fields=fields)

    return Raised(
        kind=kind,
        message=message_of(error),
        fields={name: getattr(error, name) for name in (*_PLAIN, *_MORE) if hasattr(error, name)},
        usage=error.usage,
        rate_limits=error.rate_limits,
        completion=error.completion,
    )


def raised_again(told: Raised) -> RunFault:
    """Make the error anew that was told."""
    kind = _KINDS[told.kind]
    error = kind.__new__(kind, told.message)  # each has arguments of its own, and a message
    error.args = (told.message,)
    state: dict[str, Any] = dict(told.fields)
    if issubclass(kind, ModelError):
        state |= {
            "usage": told.usage,
            "rate_limits": told.rate_limits,
            "completion": told.completion,
        }

    vars(error).update(state)
    return error
