"""Actions as they are kept and told."""

from __future__ import annotations

from pathlib import Path

import pytest

import penstock as ps
from penstock.errors import StoreError
from penstock.page.report import report_view
from penstock.store.actions import Action, actions, keep_action, this_user
from penstock.store.reader import StoreReader
from tests.builders import make_study


@pytest.fixture
def results(tmp_path: Path) -> Path:
    ps.run_study(
        make_study(),
        agent_bindings={"agent-a": lambda ctx: "42"},
        output_dir=tmp_path,
        show_progress=False,
        report=False,
    )
    return tmp_path


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("pause", "Paused 2026-01-02 03:04 UTC by ada with 3 of 8 runs ended: why"),
        ("resume", "Resumed 2026-01-02 03:04 UTC by ada with 3 of 8 runs ended: why"),
        ("stop", "Stopped 2026-01-02 03:04 UTC by ada with 3 of 8 runs ended: why"),
        ("stop now", "Stopped now 2026-01-02 03:04 UTC by ada with 3 of 8 runs ended: why"),
        (
            "set x",
            "x set from 1 to 2 2026-01-02 03:04 UTC by ada with 3 of 8 runs ended: why",
        ),
        ("unblind", "Unblinded 2026-01-02 with 3 of 8 runs ended: why"),
    ],
)
def test_an_action_is_told_in_a_sentence(what: str, said: str) -> None:
    assert str(Action("2026-01-02T03:04:05", "ada", what, "1", "2", "why", 3, 8)) == said


def test_an_action_is_kept_where_nobody_runs_the_study_and_stands_in_the_report(
    results: Path,
) -> None:
    done = keep_action(results, who="a\udc80", what="set x", reason=" why ", old=[1], new=None)

    assert (done.old, done.new, done.reason) == ("[1]", "null", "why")
    with StoreReader(results) as store:
        (kept,) = actions(store)
        view = report_view(store, store.study())

    assert kept[2:] == done[2:]
    assert [row.value for row in view.design if row.name == "Done while it ran"] == [str(kept)]


def test_an_action_is_never_kept_in_a_new_file(results: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no study"):
        keep_action(tmp_path / "elsewhere", who="", what="pause", reason="")

    assert not (tmp_path / "elsewhere").exists()


def test_a_user_without_a_name_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("penstock.store.actions.getuser", unknown)

    assert this_user() == ""
