from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock import events
from penstock.errors import BindingError
from penstock.events.listening import event_types, listening, one_by_one, subscription_of
from tests.builders import make_study

pytestmark = pytest.mark.anyio


class Reads:
    async def __call__(self, stream: ps.EventStream) -> None: ...


async def reads(stream: ps.EventStream, beside: int = 0) -> None: ...


async def reads_whatever(it) -> None: ...  # type: ignore[no-untyped-def]


async def hears(happened: events.RunFailed | events.RunSkipped) -> None: ...


async def hears_by_name(event: Any) -> None: ...


def hears_plainly(_: Any) -> None: ...


async def yields(_: Any) -> AsyncIterator[int]:
    yield 1


def yields_plainly(_: Any) -> Iterator[int]:
    yield 1


def reads_plainly(stream: ps.EventStream) -> None: ...


def takes_two(event: Any, other: Any) -> None: ...


def make_runner(folder: Path) -> ps.StudyRunner:
    async def agent(_: ps.RunContext) -> str:
        return "42"

    bindings = {"agent-a": agent}
    return ps.StudyRunner(make_study(("a",)), agent_bindings=bindings, output_dir=folder)


@pytest.mark.field("studies-N13")
async def test_without_parentheses_a_listener_hears_all_events(tmp_path: Path) -> None:
    runner = make_runner(tmp_path)
    heard: dict[str, list[str]] = {"all": [], "named": [], "classes": []}

    @runner.on
    def hear_all(event: events.Event) -> None:
        heard["all"].append(type(event).__name__)

    @runner.on("RunFinished", "StudyStarted")
    async def hear_named(event: events.Event) -> None:
        heard["named"].append(type(event).__name__)

    @runner.on(events.RunFinished, events.StudyStarted)
    def hear_classes(event: events.Event) -> None:
        heard["classes"].append(type(event).__name__)

    await runner.run()
    assert callable(hear_all)
    assert heard["all"] == [
        "StudyStarted",
        "RunStarted",
        "RunSucceeded",
        "RunsSaved",
        "StudyFinished",
    ]
    assert heard["named"] == heard["classes"] == ["StudyStarted", "RunSucceeded"]


@pytest.mark.parametrize(
    "function", [reads, reads_whatever, Reads(), partial(reads, beside=1), lambda it: reads(it, 1)]
)
def test_a_coroutine_over_a_stream_is_a_subscriber(function: Any) -> None:
    subscription = subscription_of(function, ["RunFailed"], critical=True)
    assert subscription.subscriber is function
    assert (subscription.types, subscription.critical) == ((events.RunFailed,), True)


@pytest.mark.field("studies-N13")
@pytest.mark.parametrize(
    ("function", "said"),
    [
        (hears, "'hears' is a function of one event; a subscriber is a coroutine function over a"),
        (hears_by_name, "is a function of one event"),
        (hears_plainly, "is not a coroutine function"),
        (yields, "is not a coroutine function"),
        (reads_plainly, "is not a coroutine function"),
        (list, "is not a coroutine function"),
        (lambda event: None, "'<lambda>' is a function of one event"),
        ("reads", "'reads' cannot be called"),
        (takes_two, "is called with one argument: missing a required argument: 'other'"),
    ],
)
def test_a_function_of_one_event_is_refused_as_a_subscriber(function: Any, said: str) -> None:
    with pytest.raises(BindingError) as refused:
        subscription_of(function)

    assert said in str(refused.value)


@pytest.mark.field("studies-N13")
@pytest.mark.parametrize(
    ("function", "said"),
    [
        (reads, "'reads' takes a stream, and a listener is called with one event at a time; give"),
        (Reads(), "'Reads' takes a stream"),
        (yields, "'yields' yields, so calling it with an event does nothing"),
        (yields_plainly, "yields"),
        (takes_two, "is called with one argument"),
    ],
)
def test_a_coroutine_over_a_stream_is_refused_as_a_listener(function: Any, said: str) -> None:
    with pytest.raises(BindingError) as refused:
        one_by_one(function)

    assert said in str(refused.value)


@pytest.mark.parametrize("function", [hears, hears_by_name, hears_plainly, [].append, print])
def test_a_function_of_one_event_is_a_listener(function: Callable[[Any], Any]) -> None:
    assert subscription_of(one_by_one(function)).types == ()


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("RunFaild", "no event is called 'RunFaild'; did you mean 'RunFailed'?"),
        ("x", "no event is called 'x'; there are Event, StudyEvent"),
        (int, "<class 'int'> is not an event; name classes of penstock.events"),
        (hears, "is not an event"),
    ],
)
def test_what_is_not_an_event_is_refused_when_it_is_named(named: Any, said: str) -> None:
    with pytest.raises(BindingError) as refused:
        event_types([events.RunFailed, named])

    assert said in str(refused.value)
    with pytest.raises(BindingError):
        listening(lambda *_: None, ("RunFailed", named))


def test_a_study_that_names_a_listener_as_subscriber_is_refused_by_check_as_by_run(
    tmp_path: Path,
) -> None:
    (tmp_path / "hooks.py").write_text("async def heard(event): pass\n")
    study = make_study(subscribers=("hooks.py:heard",), base_dir=tmp_path)

    (error,) = [each for each in ps.check(study).errors if "hooks" in each]
    assert "subscriber 'hooks.py:heard': 'heard' is a function of one event" in error
