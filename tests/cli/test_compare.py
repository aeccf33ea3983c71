from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.analysis.test_analyze import SCORE, helped
from tests.analysis.test_studies_compared import made, plain


@pytest.fixture
def studies(tmp_path: Path) -> tuple[Path, Path]:
    return made(tmp_path / "old", helped), made(tmp_path / "new", plain)


def test_studies_are_compared_in_words_and_for_machines(
    studies: tuple[Path, Path], cli: Any
) -> None:
    told = cli("compare", *studies)

    assert told.exit_code == 0
    assert "8 problems in common" in told.stderr
    assert "1 difference of the plans" in told.stderr
    assert "is worse" in told.stderr
    record = json.loads(cli("compare", *studies, "--json").stdout)
    assert record["event"] == "comparison"
    assert record["others"][0]["outcomes"]["score"]["verdict"] == "worse"


def test_fail_on_worse_ends_with_13_where_it_is_and_with_0_where_it_is_not(
    studies: tuple[Path, Path], cli: Any
) -> None:
    old, new = studies

    assert cli("compare", old, new, "--fail-on", "worse").exit_code == 13
    assert cli("compare", new, old, "--fail-on", "worse").exit_code == 0


def test_fail_on_worse_is_refused_where_nobody_says_what_worse_is(tmp_path: Path, cli: Any) -> None:
    old = made(tmp_path / "old", helped, outcomes=(SCORE,))
    new = made(tmp_path / "new", plain, outcomes=(SCORE,))

    told = cli("compare", old, new, "--fail-on", "worse")

    assert told.exit_code == 3
    assert "it is not declared which way the outcome 'score' is better" in told.stderr
    assert cli("compare", old, new, "--fail-on", "worse", "--better", "higher").exit_code == 13


def test_one_study_is_nothing_to_compare(studies: tuple[Path, Path], cli: Any) -> None:
    assert cli("compare", studies[0]).exit_code == 2
    assert cli("compare", studies[0], studies[0]).exit_code == 2
