from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import StoreError
from penstock.planning.plan import Plan
from penstock.results import RunStage, RunStatus
from penstock.store.continuing.peek import peek
from penstock.store.continuing.restored import Restored
from penstock.store.files.opening import open_store
from penstock.store.schema import SCHEMA_VERSION
from tests.builders import make_error, make_plan, make_result

pytestmark = pytest.mark.anyio


async def begin(directory: Path, plan: Plan, **options: Any) -> Restored:
    async with open_store(directory) as store:
        left = await store.begin(plan, **options)
        await store.end("complete")

    return left


async def save(directory: Path, plan: Plan, **results: Any) -> None:
    """Save a result at each position; ``at_2="failed"`` says how it ended."""
    errors = {"failed": make_error(), "unscored": make_error(stage=RunStage.EVALUATOR)}
    async with open_store(directory) as store:
        await store.begin(plan)
        made = []
        for place, ending in results.items():
            spec = plan[int(place.removeprefix("at_"))]
            fields: dict[str, Any] = {"status": RunStatus.SKIPPED} if ending == "skipped" else {}
            made.append((make_result(spec, error=errors.get(ending), **fields), True))

        await store.save(made)
        await store.end("complete")


def empty_store(directory: Path) -> None:
    with closing(sqlite3.connect(directory / "empty.sqlite")) as empty:
        empty.execute("PRAGMA user_version = 1")

    (directory / "empty.sqlite").replace(directory / "study.sqlite")


@pytest.mark.parametrize("is_there", [True, False])
def test_a_directory_where_nothing_was_run_holds_nothing(tmp_path: Path, is_there: bool) -> None:
    directory = tmp_path if is_there else tmp_path / "nothing"
    assert peek(directory, make_plan()) == Restored.nothing(2)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("has_tables", [True, False])
async def test_a_store_that_was_made_and_never_begun_holds_nothing(
    tmp_path: Path, has_tables: bool
) -> None:
    if has_tables:
        async with open_store(tmp_path):
            pass
    else:
        empty_store(tmp_path)

    assert peek(tmp_path, make_plan()).kept == 0


endings = st.sampled_from(["success", "failed", "skipped", "unscored"])


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    before=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True),
    now=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True),
    ended=st.lists(endings, max_size=6),
    rescore=st.booleans(),
)
async def test_it_finds_what_a_session_finds_whatever_changed_in_the_plan(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[str],
    now: list[str],
    ended: list[str],
    rescore: bool,
) -> None:
    directory = tmp_path_factory.mktemp("results")
    at = {f"at_{i}": ending for i, ending in enumerate(ended[: len(before)])}
    await save(directory, make_plan(before), **at)

    kept = (directory / "study.sqlite").read_bytes()
    found = peek(directory, make_plan(now), rescore=rescore)

    assert (directory / "study.sqlite").read_bytes() == kept
    assert found == await begin(directory, make_plan(now), rescore=rescore)


def without_store(directory: Path) -> None:
    (directory / "manifest.json").write_text("{}")
    (directory / "study.sqlite").unlink()


def emptied(directory: Path) -> None:
    empty_store(directory)
    (directory / ".started").write_bytes((1).to_bytes(8, "little") + (7).to_bytes(8, "little"))


def older_copy(directory: Path) -> None:
    (directory / ".started").write_bytes((9).to_bytes(8, "little") + (7).to_bytes(8, "little"))


def newer_layout(directory: Path) -> None:
    with closing(sqlite3.connect(directory / "study.sqlite")) as store:
        store.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


def untouched(_: Path) -> None:
    pass


other_problem = (ps.Problem(problem_id="p1", brief="What is 7 x 7?"),)


@pytest.mark.field("studies-N11")
@pytest.mark.parametrize(
    ("spoil", "changes"),
    [
        (untouched, {"study_id": "another"}),
        (untouched, {"base_seed": 9}),
        (untouched, {"problems": other_problem}),
        (untouched, {"agents": {"agent-a": "other.py:agent"}}),
        (without_store, {}),
        (emptied, {}),
        (older_copy, {}),
        (newer_layout, {}),
    ],
)
async def test_it_refuses_what_a_session_refuses_in_the_same_words(
    tmp_path: Path, spoil: Callable[[Path], None], changes: dict[str, Any]
) -> None:
    directory = tmp_path / "results"
    agents = {"agent-a": "agents.py:agent"}
    await save(directory, make_plan(agents=agents), at_0="success")
    spoil(directory)
    plan = make_plan(**{"agents": agents, **changes})
    with pytest.raises(StoreError) as looked:
        peek(directory, plan)

    copy = shutil.copytree(directory, tmp_path / "copy")
    shutil.rmtree(directory)
    shutil.move(copy, directory)
    with pytest.raises(StoreError) as refused:
        await begin(directory, plan)

    assert str(looked.value) == str(refused.value)


async def test_a_file_that_is_not_a_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.sqlite").write_bytes(b"something else, and long enough" * 40)
    with pytest.raises(StoreError, match=r"study\.sqlite cannot be read"):
        peek(tmp_path, make_plan())
