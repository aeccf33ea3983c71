"""Studies whose every number was computed in R and again in Python, by others.

They lie beside the project where its authors work; set REFERENCE_STUDIES to their folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import penstock as ps

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("REFERENCE_STUDIES", ROOT.parent / "shared" / "stats"))
MAPPING = Path(__file__).parent / "mapping.txt"
OTHERWISE = {
    # The factor has four levels, so its effect is a test of all of them, not a difference.
    "s4_three_hypotheses": (
        "effect.{e}.p ",
        [
            f'outcomes.score.factors["{{e}}"].{ours} = effect.{{e}}.{theirs}'
            for ours, theirs in (("f", "F"), ("df1", "df1"), ("df2", "df2"), ("p", "p"))
        ],
    ),
    # Where problems do not differ each counts once: `wilson_by_problem` there, not `wilson`.
    "s8b_constant": (".wilson.", []),
}
"""Study -> quantities that stand elsewhere, and where."""

STUDIES = sorted(path.name for path in (FOLDER / "studies").glob("*")) or ["none"]


@pytest.mark.parametrize("name", STUDIES)
def test_every_number_of_a_reference_study_is_right(tmp_path: Path, name: str) -> None:
    if not FOLDER.is_dir():
        pytest.skip(f"no reference studies in {FOLDER}: set REFERENCE_STUDIES to their folder")

    source = FOLDER / "studies" / name
    for file in ("study.yaml", "agents.py", "table.csv"):
        shutil.copyfile(source / file, tmp_path / file)

    results = ps.run_study(ps.load_study(tmp_path / "study.yaml"), report=False)
    (tmp_path / "analysis.json").write_text(results.analyze().model_dump_json())
    dropped, added = OTHERWISE.get(name, ("no quantity", []))
    kept = [
        line
        for line in MAPPING.read_text().splitlines()
        if dropped not in f"{line.rpartition(' = ')[2]} "
    ]
    (tmp_path / "mapping.txt").write_text("\n".join([*kept, *added]))
    checked = subprocess.run(
        [
            sys.executable,
            FOLDER / "check.py",
            tmp_path / "analysis.json",
            tmp_path / "mapping.txt",
            source / "expected.json",
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout
    assert " 0 differ" in checked.stdout
