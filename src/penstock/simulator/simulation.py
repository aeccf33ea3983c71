"""What a simulated provider replies: decided at once, before anything is waited for or sent."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from math import ceil, isinf

from penstock.simulator.dialects import DIALECTS, Dialect
from penstock.simulator.draws import Draws
from penstock.simulator.exchange import Arrival, Reply, RequestKind
from penstock.simulator.faults import FAILURES, WITHOUT_ANSWER, Fault, draw_fault, retry_after
from penstock.simulator.limits import RateLimits
from penstock.simulator.message_payloads import message_error_body, message_pieces
from penstock.simulator.payloads import (
    CALL_ARGUMENTS,
    Answer,
    answer_pieces,
    error_body,
    error_under_200,
    spoilt,
    vectors_body,
)
from penstock.simulator.question import Question, tokens_of
from penstock.simulator.recordings import Answers, RecordedAnswers
from penstock.simulator.rule import RuleAnswers
from penstock.simulator.simulator_options import SimulatorOptions

__all__ = ["Simulation"]


_READERS: dict[RequestKind, Callable[[bytes], Question]] = {
    "chat": Question.read,
    "messages": Question.read_messages,
    "embeddings": Question.read_texts,
}


class Simulation:
    """Decides replies; it knows no network.

    Raises:
        ValidationError: recorded answers cannot be read.
    """

    def __init__(self, options: SimulatorOptions) -> None:
        self._options = options
        self._draws = Draws(options.seed)
        self._answers: Answers = (
            RuleAnswers(self._draws, options.answers)
            if options.replay is None
            else RecordedAnswers(self._draws, options)
        )
        self._limits = RateLimits(
            options.requests_per_minute, options.tokens_per_minute, options.window_s
        )
        self._rates = options.fault_rates
        self._dialect = DIALECTS[options.dialect]
        self._attempts: Counter[str] = Counter()
        self._cached: set[tuple[str, ...]] = set()
        self.models = self._answers.models

    def reply(self, arrival: Arrival) -> Reply:
        """Decide what a request gets."""
        try:
            question = _READERS[arrival.kind](arrival.body)
        except ValueError as error:
            return self._error(arrival, 400, str(error), "invalid_request_error")

        self._attempts[question.key] += 1
        reply = self._reply(arrival, question)
        return reply._replace(question=question, attempt=self._attempts[question.key])

    def _reply(self, arrival: Arrival, question: Question) -> Reply:
        refused = self._refusal(arrival, question)
        if refused is not None:
            return refused

        fault = self._fault(arrival, question)
        if fault in WITHOUT_ANSWER:
            self._limits.count(arrival.at_s, 0)
            return self._failure(arrival, question, fault)

        if arrival.kind == "embeddings":
            return self._vectors(arrival, question)

        try:
            problem_id = self._answers.key_of(question)
            text = self._answers.text(question, problem_id)
        except LookupError as error:
            message = str(error.args[0])
            return self._error(arrival, 404, message, "invalid_request_error", "no_recorded_answer")

        answer = self._answer(arrival, question, text, fault)
        tokens = answer.input_tokens + answer.output_tokens + answer.reasoning_tokens
        limited = self._limited(arrival, tokens)
        if limited is not None:
            return limited

        self._limits.count(arrival.at_s, tokens)
        return self._success(arrival, question, answer)._replace(problem_id=problem_id)

    def _refusal(self, arrival: Arrival, question: Question) -> Reply | None:
        """Refuse what no endpoint would take."""
        options = self._options
        expected = options.api_key_env and os.environ.get(options.api_key_env, "")
        if expected is not None and arrival.authorization != f"Bearer {expected}":
            return self._failure(arrival, question, Fault.UNAUTHORIZED)._replace(fault=None)

        if options.max_in_flight is not None and arrival.in_flight > options.max_in_flight:
            message = f"more than {options.max_in_flight} requests in flight"
            return self._error(arrival, 503, message, "server_error", "overloaded")

        if options.context_tokens is not None and question.tokens > options.context_tokens:
            return self._failure(arrival, question, Fault.CONTEXT_TOO_LONG)._replace(fault=None)

        wants_back = self._dialect_of(arrival).wants_reasoning_back and options.reasoning
        if wants_back and question.wants_reasoning and question.is_without_reasoning:
            message = "the reasoning that led to a call of a tool must be passed back to the API"
            return self._error(arrival, 400, message, "invalid_request_error")

        return self._limited(arrival, 0)

    def _fault(self, arrival: Arrival, question: Question) -> Fault | None:
        scripted = self._options.faults_at.get(arrival.number)
        attempt, most = self._attempts[question.key], self._options.fault_attempts
        if scripted is not None or not self._rates or (most is not None and attempt > most):
            return scripted

        return draw_fault(self._rates, self._draws.uniform("fault", question.key, attempt))

    def _limited(self, arrival: Arrival, tokens: int) -> Reply | None:
        refusal = self._limits.refusal(arrival.at_s, tokens)
        if refusal is None:
            return None

        kind, wait_s = refusal
        if isinf(wait_s):
            message = f"Request too large: it needs {tokens} tokens, more than the limit on {kind}"
            return self._error(arrival, 429, message, kind, "rate_limit_exceeded")

        waiting = {"Retry-After": str(ceil(wait_s)), "retry-after-ms": str(ceil(wait_s * 1000))}
        message = f"Rate limit reached: {kind} per minute; try again in {wait_s:.3f}s"
        return self._error(arrival, 429, message, kind, "rate_limit_exceeded", headers=waiting)

    def _failure(self, arrival: Arrival, question: Question, fault: Fault | None) -> Reply:
        if fault is None or fault is Fault.DROPPED:
            return Reply(0, [], {}, wait_s=self._latency_s(question), fault=fault)

        if fault is Fault.ERROR_IN_200:
            body = error_under_200(self._dialect_of(arrival))
            said = self._limits.headers(arrival.at_s)
            return Reply(200, [body], said, wait_s=self._latency_s(question), fault=fault)

        status, message, kind, code = FAILURES[fault]
        message = message.format(tokens=self._options.context_tokens or question.tokens - 1)
        headers = {}
        if fault is Fault.RATE_LIMITED:
            options = self._options
            place = question.key, self._attempts[question.key]
            headers = retry_after(options.retry_after, options.retry_after_s, self._draws, *place)

        wait_s = self._latency_s(question) if status >= HTTPStatus.INTERNAL_SERVER_ERROR else 0.0
        reply = self._error(arrival, status, message, kind, code, headers=headers)
        return reply._replace(fault=fault, wait_s=wait_s)

    def _error(
        self,
        arrival: Arrival,
        status: int,
        message: str,
        kind: str,
        code: str | None = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        if self._options.echoes_key:
            message += f" ({arrival.authorization})"

        said = self._limits.headers(arrival.at_s) | (headers or {})
        is_messages = arrival.is_messages
        body = message_error_body(status, message) if is_messages else None
        return Reply(status, [body or error_body(message, kind, code)], said)

    def _answer(
        self, arrival: Arrival, question: Question, text: str, fault: Fault | None
    ) -> Answer:
        text, finish_reason = _ended(text, question)
        if fault is Fault.EMPTY_ANSWER:
            text, finish_reason = "", "stop"
        elif fault is Fault.REFUSAL:
            text, finish_reason = "I'm sorry, but I can't help with that.", "stop"
        elif fault is Fault.CONTENT_FILTER:
            text, finish_reason = text[: len(text) // 2], "content_filter"
        elif fault is Fault.TOOL_CALL:
            text, finish_reason = "", "tool_calls"

        reasoning = self._options.reasoning if question.wants_reasoning else ""
        return Answer(
            request_id=arrival.request_id,
            model=self._options.served_model or question.model,
            fingerprint=f"simulated-{self._options.seed}",
            text=text,
            finish_reason=finish_reason,
            input_tokens=question.tokens,
            output_tokens=tokens_of(CALL_ARGUMENTS if fault is Fault.TOOL_CALL else text),
            reasoning=reasoning,
            reasoning_tokens=tokens_of(reasoning),
            dialect=self._dialect_of(arrival),
            **self._of_cache(question),
            has_logprobs=question.wants_logprobs,
            fault=fault,
        )

    def _success(self, arrival: Arrival, question: Question, answer: Answer) -> Reply:
        streamed, fault = question.is_streamed, answer.fault
        if arrival.is_messages:
            pieces = spoilt(message_pieces(answer, is_streamed=streamed), fault, b'"model":')
        else:
            pieces = answer_pieces(answer, is_streamed=streamed, wants_usage=question.wants_usage)
            pieces = spoilt(pieces, fault)

        wait_s, speed = self._latency_s(question), self._options.tokens_per_second
        written = answer.output_tokens + answer.reasoning_tokens
        writing_s = written / speed if speed else 0.0
        return Reply(
            200,
            pieces,
            self._limits.headers(arrival.at_s),
            wait_s=wait_s if streamed else wait_s + writing_s,
            pause_s=writing_s / len(pieces) if streamed else 0.0,
            is_streamed=streamed,
            fault=fault,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens + answer.reasoning_tokens,
        )

    def _dialect_of(self, arrival: Arrival) -> Dialect:
        return DIALECTS["anthropic"] if arrival.is_messages else self._dialect

    def _of_cache(self, question: Question) -> dict[str, int]:
        """Return how much of a prompt is written to the cache, or comes from there."""
        if not question.cached:
            return {}

        is_there, tokens = question.cached in self._cached, sum(map(tokens_of, question.cached))
        self._cached.add(question.cached)
        return {"cached_tokens" if is_there else "written_tokens": tokens}

    def _vectors(self, arrival: Arrival, question: Question) -> Reply:
        limited = self._limited(arrival, question.tokens)
        if limited is not None:
            return limited

        self._limits.count(arrival.at_s, question.tokens)
        body = vectors_body(arrival.body, question.tokens, self._draws)
        headers, wait_s = self._limits.headers(arrival.at_s), self._latency_s(question)
        return Reply(200, [body], headers, wait_s=wait_s, input_tokens=question.tokens)

    def _latency_s(self, question: Question) -> float:
        at = self._draws.uniform("latency", question.key, self._attempts[question.key])
        return self._options.latency_at(at)


def _ended(text: str, question: Question) -> tuple[str, str]:
    """Cut an answer where the request says that it ends, and tell why it ended."""
    for stop in question.stop:
        text = text.partition(stop)[0] if stop else text

    if question.max_tokens is not None and tokens_of(text) > question.max_tokens:
        cut = text.encode("utf-8", "replace")[: 4 * question.max_tokens]
        return cut.decode("utf-8", "ignore"), "length"

    return text, "stop"
