"""A study that lies where nobody may write: an archive, a mount, a colleague's folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import penstock as ps
from penstock.store.files.opening import open_store
from tests.builders import make_plan, make_result, make_study

# Root may write everywhere: it gives that up.
WITHOUT_RIGHTS = (
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
)


@pytest.mark.field("studies-B5")
@pytest.mark.parametrize("command", [["status"], ["doctor"], ["export", "--to", "there"]])
def test_a_study_in_a_directory_that_cannot_be_written_can_be_read(
    command: list[str], tmp_path: Path
) -> None:
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root writes everywhere, and setpriv is not installed")

    results = tmp_path / "results"
    ps.run_study(
        make_study(("a",)), agent_bindings={"agent-a": lambda ctx: "42"}, output_dir=results
    )

    done = ask_without_rights(results, *command)

    assert done.returncode == 0, done.stderr


@pytest.mark.field("studies-B5")
@pytest.mark.anyio
async def test_of_a_killed_study_in_an_archive_all_is_read_that_its_log_holds(
    tmp_path: Path,
) -> None:
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root writes everywhere, and setpriv is not installed")

    results, archive = tmp_path / "results", tmp_path / "archive"
    archive.mkdir()
    plan = make_plan()
    async with open_store(results) as store:
        await store.begin(plan)
        await store.save([(make_result(spec), True) for spec in plan])
        for name in ("study.sqlite", "study.sqlite-wal", ".started"):
            shutil.copy(results / name, archive)

    assert (archive / "study.sqlite-wal").stat().st_size > 0
    done = ask_without_rights(archive, "status", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["succeeded"] == 2
    assert sorted(path.name for path in archive.iterdir()) == [
        ".started",
        "study.sqlite",
        "study.sqlite-wal",
    ]


def ask_without_rights(directory: Path, verb: str, *rest: str) -> subprocess.CompletedProcess[str]:
    """Ask about a directory in which nobody may write."""
    for path in (*directory.rglob("*"), directory):
        path.chmod(path.stat().st_mode & ~0o222)

    asked = [str(Path(sys.executable).with_name("penstock")), verb, str(directory), *rest]
    before = WITHOUT_RIGHTS if os.geteuid() == 0 else ()
    return subprocess.run(
        [*before, *asked], check=False, cwd=directory.parent, capture_output=True, text=True
    )


@pytest.mark.field("studies-SEC12")
def test_what_a_study_keeps_is_as_private_as_its_directory(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir(mode=0o700)
    study = make_study(("a",), evaluators=["exact"])
    looked_at: list[str] = []

    def look(ctx: ps.RunContext) -> str:  # while the log of the store is there
        looked_at.extend(path.name for path in results.iterdir() if path.stat().st_mode & 0o077)
        return "42"

    ps.run_study(study, agent_bindings={"agent-a": look}, output_dir=results, report=False)
    open_to_others = [path for path in results.rglob("*") if path.stat().st_mode & 0o066]

    found = {*looked_at, *(path.name for path in open_to_others)}
    assert found <= {".lock", ".started"}
