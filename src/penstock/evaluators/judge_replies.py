"""Verdicts: which score a judge's reply gives, as a careful reader finds it; else there is none.

A reply gives a score where it is one number, where a number is anchored (``Score: 7``, ``I rate
this an 8``, ``[[7]]``, a field ``score`` of JSON), or where it says ``8/10`` or ``8 out of 10``.
Several different scores, and other numbers in prose, are not a score.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

from penstock.evaluators.json_fields import find_json
from penstock.evaluators.markup import normal, without_thoughts
from penstock.evaluators.patterns import PATIENT_S, compile_pattern, last_match
from penstock.evaluators.texts import contains_text
from penstock.study.chat import JudgeOptions

__all__ = ["VERDICT_VERSION", "NoScoreError", "read_score"]

VERDICT_VERSION = 3


class NoScoreError(ValueError):
    """A reply without a score; the message says why, as the rest of a sentence."""


def read_score(
    reply: str, options: JudgeOptions, metric: str, *, timeout_s: float = PATIENT_S
) -> float:
    """Return the score that a judge's reply gives.

    Args:
        reply: What the judge said.
        options: What the study declares to be a score.
        metric: The name of what is scored, which may stand before the score: ``Clarity: 7``.
        timeout_s: How long the declared pattern may take, in seconds.

    Raises:
        NoScoreError: there is none, or not one alone, or it is not on the scale.
        TimeoutError: the declared pattern took too long.
    """
    stated = _stated(reply.strip(), options, timeout_s)
    if options.choices is not None:
        return _chosen(stated, options.choices, metric)

    verdict = _Verdict(float(stated)) if _is_number(stated) else _read(str(stated), metric)
    score, scale = verdict.score, options.scale
    if not math.isfinite(score):
        raise NoScoreError(f"says {score}, which is not a score")

    if verdict.out_of is not None and score > verdict.out_of:
        raise NoScoreError(f"says {score:g} out of {verdict.out_of:g}")

    if scale is not None and (
        not scale[0] <= score <= scale[1] or verdict.out_of not in (None, scale[1])
    ):
        said = f"{score:g}" if verdict.out_of is None else f"{score:g} out of {verdict.out_of:g}"
        raise NoScoreError(f"says {said}, which is not on the scale {scale[0]:g} to {scale[1]:g}")

    return score


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _stated(reply: str, options: JudgeOptions, timeout_s: float) -> Any:
    """Return what of a reply states the score: a field, a match, or all of it."""
    if options.pattern is not None:
        matched = last_match(compile_pattern(options.pattern), reply, timeout_s)
        if matched is None:
            raise NoScoreError("has no match of `pattern`")

        return matched

    field, answer = options.score_field, without_thoughts(reply)
    if field is None:
        return answer

    found = find_json(answer)
    for name in field.split("."):
        if not isinstance(found, Mapping) or name not in found:
            raise NoScoreError(f"has no field {field!r}")

        found = found[name]

    if not (isinstance(found, str) or _is_number(found)):
        raise NoScoreError(f"has {found!r} in its field {field!r}")

    return found


class _Verdict(NamedTuple):
    """A score, and the highest one where the reply says it: 8 out of 10."""

    score: float
    out_of: float | None = None


_NUMBER = r"[-+\u2212]?(?:\d+(?:[.,]\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
_OUT_OF = (
    r"(?:\s+(?:points?|stars?))?\s*(?:/|\bout\s+of\b(?:\s+an?)?(?:\s+(?:possible|total|maximum)(?:\s+of)?)?)\s*"
    rf"(?P<out_of>{_NUMBER})(?!\w|[.,/:]\d)"
)
_SCORE = rf"(?P<score>{_NUMBER})(?:{_OUT_OF}|(?!\w|[.,:/]\d))"
_AROUND = r"[\s*_`\"'()\[\]#]{0,20}"
_RANGE = re.compile(
    r"\(?[-+]?\b\d+(?:\.\d+)?\s*(?:-|\u2013|\u2014|\.\.\.?|\bto\b|\band\b|\bthrough\b)\s*"
    r"[-+]?\d+(?:\.\d+)?\b\)?"
)
_TAG = re.compile(r"<(/?)([A-Za-z_]+)>")
_FRACTION = re.compile(rf"(?<![\w.,/])(?P<score>{_NUMBER}){_OUT_OF}")
_BRACKETED = re.compile(rf"\[\[\s*{_SCORE}\s*\]\]")
_ALONE = re.compile(
    rf"(?:{_AROUND}~)?{_AROUND}{_SCORE}\s*%?(?:\s*(?:points?|stars?))?(?:\s*\([^()\n\d]*\))?"
    rf"{_AROUND}\.?{_AROUND}",
    re.IGNORECASE,
)
_GIVEN = re.compile(
    r"\b(?:(?:rat|scor|grad)(?:e|es|ed|ing)|(?:award|assign)(?:s|ed|ing)?|giv(?:e|es|en|ing)|gave)\s+"
    r"(?:(?:it|this|that|(?:the|this)(?:\s+[a-z]+){1,3}?)(?:\s+(?:as|at|with|an?|the))*"
    rf"|an?)\s+(?:(?:score|rating|grade)\s+of\s+)?[*_]*{_SCORE}",
    re.IGNORECASE,
)


@cache
def _anchor(metric: str) -> re.Pattern[str]:
    """Compile what finds a number behind a word for it: ``Overall score: 7``."""
    named = re.escape(metric).replace("_", r"[\s_-]")
    links = r":|=|->|[-\u2013\u2014](?=\s)|\b(?:is|was|of|at|would\ be|should\ be)\b"
    return re.compile(
        rf"""
        (?<![\w-])(?P<final>(?:final|overall|total)\s+)?
        (?:
          (?P<own>{named}(?:[\s_-]+(?:score|rating|grade))?|(?:score|rating|grade)\s+for\s+{named})?
          (?(own)|(?:score|rating|grade))[*_`"')\]]{{0,9}}(?:\s?\([^()\n]{{0,60}}\))?
          (?:{_AROUND}(?:{links}){_AROUND}(?:(?:an?|about|around|exactly)\s+)?|[\s*_`]+)
        | (?:overall|total|verdict|marks?|points|result|evaluation|assessment){_AROUND}[:=]{_AROUND}
        )
        {_SCORE}
        """,
        re.VERBOSE | re.IGNORECASE,
    )


def _read(reply: str, metric: str) -> _Verdict:
    """Find the score in words: of the strongest kind that is there, and there alone."""
    if "{" in reply and (found := _of_json(find_json(reply), metric)) is not None:
        return found

    text = _TAG.sub(lambda tag: " " if tag[1] else f" {tag[2]}: ", normal(reply))
    text = _RANGE.sub(" ", text)
    anchored = [*_anchor(metric).finditer(text)]
    own = [found for found in anchored if found["own"]]
    final = [found for found in anchored if found["final"]]
    lines = [line for line in text.splitlines() if line.strip()]
    kinds: tuple[Iterable[re.Match[str] | None], ...] = (
        _BRACKETED.finditer(text),
        own or final or [*anchored, *_GIVEN.finditer(text)],
        [_ALONE.fullmatch(line) for line in (*lines[:1], *lines[-1:])],
        _FRACTION.finditer(text),
    )
    for found_of_kind in kinds:
        verdicts = _verdicts(found_of_kind)
        if len(verdicts) == 1:
            return verdicts[0]

        if verdicts:
            several = ", ".join(f"{verdict.score:g}" for verdict in verdicts)
            raise NoScoreError(f"gives several scores: {several}")

    raise NoScoreError(f"gives no score: {reply[-80:]!r}")


def _verdicts(found: Iterable[re.Match[str] | None]) -> list[_Verdict]:
    """List the different scores that were found."""
    verdicts: dict[float, _Verdict] = {}
    for match in found:
        if match is not None:
            out_of = None if match["out_of"] is None else _value(match["out_of"])
            verdict = _Verdict(_value(match["score"]), out_of)
            if out_of is not None or verdict.score not in verdicts:
                verdicts[verdict.score] = verdict

    return [*verdicts.values()]


def _value(written: str) -> float:
    plain = written.replace("\u2212", "-")
    if re.fullmatch(r"[-+]?\d{1,3},\d{3}", plain):
        return float(plain.replace(",", ""))

    return float(plain.replace(",", "."))


def _of_json(found: Any, metric: str) -> _Verdict | None:
    if not isinstance(found, Mapping):
        return None

    names = {"score", "rating", "grade", metric.casefold()}
    given = [value for name, value in found.items() if str(name).casefold() in names]
    if len(given) != 1:
        return None

    return _Verdict(float(given[0])) if _is_number(given[0]) else _read(str(given[0]), metric)


_NEGATION = re.compile(r"\b(?:not|never|hardly|neither|nor|no|isn't|aren't|wasn't)\b|n't\b")


def _chosen(stated: Any, choices: Mapping[str, float], metric: str) -> float:
    """Return the score of the word that a reply chooses from those that are declared."""
    text = normal(str(stated))
    if "{" in text and isinstance(found := find_json(text), Mapping):
        text = "\n".join(str(value) for name, value in found.items() if _is_verdict(name, metric))

    lines = [line for line in text.splitlines() if line.strip()]
    chosen = {word for word in choices for line in (*lines[:1], *lines[-1:]) if _says(line, word)}
    chosen = chosen or {word for word in choices if _is_anchored(text, word, metric)}
    chosen = chosen or _mentioned(text, choices)
    if len(chosen) != 1:
        said = f"several of {', '.join(sorted(chosen))}" if chosen else "none of the choices"
        raise NoScoreError(f"gives {said}: {text[-80:]!r}")

    return choices[chosen.pop()]


def _is_verdict(name: object, metric: str) -> bool:
    known = {"score", "rating", "grade", "verdict", "answer", "label", "choice", "judgment"}
    return str(name).casefold() in {*known, metric.casefold()}


def _says(line: str, word: str) -> bool:
    """Return whether a line is nothing but a word."""
    stripped = line.strip(" \t*_`\"'()[].,:;!#")
    return stripped == word or (len(word) > 1 and stripped.casefold() == word.casefold())


def _is_anchored(text: str, word: str, metric: str) -> bool:
    named = re.escape(metric).replace("_", r"[\s_-]")
    spelt = rf"(?i:{re.escape(word)})" if len(word) > 1 else re.escape(word)
    pattern = (
        rf"\b(?i:score|rating|grade|verdict|answer|label|choice|judge?ment|decision|{named})\b"
        rf"{_AROUND}(?::|=|\bis\b){_AROUND}{spelt}(?!\w)|\[\[{spelt}\]\]"
    )
    return re.search(pattern, text) is not None


def _mentioned(text: str, choices: Mapping[str, float]) -> set[str]:
    """List the words that a reply mentions; a letter, and what is denied, is not a mention."""
    folded = text.casefold()
    if _NEGATION.search(folded):
        return set()

    found = {word for word in choices if len(word) > 1 and contains_text(folded, word.casefold())}
    return {
        word
        for word in found
        if not any(word != o and word.casefold() in o.casefold() for o in found)
    }
