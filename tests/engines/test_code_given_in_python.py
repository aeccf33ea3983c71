"""Code that is given in Python: what workers would import in its place has to be the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.engines.local import LocalEngine
from penstock.errors import ValidationError
from tests.worker_agents import Kept, plain


class Solver:
    """An agent that has a state, which an import of its class would not know."""

    def __init__(self, times: int = 1) -> None:
        self.times = times

    def __call__(self, seed: int) -> float:
        return seed * self.times


def made_of_main(seed: int) -> float:
    return seed


made_of_main.__module__ = "__main__"


def study_of(code: Any) -> ps.Study:
    return ps.Study(study_id="given", title="t", agents={"a": code}, problems=[{"problem_id": "p"}])


@pytest.mark.parametrize(
    "code",
    [
        lambda seed: seed,
        partial(plain),
        Solver(3),
        Solver(3).__call__,
        made_of_main,
    ],
)
def test_code_that_workers_would_not_find_is_refused_before_anything_is_run(
    code: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(ValidationError, match=r"agent 'a' .* write it into a file"):
        ps.StudyRunner(study_of(code), engine=LocalEngine(), output_dir=tmp_path / "there")

    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("code", [plain, Kept.inside])
def test_code_that_workers_import_by_its_name_may_be_given(
    code: Callable[..., Any], tmp_path: Path
) -> None:
    ps.StudyRunner(study_of(code), engine=LocalEngine(), output_dir=tmp_path / "there")
