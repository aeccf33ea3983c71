"""What a body says is wrong: the sentence, the codes and the wait, wherever a server puts them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from penstock._base.json import decode, encode
from penstock._base.text import snake_case
from penstock.models.openai.retry_after import wait_in_words_s, wait_of_fields_s

__all__ = ["Complaint", "complaint_in", "complaint_of"]

_ERRORS = range(400, 600)
_SENTENCES = ("message", "detail", "msg", "error_msg", "error_description", "title", "status_msg")
_CODES = ("code", "type", "status", "error_type", "error_code", "reason", "title")
_DEEPEST = 5
_LONGEST = 4000


class Complaint(NamedTuple):
    """What an error says.

    Args:
        sentence: For people; the whole body where it has no sentence.
        codes: Its codes and types, in snake case; MiniMax's begin with ``minimax_``.
        status: The HTTP status that it names, where it names one.
        wait_s: How long it asks to wait, in seconds.
    """

    sentence: str
    codes: frozenset[str] = frozenset()
    status: int | None = None
    wait_s: float | None = None

    @property
    def words(self) -> str:
        """All that it says, as plain words: ``ContextWindow`` is ``context window``.

        Gateways quote the error of whoever is behind them, with its codes, in a sentence.
        """
        return _words_of(self.sentence[:_LONGEST], self.codes)


@lru_cache(maxsize=256)
def _words_of(sentence: str, codes: frozenset[str]) -> str:
    spelt = _HUMP.sub(" ", sentence).lower()
    return _SPACES.sub(" ", " ".join((spelt, *sorted(codes))))


_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SPACES = re.compile(r"[\s_]+")


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
    if isinstance(payload, list) and payload:
        payload = payload[0]  # Google's

    if not isinstance(payload, dict) or not (event == "error" or _is_error(payload)):
        return None

    complaint = _read(payload)
    return complaint if complaint.sentence else complaint._replace(sentence=encode(payload))


def _is_error(payload: Mapping[str, Any]) -> bool:
    if payload.get("error") or "error" in (payload.get("object"), payload.get("type")):
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
    waits = [wait for part in parts if (wait := wait_of_fields_s(part)) is not None]
    wait_s = waits[0] if waits else wait_in_words_s(sentence)
    return Complaint(sentence, frozenset(codes), status, wait_s)


def _parts_of(payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the mappings of a body that may say something, the one that says most first."""
    choices: Any = payload.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    within = [payload.get(name) for name in _ERROR_FIELDS]
    within.append(first.get("error") if isinstance(first, dict) else None)
    for each in within:
        if isinstance(each, str) and _mapping_in(each) is None:
            yield {"message": each}
        else:
            yield from _mappings_in(each)

    yield payload


_ERROR_FIELDS = ("error", "base_resp", "errors", "detail", "message")


def _mappings_in(value: Any, depth: int = _DEEPEST) -> Iterator[dict[str, Any]]:
    """Yield a mapping and those within it, also where one is written as text in another.

    What a server quotes of the request says nothing about the error.
    """
    for each in value if isinstance(value, list) else [value]:
        found = _mapping_in(each)
        if found is not None and depth:
            if "loc" not in found:  # FastAPI's, which its list says better
                yield found

            for name, inner in found.items():
                if name not in _QUOTED:
                    yield from _mappings_in(inner, depth - 1)


_QUOTED = frozenset({"input", "ctx", "messages", "request", "request_body", "requestBodyValues"})


def _mapping_in(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        try:
            value = decode(value)
        except (ValueError, RecursionError):
            return None

    return value if isinstance(value, dict) else None


def _blocked_in(payload: Mapping[str, Any]) -> str:
    """Return why a prompt was blocked, where that is said in place of an answer."""
    said = payload.get("promptFeedback", payload.get("prompt_feedback"))
    reason = said.get("blockReason") if isinstance(said, Mapping) else None
    return reason if isinstance(reason, str) and not payload.get("choices") else ""


def _sentence_of(part: Mapping[str, Any]) -> str:
    found = next((part[name] for name in _SENTENCES if part.get(name)), None)
    if found is None and "raw" in part:  # what OpenRouter was told by the provider behind it
        found = part["raw"]

    if isinstance(found, list):
        return "; ".join(map(_fault_in_a_field, found))

    is_mapping = _mapping_in(found) is not None  # it speaks for itself
    return "" if found is None or is_mapping else str(found)


def _fault_in_a_field(found: Any) -> str:
    """Write one of FastAPI's: where, and what; they quote the whole request beside it."""
    if not isinstance(found, dict):
        return str(found)

    place = found.get("loc")
    where = ".".join(map(str, place)) if isinstance(place, list) else ""
    said = _sentence_of(found)
    return f"{where}: {said}" if where else said


def _codes_of(part: Mapping[str, Any]) -> Iterator[str]:
    for name in _CODES:
        code = part.get(name)
        if isinstance(code, (str, int)) and not isinstance(code, bool):
            yield snake_case(str(code))

    number = part.get("status_code")
    if number:
        yield str(number) if number in _ERRORS else f"minimax_{number}"

    if _blocked_in(part):  # Gemini, of a prompt
        yield "content_filter"

    if "flagged_input" in part:  # OpenRouter's moderation says 403 and no code
        yield "content_filter"
