from __future__ import annotations

from typing import Any

import pytest

from penstock.errors import ValidationError
from penstock.study.factors import Factor


def values(said: dict[str, Any], dtype: str | None = None) -> list[Any]:
    return list(Factor(name="x", dtype=dtype, levels=said).values())


def test_a_range_has_its_ends_and_equal_steps_without_digits_of_rounding() -> None:
    assert values({"from": 0, "to": 1, "steps": 5}) == [0, 0.25, 0.5, 0.75, 1]
    assert values({"from": 0.1, "to": 0.5, "steps": 5}) == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert values({"from": 10, "to": 1, "steps": 4}) == [10, 7, 4, 1]
    assert values({"from": 0, "to": 2, "steps": 3}, "float") == [0.0, 1.0, 2.0]


def test_a_logarithmic_range_has_equal_ratios() -> None:
    said: dict[str, Any] = {"from": "1e-5", "to": "1e-1", "steps": 5, "log": True}

    assert values(said) == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"form": 0, "to": 1, "steps": 5}, "`form` is not one of them"),
        ({"from": 0, "to": 1}, "`steps` is missing"),
        ({"from": 0, "to": 1, "steps": 1}, "a whole number, 2 to 100,000"),
        ({"from": 0, "to": 1, "steps": 2.5}, "a whole number, 2 to 100,000"),
        ({"from": 0, "to": 1, "steps": 100_001}, "is 100001; it must be a whole number, 2 to"),
        ({"from": 0, "to": 1, "steps": 3, "log": True}, "lie above 0"),
        ({"from": 1, "to": 2, "steps": 3, "log": "yes"}, "it must be true or false"),
        ({"from": "low", "to": 1, "steps": 3}, "`from` of levels is 'low'; it must be a number"),
        ({"from": 1, "to": 1, "steps": 3}, "duplicate level names"),
    ],
)
def test_what_is_not_a_range_says_what_one_is(said: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        values(said)


def test_whole_numbers_are_asked_for_and_held() -> None:
    assert values({"from": 0, "to": 10, "steps": 3}, "int") == [0, 5, 10]
    with pytest.raises(ValidationError, match=r"has dtype int, which 2\.5, 7\.5 is not"):
        values({"from": 0, "to": 10, "steps": 5}, "int")
