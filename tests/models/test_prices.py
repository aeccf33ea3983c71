from __future__ import annotations

import socket
import subprocess
import sys
import threading
from math import ceil
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.models.chat_model import Usage
from penstock.models.gate.prices import Prices
from penstock.models.prompts.tokens import estimate_tokens
from penstock.study.spending import Price

MILLION = 1_000_000
DECLARED = {"own": Price(input_usd_per_million=2.0, output_usd_per_million=10.0)}


def test_a_declared_price_counts_input_and_output() -> None:
    usage = Usage(input_tokens=MILLION, output_tokens=MILLION // 2)

    assert Prices(DECLARED).cost_usd("own", usage) == pytest.approx(7.0)
    assert Prices(DECLARED).cost_usd("own", usage, "http://127.0.0.1/v1") == pytest.approx(7.0)


def test_cached_input_costs_what_is_declared_for_it_or_as_much_as_any() -> None:
    usage = Usage(input_tokens=MILLION, cached_input_tokens=MILLION // 4)
    cheaper = DECLARED["own"].model_copy(update={"cached_input_usd_per_million": 1.0})

    assert Prices(DECLARED).cost_usd("own", usage) == pytest.approx(2.0)
    assert Prices({"own": cheaper}).cost_usd("own", usage) == pytest.approx(1.75)


def test_a_declared_price_comes_before_a_published_one() -> None:
    usage = Usage(input_tokens=MILLION)
    declared = {"gpt-4o-mini": DECLARED["own"]}

    assert Prices(declared).cost_usd("gpt-4o-mini", usage) == pytest.approx(2.0)


def test_a_worst_case_is_a_full_answer_to_a_prompt_of_which_nothing_is_cached() -> None:
    assert Prices(DECLARED).worst_case_usd("own", MILLION, MILLION) == pytest.approx(12.0)
    assert Prices({}).worst_case_usd("nobody's", 1, 1) is None


def test_published_prices_are_found_by_endpoint_and_model() -> None:
    pytest.importorskip("genai_prices")
    usage = Usage(input_tokens=MILLION, output_tokens=MILLION, cached_input_tokens=MILLION // 2)
    prices = Prices({})

    assert prices.cost_usd("gpt-4o-mini", usage) == pytest.approx(0.7125)
    assert prices.cost_usd("gpt-4o-mini", usage, "https://api.openai.com/v1") == pytest.approx(
        0.7125
    )


@pytest.mark.parametrize(
    ("model", "base_url"),
    [
        ("no-such-model", None),
        ("no-such-model", "https://api.openai.com/v1"),
        ("gpt-4o-mini", "http://127.0.0.1:8000/v1"),
        ("", None),
    ],
)
def test_a_price_that_is_not_known_is_none(model: str, base_url: str | None) -> None:
    assert Prices({}).cost_usd(model, Usage(input_tokens=1), base_url) is None


def test_prices_computed_here_are_those_that_genai_prices_computes() -> None:
    genai_prices = pytest.importorskip("genai_prices")
    from genai_prices.data import providers

    usages = [
        Usage(input_tokens=1000, output_tokens=300),
        Usage(input_tokens=300_000, output_tokens=10, cached_input_tokens=200_000),
    ]
    prices, compared = Prices({}), 0
    for model in {model.id for provider in providers for model in provider.models}:
        for usage in usages:
            theirs = genai_prices.Usage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_tokens=usage.cached_input_tokens,
            )
            try:
                expected = float(genai_prices.calc_price(theirs, model).total_price)
            except LookupError:
                assert prices.cost_usd(model, usage) is None
                continue

            assert prices.cost_usd(model, usage) == pytest.approx(expected), model
            compared += 1

    assert compared > 100


def test_no_price_is_looked_up_online(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("genai_prices")

    def refuse(*arguments: Any, **options: Any) -> NoReturn:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    before = threading.active_count()
    Prices({}).cost_usd("gpt-4o", Usage(input_tokens=1))

    assert threading.active_count() == before


def test_published_prices_are_imported_when_they_are_first_needed() -> None:
    code = (
        "import sys; from penstock.models.gate.prices import Prices; Prices({});"
        "sys.exit('genai_prices' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_the_extra_no_published_price_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)

    assert Prices({}).cost_usd("gpt-4o", Usage(input_tokens=1)) is None


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("a", 1),
        ("abc", 1),
        ("abcd", 2),
        ("1234", 4),
        ("x = 42", 4),  # four characters in two, and two digits
        ("žluť", 3),  # two ASCII characters in one, two others in two
        ("水木", 3),
        ("\ud800", 2),  # half a surrogate pair is text in Python
    ],
)
def test_tokens_are_estimated_by_a_plain_rule(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


@given(st.text(st.characters() | st.sampled_from("0189aZ \u0660\ud800")))
def test_the_rule_looks_at_each_character(text: str) -> None:
    digits = sum(each in "0123456789" for each in text)
    plain = sum(each.isascii() for each in text) - digits
    others = sum(len(each.encode("utf-8", "surrogatepass")) for each in text if not each.isascii())
    assert estimate_tokens(text) == digits + ceil(plain / 3) + ceil(others / 2)
