"""Errors of calls of models, told and raised again."""

from __future__ import annotations

import pytest

from penstock.engines.call_errors import raised_again, told_of
from penstock.errors import StopStudy
from penstock.models.chat_model import Completion, RateLimitHeaders, Usage
from penstock.models.gate.budget import BudgetExhaustedError
from penstock.models.model_errors import (
    AccessDeniedError,
    ModelConnectionError,
    ModelError,
    ModelTimeoutError,
    RateLimitedError,
    RefusalError,
)

ERRORS = [
    RateLimitedError("slow down", http_status=429, retry_after_s=3.0, request_id="r1"),
    AccessDeniedError("not for you", rate_limits=RateLimitHeaders(limit_requests=3)),
    ModelTimeoutError("too late", phase="first_byte"),
    ModelConnectionError("reset", may_be_billed=False, usage=Usage(input_tokens=3)),
    RefusalError("no", completion=Completion(text="I will not", refusal="no")),
    BudgetExhaustedError("max_tokens", 10.0, 5.0, 1.0, 7.0),
    StopStudy("enough"),
]


class OfAProviderError(RateLimitedError):
    """What a package of another author raises."""


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_raised_again_as_it_was(error: ModelError) -> None:
    again = raised_again(type(told_of(error)).model_validate_json(told_of(error).model_dump_json()))
    assert type(again) is type(error)
    assert str(again) == str(error)
    said = {name: value for name, value in vars(error).items() if name != "__notes__"}
    assert vars(again).items() >= said.items()


def test_an_error_of_another_author_is_raised_again_as_the_one_above_it() -> None:
    again = raised_again(told_of(OfAProviderError("slow down", http_status=429)))
    assert type(again) is RateLimitedError
    assert isinstance(again, ModelError)
    assert again.http_status == 429
