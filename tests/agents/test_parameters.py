"""What a function asks for by the names of its parameters can be given to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

import pytest

from penstock.agents.parameters import asked_for

KNOWN = ("a", "b", "c")


@pytest.mark.parametrize(
    ("function", "positional", "named"),
    [
        (lambda a, b: None, "ab", ""),
        (lambda b, *, a: None, "b", "a"),
        (lambda a, other=1, b=2: None, "a", "b"),
        (lambda a, other=1, b=2, /: None, "a", ""),
        (lambda *a, b: None, "", "b"),
        (lambda a, *b: None, "a", ""),
        (lambda other=1, **a: None, "", "abc"),
        (lambda b, **rest: None, "b", "ac"),
        (partial(lambda a, b: None, b=7), "a", ""),
        (partial(lambda a, **rest: None, c=7), "a", "b"),
    ],
)
def test_what_a_function_asks_for_can_be_given_to_it(
    function: Callable[..., Any], positional: str, named: str
) -> None:
    found = asked_for(function, [*signature(function).parameters.values()], KNOWN, offered=KNOWN)
    assert found == (tuple(positional), tuple(named))
    function(*found.positional, **dict.fromkeys(found.named))
