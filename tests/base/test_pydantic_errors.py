"""Errors of validation as sentences, each with its place and the likely meant key."""

from __future__ import annotations

import pydantic
import pytest

from penstock._base.pydantic_errors import sentences_of
from penstock.study.model import Study


@pytest.mark.parametrize(
    ("given", "sentences"),
    [
        ({}, ["study_id: is required", "title: is required"]),
        (
            {"study_id": "s", "titel": "t"},
            ["title: is required", "titel: unknown key; did you mean `title`?"],
        ),
        ({"study_id": "s", "title": " "}, ["title: Study.title must be non-empty."]),
        (
            {"study_id": "s", "title": "t", "execution": {"retry": {"atempts": 2}}},
            ["execution.retry.atempts: unknown key; did you mean `attempts`?"],
        ),
        (
            {"study_id": "s", "title": "t", "factors": [{"name": "x", "levels": 3}]},
            ["factors[0].levels: must be a list (got 3)"],
        ),
        ({"study_id": "s", "title": "t", "zzz": 1}, ["zzz: unknown key"]),
        (
            {"study_id": "s", "title": "t", "concurrency": 3, "system": "", "unit": 1},
            [
                "concurrency: unknown key; its place is `execution`",
                "system: unknown key; its place is `agents.chat` or `evaluators.judge`",
                "unit: unknown key; its place is `outcomes`",
            ],
        ),
        (
            {"study_id": "s", "title": "t", "execution": {"timeout": 3, "run_order": "plan"}},
            [
                "execution.timeout: unknown key; did you mean `timeout_s`?",
                "execution.run_order: unknown key; its place is the top of the file",
            ],
        ),
    ],
)
def test_each_error_is_a_sentence_with_its_place(
    given: dict[str, object], sentences: list[str]
) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        Study.model_validate(given)

    assert list(sentences_of(caught.value, Study)) == sentences
    assert all(each.startswith("study.") for each in sentences_of(caught.value, Study, "study"))
