"""What a body says is wrong: the sentence, the codes and the wait, wherever a server puts them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from penstock._base.json import decode, encode
from penstock.models.openai.retry_after import wait_in_words_s

__all__ = ["Complaint", "complaint_in", "complaint_of"]

_ERRORS = range(400, 600)
_SENTENCES = ("message", "detail", "msg", "error_msg", "error_description", "title")
_CODES = ("code", "type", "status", "error_type", "error_code", "reason")


class Complaint(NamedTuple):
    """What an error says.

    Args:
        sentence: For people; the whole body where it has no sentence.
        codes: Its codes and types in lower case; MiniMax's begin with ``minimax_``.
        status: The HTTP status that it names, where it names one.
        wait_s: How long it asks to wait, in seconds.
    """

    sentence: str
    codes: frozenset[str] = frozenset()
    status: int | None = None
    wait_s: float | None = None


def complaint_of(body: bytes) -> Complaint:
    """Read the body of a response whose status is not a success."""
    text = body.decode("utf-8", "replace")
    try:
        payload = decode(text)
    except (ValueError, RecursionError):
        return Complaint(text, wait_s=wait_in_words_s(text))

    complaint = _read(payload)
    return complaint if complaint.sentence else complaint._replace(sentence=text)


def complaint_in(payload: Any, event: str = "") -> Complaint | None:
    """Read the error that a body, or an event of a stream, holds although it came under success.

    Args:
        payload: The JSON.
        event: The name of the event.

    Returns:
        None where it holds no error.
    """
    if not isinstance(payload, dict) or not (event == "error" or _is_error(payload)):
        return None

    complaint = _read(payload)
    return complaint if complaint.sentence else complaint._replace(sentence=encode(payload))


def _is_error(payload: Mapping[str, Any]) -> bool:
    if payload.get("error") or "error" in {payload.get("object"), payload.get("type")}:
        return True

    minimax = payload.get("base_resp")
    if isinstance(minimax, dict) and minimax.get("status_code"):
        return True

    if _blocked_in(payload):
        return True

    if payload.get("choices"):
        first = payload["choices"][0] if isinstance(payload["choices"], list) else None
        return isinstance(first, dict) and bool(first.get("error"))

    return "usage" not in payload and any(
        payload.get(name)
        for name in ("detail", "errors", "error_msg", "error_code", "message", "msg", "title")
    )


def _read(payload: Any) -> Complaint:
    if isinstance(payload, list):
        payload = payload[0] if payload else None

    if not isinstance(payload, dict):
        return Complaint("" if payload is None else str(payload))

    parts = list(_parts_of(payload))
    codes = [code for part in parts for code in _codes_of(part)]
    sentences = dict.fromkeys(sentence for part in parts if (sentence := _sentence_of(part)))
    sentence = ": ".join(sentences)
    status = next((int(code) for code in codes if code.isdecimal() and int(code) in _ERRORS), None)
    waits = [wait for part in parts if (wait := _wait_of(part)) is not None]
    wait_s = waits[0] if waits else wait_in_words_s(sentence)
    return Complaint(sentence, frozenset(codes), status, wait_s)


def _parts_of(payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the mappings of a body that may say something, the one that says most first."""
    inner = [payload.get("error"), payload.get("base_resp"), payload.get("errors")]
    choices: Any = payload.get("choices")
    inner.append(choices[0].get("error") if _is_list_of_mappings(choices) else None)
    for each in inner:
        part = each[0] if isinstance(each, list) and each else each
        if isinstance(part, str):
            part = {"message": part}

        if isinstance(part, dict):
            yield part
            yield from (part[name] for name in _WITHIN if isinstance(part.get(name), dict))
            if _is_list_of_mappings(part.get("details")):  # Google's
                yield from part["details"]

    yield payload


def _blocked_in(payload: Mapping[str, Any]) -> str:
    """Return why a prompt was blocked, where that is said in place of an answer."""
    said = payload.get("promptFeedback", payload.get("prompt_feedback"))
    reason = said.get("blockReason") if isinstance(said, Mapping) else None
    return reason if isinstance(reason, str) and not payload.get("choices") else ""


_WITHIN = ("innererror", "inner_error", "metadata", "error")


def _is_list_of_mappings(value: Any) -> bool:
    is_filled = isinstance(value, list) and bool(value)
    return is_filled and all(isinstance(each, dict) for each in value)


def _sentence_of(part: Mapping[str, Any]) -> str:
    found = next((part[name] for name in _SENTENCES if part.get(name)), part.get("status_msg"))
    if found is None and "raw" in part:  # what OpenRouter was told by the provider behind it
        found = part["raw"]

    if isinstance(found, Mapping):
        return _sentence_of(found)

    return found if isinstance(found, str) else "" if found is None else str(found)


def _codes_of(part: Mapping[str, Any]) -> Iterator[str]:
    for name in _CODES:
        code = part.get(name)
        if isinstance(code, (str, int)) and not isinstance(code, bool):
            yield str(code).lower()

    if part.get("status_code"):
        yield f"minimax_{part['status_code']}"

    if _blocked_in(part):  # Gemini, of a prompt
        yield "content_filter"

    if "flagged_input" in part:  # OpenRouter's moderation says 403 and no code
        yield "content_filter"


_DELAY = re.compile(r"(\d+(?:\.\d+)?)s")


def _wait_of(part: Mapping[str, Any]) -> float | None:
    """Read Google's ``retryDelay``, and ``retry_after`` where a body has one."""
    delay = part.get("retryDelay")
    found = _DELAY.fullmatch(delay) if isinstance(delay, str) else None
    if found is not None:
        return float(found[1])

    given = part.get("retry_after", part.get("retry_after_seconds"))
    is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
    return float(given) if is_number and given >= 0 else None
