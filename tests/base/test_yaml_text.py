"""Values written as YAML: every reader reads what was written, and people can."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from penstock._base.yaml_text import yaml_text
from tests.look_alikes import LOOK_ALIKES

texts = st.text() | st.text("a: \n#-'\"\\é", max_size=12) | st.sampled_from(LOOK_ALIKES)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(values)
@example(["a" * 1_500, {"a " * 750: "a"}, {"é\n" * 600: [" a\n"]}])
@example([[[]], [{}], {"": {"": [""]}}, [["\n"], "\n\n", " \n a\n"]])
def test_written_yaml_is_read_alike_by_yaml_1_1_and_1_2(value: Any) -> None:
    for whole in ({"value": [value], "again": value}, [value]):
        text = yaml_text(whole)
        for version in ((1, 1), (1, 2)):
            reader = YAML(typ="safe", pure=True)
            reader.version = version
            assert repr(reader.load(text)) == repr(whole)


@given(values)
@example({"a" * 1_500: "a " * 750})
def test_pyyaml_reads_what_is_written(value: Any) -> None:
    yaml = pytest.importorskip("yaml")
    assert repr(yaml.safe_load(yaml_text({"value": [value]}))) == repr({"value": [value]})


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_a_text_that_some_reader_takes_for_something_else_is_quoted(text: str) -> None:
    written = yaml_text({"x": text}).removeprefix("x: ").rstrip("\n")
    plain_everywhere = {"NA", "nan", "é"}
    assert written[0] in {'"', "|"} or text in plain_everywhere


def test_a_value_is_written_as_a_person_would_write_it() -> None:
    value = {
        "name": "tone of voice",
        "levels": [{"name": "warm", "size": 3, "options": {}}, "no", [1.5, [None, True]], []],
        "prompt": "Be warm.\n\nAlways.\n",
        "ends": "in the middle\nof a line",
        "rare": 1e-07,
    }
    assert (
        yaml_text(value)
        == """\
name: tone of voice
levels:
- name: warm
  size: 3
  options: {}
- "no"
- - 1.5
  - - null
    - true
- []
prompt: |
  Be warm.

  Always.
ends: |-
  in the middle
  of a line
rare: 1.0e-07
"""
    )
