from __future__ import annotations

from typing import Any

import pytest

from penstock.results import RunStage
from penstock.running import failures
from penstock.running.failures import error_of


def raised(**said: Any) -> Exception:
    error: Exception = type("TheirError", (Exception,), said)("no")
    return error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (raised(), None),
        (raised(http_status=429), 429),
        (raised(status_code=503), 503),
        (raised(status=529), 529),
        (raised(response=raised(status_code=429)), 429),
        (raised(status="too busy", response=None), None),
        (raised(status_code=property(lambda self: 1 / 0)), None),
    ],
)
def test_the_status_is_read_where_common_clients_have_it(
    error: Exception, status: int | None
) -> None:
    kept = error_of(error, RunStage.AGENT)
    assert (kept.kind, kept.message, kept.http_status) == ("TheirError", "no", status)


def test_what_an_error_says_of_itself_is_kept() -> None:
    kept = error_of(raised(retryable=False, retry_after_s=2, stops_study=True), RunStage.AGENT)
    assert (kept.retryable, kept.retry_after_s, kept.stops_study) == (False, 2.0, True)


def test_only_an_agents_ordinary_errors_are_worth_another_attempt() -> None:
    assert error_of(raised(), RunStage.AGENT).retryable
    assert not error_of(raised(), RunStage.EVALUATOR).retryable
    assert not error_of(KeyboardInterrupt(), RunStage.AGENT).retryable


@pytest.mark.field("studies-SEC13")
@pytest.mark.parametrize("is_exhausted", [True, False])
def test_where_no_memory_is_left_the_study_stops_and_one_large_request_fails_its_own_run(
    is_exhausted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "is_exhausted", lambda: is_exhausted)
    kept = error_of(MemoryError("7 TiB"), RunStage.AGENT)

    assert kept.stops_study is is_exhausted
    assert ("out of memory" in kept.message) is is_exhausted
    assert ("7 TiB" in kept.message) is not is_exhausted
    assert not error_of(ValueError(), RunStage.AGENT).stops_study
