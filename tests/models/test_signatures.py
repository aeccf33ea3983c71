"""Functions of every kind as tools: what a model is told of them, and how it calls them."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import enum
import functools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pydantic
import pytest

import penstock as ps
from penstock.models.chat_model import Image, ToolCall
from penstock.models.conversations.tools import Tool
from tests.models.test_images import png

pytestmark = pytest.mark.anyio


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Place:
    x: int
    y: int = 2


class Order(pydantic.BaseModel):
    item: str
    many: int = 1


class Pair(NamedTuple):
    a: int


class Shop:
    def __init__(self) -> None:
        self.sold: list[str] = []

    def sell(self, item: str) -> str:
        self.sold.append(item)
        return f"sold {item}"

    @staticmethod
    def price(item: str) -> int:
        return len(item)

    def __call__(self, item: str) -> str:
        """Ask the shop."""
        return f"asked {item}"


class Remote:
    """Ask from afar."""

    async def __call__(self, item: str) -> str:
        return f"far {item}"


def add(a: int, b: int) -> int:
    return a + b


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*given: Any, **named: Any) -> Any:
        return function(*given, **named)

    return wrapped


@logged
def wrapped(a: int) -> int:
    return a


@logged
async def wrapped_async(a: int) -> int:
    return a


def optional(a: int | None = None, b: int | str = "x") -> list[Any]:
    return [a, b]


def literal(kind: Literal["u", "v"]) -> str:
    return kind


def colored(color: Color = Color.RED) -> str:
    return color.name


def placed(place: Place) -> int:
    return place.x + place.y


def ordered(orders: list[Order]) -> int:
    return sum(order.many for order in orders)


def paired(pair: Pair) -> int:
    return pair.a


def dated(day: dt.date) -> int:
    return day.year


def keywords(*, a: int = 3) -> int:
    return a


def listed(words: list[str] = []) -> int:  # noqa: B006
    words.append("more")
    return len(words)


def odd_names(cls: int, schema: str, copy: int) -> list[Any]:
    return [cls, schema, copy]


def of_the_run(run: ps.RunContext, a: int) -> str:
    return f"{run} {a}"


async def counting(n: int) -> AsyncIterator[int]:
    for number in range(n):
        yield number


def spelling(word: str) -> Iterator[str]:
    yield from word


@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [
        (optional, "{}", '[null,"x"]'),
        (optional, '{"a": null, "b": 4}', "[null,4]"),
        (literal, '{"kind": "u"}', "u"),
        (colored, "{}", "RED"),
        (colored, '{"color": "blue"}', "BLUE"),
        (placed, '{"place": {"x": 1}}', "3"),
        (placed, '{"place": "{\\"x\\": 5}"}', "7"),
        (ordered, '{"orders": [{"item": "tea", "many": 4}, {"item": "jam"}]}', "5"),
        (paired, '{"pair": [1]}', "1"),
        (dated, '{"day": "2020-01-02"}', "2020"),
        (keywords, "null", "3"),
        (keywords, "", "3"),
        (keywords, ' {"a": "4"} ', "4"),
        (keywords, '"{\\"a\\": 5}"', "5"),
        (listed, "{}", "1"),
        (odd_names, '{"cls": 1, "schema": "s", "copy": 2}', '[1,"s",2]'),
        (of_the_run, '{"a": 1}', "the run 1"),
        (counting, '{"n": 3}', "[0,1,2]"),
        (spelling, '{"word": "abc"}', '["a","b","c"]'),
        (wrapped, '{"a": 1}', "1"),
        (wrapped_async, '{"a": 1}', "1"),
        (functools.lru_cache(add), '{"a": 1, "b": 2}', "3"),
        (functools.partial(add, b=3), '{"a": 1}', "4"),
        (functools.partial(functools.partial(add, b=3), 2), "{}", "5"),
        (Shop().sell, '{"item": "tea"}', "sold tea"),
        (Shop.price, '{"item": "tea"}', "3"),
        (Shop(), '{"item": "tea"}', "asked tea"),
        (Remote(), '{"item": "tea"}', "far tea"),
    ],
)
async def test_whatever_can_be_called_is_a_tool(
    function: Callable[..., Any], arguments: str, result: str
) -> None:
    tool = Tool.of(function)
    for _ in range(2):  # a default that a function changes is as it was
        assert await tool.call(ToolCall(name=tool.name, arguments=arguments), "the run") == result

    json.dumps(tool.told)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (Shop(), ("Shop", "Ask the shop.", {"item": {"type": "string"}}, ["item"])),
        (Remote(), ("Remote", "Ask from afar.", {"item": {"type": "string"}}, ["item"])),
        (functools.partial(add, b=3), ("add", None, {"a": {"type": "integer"}}, ["a"])),
        (of_the_run, ("of_the_run", None, {"a": {"type": "integer"}}, ["a"])),
        (
            colored,
            (
                "colored",
                None,
                {"color": {"$ref": "#/$defs/Color", "default": "red"}},
                None,
            ),
        ),
    ],
)
def test_a_model_is_told_of_arguments_that_it_is_to_give(
    function: Callable[..., Any], told: tuple[Any, ...]
) -> None:
    said = Tool.of(function).told["function"]
    schema = said["parameters"]

    given = said["name"], said.get("description"), schema["properties"], schema.get("required")
    assert given == told


def test_what_an_annotation_says_comes_before_the_docstring() -> None:
    def search(
        query: Annotated[str, "In words."],
        most: Annotated[int, pydantic.Field(description="At most.", ge=1)],
        kind: str,
    ) -> None:
        """Search.

        Args:
            query: No.
            most: No.
            kind: Yes.
        """

    properties = Tool.of(search).schema["properties"]

    said = {name: each["description"] for name, each in properties.items()}
    assert said == {"query": "In words.", "most": "At most.", "kind": "Yes."}
    assert properties["most"]["minimum"] == 1


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda a: a, "no tool can be called '<lambda>'"),
        (max, "'max': its signature cannot be told"),
        (len, "obj cannot be given by name"),
        (lambda *words: words, r"\*words cannot be given by name; wrap it"),
        (lambda **words: words, r"\*\*words cannot be given by name"),
    ],
)
def test_what_cannot_be_a_tool_says_what_to_do(function: Callable[..., Any], said: str) -> None:
    with pytest.raises(ps.PenstockError, match=said):
        Tool.of(function)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("[1]", r"the arguments are \[1\], not an object"),
        ("7", "the arguments are 7, not an object"),
        ("{'a': 1}", "the arguments are not JSON"),
        ('{"a": 1}{"a": 2}', "the arguments are not JSON"),
        ('{"a": 1', "the arguments are not JSON"),
        ('{"a": 1.5, "b": 2}', "a: Input should be a valid integer"),
        ('{"a": 1}', "b: Field required"),
        ('{"a": 1, "b": 2, "c": 3}', "c: "),
        ('{"a": null, "b": 2}', "a: Input should be a valid integer"),
        ('{"a": "[1", "b": 2}', "a: Input should be a valid integer"),
    ],
)
async def test_arguments_that_are_wrong_say_how(arguments: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        await Tool.of(add).call(ToolCall(name="add", arguments=arguments))


PNG = base64.b64encode(png()).decode()
SHOWN = Image(url=f"data:image/png;base64,{PNG}")


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (None, "null"),
        ("text", "text"),
        (b"text", "text"),
        (1.5, "1.5"),
        (float("nan"), "NaN"),
        (np.float64(1.5), "1.5"),
        (np.array([1, 2]), "[1,2]"),
        (dt.date(2020, 1, 2), '"2020-01-02"'),
        ([dt.datetime(2020, 1, 2)], '["2020-01-02T00:00:00"]'),  # noqa: DTZ001
        ({"price": decimal.Decimal("1.50")}, '{"price":"1.50"}'),
        ({"b", "a", "c"}, '["a","b","c"]'),
        ({"found": {2, 1}}, '{"found":[1,2]}'),
        ({1: Color.RED}, '{"1":"red"}'),
        (Order(item="tea"), '{"item":"tea","many":1}'),
        (Place(1), '{"x":1,"y":2}'),
        ([], "[]"),
        (png(), (SHOWN,)),
        (SHOWN, (SHOWN,)),
        (["before", png(), {"a": 1}], ("before", SHOWN, '{"a":1}')),
        ([{"type": "image_url", "image_url": {"url": SHOWN.url}}], (SHOWN,)),
    ],
)
async def test_whatever_a_tool_gives_is_told(result: Any, told: Any) -> None:
    assert await Tool("f", "", {}, lambda: result).call(ToolCall(name="f")) == told


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (object(), "a object that cannot be told"),
        ({"x": ValueError("no")}, "a dict that cannot be told"),
        (b"\xff\xfe", "neither an image nor text"),
    ],
)
async def test_what_cannot_be_told_says_so(result: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        await Tool("f", "", {}, lambda: result).call(ToolCall(name="f"))
