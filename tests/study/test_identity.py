"""Ids and seeds are a contract: the worked examples, and formulas written a second time."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import UnstableValueError
from penstock.study.identity import (
    answer_event_id,
    assignment_fingerprint,
    condition_id,
    event_id,
    hash_identifier,
    run_id,
    run_numbers,
    run_seed,
    stable_json_dumps,
)

VARIANT_A = "cond-593275f88eaa"

any_text = st.text() | st.sampled_from(['"', "\\", "\x00", "\x1f", "\x7f", "é", "\ud83d", "a:b"])
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=10,
)


def seed_of(base_seed: int, run: tuple[str, str, int, str | None, str | None]) -> int:
    return run_seed(*run, base_seed=base_seed, strategy="condition_replicate", per_run_offset=9973)


@pytest.mark.parametrize(
    ("factors", "blocks", "expected"),
    [
        ({"mode": "a", "temp": 0.5}, {"cohort": "novice"}, "cond-771faa876edb"),
        (
            {"flag": True, "lst": [1, 2.0, "x"], "n": 1, "name": "héé", "none": None},
            {},
            "cond-66dac855d95c",
        ),
        ({"variant": "a"}, {}, VARIANT_A),
    ],
)
def test_condition_ids_are_those_of_the_worked_examples(
    factors: dict[str, Any], blocks: dict[str, Any], expected: str
) -> None:
    assert condition_id(assignment_fingerprint(factors, blocks)) == expected
    assert hash_identifier("cond", {"factors": factors, "blocks": blocks}) == expected


def test_run_ids_are_those_of_the_worked_examples() -> None:
    assert run_id("s1", VARIANT_A, 1, "agent-a", "problem-1") == "run-0a3a82b2f054"
    assert run_id("s1", VARIANT_A, 2, None, None) == "run-79fab9677b26"


def test_seeds_are_those_of_the_worked_examples() -> None:
    assert seed_of(123, ("s1", VARIANT_A, 1, "agent-a", "problem-1")) == 598118156
    assert seed_of(0, ("s1", VARIANT_A, 2, None, None)) == 335297868


def test_event_ids_are_those_of_the_worked_examples() -> None:
    given_event = {"event_type": "assistant_output", "index": 0, "run_id": "run-0123456789ab"}
    assert hash_identifier("evt", given_event) == "evt-702d3b5cdc64"
    assert answer_event_id("run-0123456789ab") == "evt-8fec491a0420"


@given(any_text, any_text, st.none() | any_text, st.none() | any_text)
def test_ids_that_are_compared_as_numbers_are_those_of_the_runs(
    study: str, condition: str, agent: str | None, problem: str | None
) -> None:
    ids = [run_id(study, condition, replicate, agent, problem) for replicate in range(1, 12)]
    numbers = run_numbers(study, condition, 11, agent, problem)
    assert [f"run-{number:012x}" for number in numbers] == ids


@given(any_text, any_text, st.integers(1), st.none() | any_text, st.none() | any_text)
def test_a_run_id_written_by_hand_is_the_hash_of_its_parts(
    study: str, condition: str, replicate: int, agent: str | None, problem: str | None
) -> None:
    payload = {
        "study_id": study,
        "condition_id": condition,
        "replicate": replicate,
        "agent_id": agent,
        "problem_id": problem,
    }
    assert run_id(study, condition, replicate, agent, problem) == hash_identifier("run", payload)


@given(any_text, any_text, st.integers(1), st.none() | any_text, st.none() | any_text)
def test_a_seed_written_by_hand_follows_the_formula(
    study: str, condition: str, replicate: int, agent: str | None, problem: str | None
) -> None:
    payload = {
        "base_seed": -7,
        "strategy": "condition_replicate",
        "per_run_offset": 9973,
        "study_id": study,
        "condition_id": condition,
        "replicate": replicate,
        "salt": f"{agent}:{problem}",
    }
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    expected = int(sha256(text.encode()).hexdigest()[:16], 16) % (2**31 - 1)
    assert seed_of(-7, (study, condition, replicate, agent, problem)) == expected


@given(any_text)
def test_an_event_id_written_by_hand_is_the_hash_of_its_parts(run: str) -> None:
    assert answer_event_id(run) == hash_identifier("evt", {"run_id": run, "index": 0})


@given(run=st.text(), index=st.integers(0), event_type=st.text())
def test_ids_of_what_agents_report_are_those_of_the_canonical_form(
    run: str, index: int, event_type: str
) -> None:
    payload = {"run_id": run, "index": index, "event_type": event_type}
    assert event_id(run, index, event_type) == hash_identifier("evt", payload)


@given(any_json)
def test_canonical_json_is_sorted_compact_ascii_json(value: Any) -> None:
    text = stable_json_dumps(value)
    assert text == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert text.isascii()


def test_whole_numbers_other_numbers_and_flags_have_ids_of_their_own() -> None:
    assert len({hash_identifier("cond", {"x": value}) for value in (1, 1.0, True, "1")}) == 4


def test_numpy_values_have_the_ids_of_the_numbers_they_stand_for() -> None:
    numpy_values = [np.int64(5), np.float64(1.5), np.bool_(True), np.arange(3), np.str_("x")]
    assert stable_json_dumps(numpy_values) == stable_json_dumps([5, 1.5, True, [0, 1, 2], "x"])


def test_a_value_without_a_stable_form_has_no_id_and_the_error_says_where_it_stands() -> None:
    with pytest.raises(UnstableValueError, match=r"\$\.factors\.x\[1\] \(object\)"):
        assignment_fingerprint({"x": [1, object()]}, {})


def test_ids_are_the_same_in_another_process_whatever_its_hash_seed() -> None:
    code = (
        "from penstock.study.identity import *;"
        "print(hash_identifier('cond', {'b': [1, {'z': 1, 'a': 'é'}], 'a': None}))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert printed == {hash_identifier("cond", {"a": None, "b": [1, {"a": "é", "z": 1}]})}
