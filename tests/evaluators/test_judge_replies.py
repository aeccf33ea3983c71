from __future__ import annotations

from typing import Any

import pytest

from penstock.errors import ValidationError
from penstock.evaluators.judge_replies import NoScoreError, read_score
from penstock.study.chat import JudgeOptions

NUMBERS = {"type": "object", "properties": {"score": {"type": "number"}, "max": {"type": "number"}}}


def options(**fields: Any) -> JudgeOptions:
    return JudgeOptions(base_url="http://judge/v1", model="m", prompt="Score it.", **fields)


@pytest.mark.field("studies-A11", "models-F2")
@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("I would rate this 8 out of 10.", 8),
        ("I rate this an 8 out of 10.", 8),
        ("8/10", 8),
        ("8 / 10", 8),
        ("Score: 7/10", 7),
        ("Clarity: 3/5", 3),
        ("Rating: 3/5", 3),
        ("Rating: 4 (on a scale of 1-5)", 4),
        ("Score: 7. It names 3 reasons.", 7),
        ("Good. Score: 7", 7),
        ("Score: **7**", 7),
        ("**Score:** 7", 7),
        ("Score (1-10): 7", 7),
        ("Score - 7", 7),
        ("Score: -1", -1),
        ("Score: \u22121", -1),
        ("score 7", 7),
        ("Overall, the score is 7.", 7),
        ("[[7]]", 7),
        ("Both are good. Rating: [[5]]", 5),
        ("<score>7</score> for 3 reasons", 7),
        ("My rating is 4 out of 5 stars.", 4),
        ("I give it a 7.", 7),
        ("I'd give this answer a 9 because of 3 things.", 9),
        ("I assign a score of 6.", 6),
        ("7", 7),
        ("7.", 7),
        ("**7**", 7),
        ("7\n\nIt has 3 reasons.", 7),
        ("It has 3 reasons.\n\n7", 7),
        ("7,5", 7.5),
        ("~8", 8),
        ("8 (good)", 8),
        ("4 stars", 4),
        ("8 points out of 10", 8),
        ("<think>maybe 5</think>8", 8),
        ("<think>Score: 5? no</think>\nScore: 8", 8),
        (".8", 0.8),
        ("8e-1", 0.8),
        ("85%", 85),
        ("1,000", 1000),
        ("Clarity score: 7\nDepth score: 5", 7),
        ("Accuracy score: 8, style score: 6. Overall score: 7", 7),
        ("Score: 8. All in all I rate it 8/10.", 8),
        ('{"score": 7, "max": 10}', 7),
        ('{"clarity": "7/10", "why": "2 reasons"}', 7),
        ('```json\n{"score": 8, "why": "3 reasons"}\n```', 8),
    ],
)
def test_a_reply_gives_the_score_that_it_means(reply: str, score: float) -> None:
    assert read_score(reply, options(), "clarity") == score


@pytest.mark.field("studies-A11", "models-F2")
@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("No score.", "gives no score"),
        ("", "gives no score"),
        ("9. It is clear, but section 2 is weak.", "gives no score"),
        ("Compared with GPT-4", "gives no score"),
        ("On the scale of 1-10 I say eight.", "gives no score"),
        ("The answer covers 2 of the points but", "gives no score"),
        ("I give 3 reasons.", "gives no score"),
        ("Score: N/A (3 parts)", "gives no score"),
        ("Score: 7-8", "gives no score"),
        ("1. Clear\n2. Good", "gives no score"),
        ("Score: 7. On reflection, score: 5.", "gives several scores: 7, 5"),
        ("Score: 12/10", "says 12 out of 10"),
        ("1e999", "says inf, which is not a score"),
    ],
)
def test_a_reply_without_one_clear_score_has_none(reply: str, why: str) -> None:
    with pytest.raises(NoScoreError, match=why):
        read_score(reply, options(), "clarity")


@pytest.mark.field("models-E15")
def test_a_score_off_the_declared_scale_is_not_one() -> None:
    scale = options(scale=[1, 10])

    assert read_score("Score: 10", scale, "m") == 10
    assert read_score("8/10", scale, "m") == 8
    for reply in ("Score: 0", "11", "Score: -1", "4/5", "85%"):
        with pytest.raises(NoScoreError, match="not on the scale 1 to 10"):
            read_score(reply, scale, "m")


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("good", 1),
        ("Good.", 1),
        ("**bad**", 0),
        ("Verdict: good", 1),
        ("The answer is bad.", 0),
        ("bad\nbecause it is not good", 0),
        ("I would call it very good work.", 2),
        ("It is a good answer.", 1),
        ('{"verdict": "good", "why": "nothing is bad"}', 1),
        ("Verdict: [[bad]]", 0),
    ],
)
def test_a_reply_chooses_one_of_the_declared_words(reply: str, score: float) -> None:
    words = options(choices={"very good": 2, "good": 1, "bad": 0})

    assert read_score(reply, words, "m") == score


@pytest.mark.parametrize("reply", ["good or bad", "not good", "fine", "It isn't bad.", ""])
def test_a_reply_that_chooses_no_word_or_several_has_no_score(reply: str) -> None:
    with pytest.raises(NoScoreError, match=r"gives (none|several)"):
        read_score(reply, options(choices={"good": 1, "bad": 0}), "m")


def test_a_letter_is_chosen_only_where_it_stands_alone_or_is_named() -> None:
    letters = options(choices={"A": 1, "B": 0})

    assert read_score("A", letters, "m") == 1
    assert read_score("Verdict: B", letters, "m") == 0
    assert read_score("Both are fine. [[B]]", letters, "m") == 0
    with pytest.raises(NoScoreError):
        read_score("A good answer.", letters, "m")


@pytest.mark.field("models-E15", "models-F2")
def test_a_field_of_the_reply_s_json_is_the_score() -> None:
    reply = 'Sure: {"score": 8, "max": 10, "by": {"style": "7/10"}}'

    assert read_score(reply, options(field="score"), "m") == 8
    assert read_score(reply, options(field="by.style"), "m") == 7
    assert read_score(reply, options(json_schema=NUMBERS), "m") == 8
    for field, why in (("depth", "has no field 'depth'"), ("by", "in its field 'by'")):
        with pytest.raises(NoScoreError, match=why):
            read_score(reply, options(field=field), "m")


def test_a_schema_with_one_number_says_which_field_is_the_score() -> None:
    grade = {"properties": {"grade": {"type": "integer"}, "why": {"type": "string"}}}
    word = {"properties": {"verdict": {"type": "string"}, "n": {"type": "integer"}}}

    assert options(json_schema=grade).score_field == "grade"
    assert options(json_schema=word, choices={"yes": 1}).score_field == "verdict"
    assert options(json_schema=word, pattern=r"\d").score_field is None


def test_a_pattern_finds_the_score() -> None:
    assert read_score("5 of 9, so 7", options(pattern=r"so (\d)"), "m") == 7
    assert read_score("3 then 4", options(pattern=r"\d"), "m") == 4
    assert read_score("it is good", options(pattern="is (.*)", choices={"good": 1}), "m") == 1
    with pytest.raises(NoScoreError, match="has no match of `pattern`"):
        read_score("none", options(pattern=r"\d"), "m")


def test_the_default_of_before_means_the_default() -> None:
    assert options(pattern=r"[-+]?\d+(?:\.\d+)?").pattern is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"scale": [10, 1]}, "give the lowest score first"),
        ({"scale": [1, 10], "choices": {"a": 1}}, "say `scale` or `choices`"),
        ({"field": "a", "pattern": "b"}, "say `field` or `pattern`"),
        ({"pattern": "("}, "is not a regular expression"),
        ({"choices": {}}, "at least 1 item"),
    ],
)
def test_what_cannot_say_what_a_score_is_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        options(**fields)
