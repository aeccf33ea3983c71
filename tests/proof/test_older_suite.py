"""The older runner's own tests, on penstock: what fails is what "Moving over" lists, no more.

The suite is not ours and is not here: ``make older-suite SUITE=FOLDER`` names a checkout of its
repository at release 0.3.0, which is not written to.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytestmark = pytest.mark.skipif(
    "PENSTOCK_OLDER_SUITE" not in os.environ, reason="make older-suite runs it"
)

PAGE = Path(__file__).parents[2] / "docs" / "moving-over.md"
MAPPING = Path(__file__).parent / "older_suite_conftest.py"
TESTS = 102


def listed() -> set[str]:
    section = PAGE.read_text(encoding="utf-8").split("\n## Its own tests\n")[1]
    return set(re.findall(r"`(test_\w+)`", section))


def run(suite: Path) -> tuple[int, set[str]]:
    """Run the tests; return how many there are, and the names of those that do not pass."""
    report = suite / "report.xml"
    command = [sys.executable, "-m", "pytest", "tests", "-q", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [*command, "-p", "no:xdist", "-o", "addopts=", f"--junit-xml={report}"],
        cwd=suite, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert report.exists(), ended.stdout + ended.stderr
    cases = [*ET.parse(report).iter("testcase")]
    bad = [case for case in cases if {child.tag for child in case} & {"failure", "error"}]
    return len(cases), {case.attrib["name"].partition("[")[0] for case in bad}


@pytest.mark.timeout(600)
def test_what_fails_of_the_older_suite_is_what_the_page_lists(tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    # Without its code, so that nothing of it may be found in place of penstock.
    kept_out = shutil.ignore_patterns("src", ".git", ".venv", "__pycache__")
    shutil.copytree(os.environ["PENSTOCK_OLDER_SUITE"], suite, ignore=kept_out)
    shutil.copyfile(MAPPING, suite / "conftest.py")
    assert run(suite) == (TESTS, listed())
