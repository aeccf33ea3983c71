"""What is installed is what was tested: the wheel, built and run without the source beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "src" / "penstock"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# Neither the source nor the measuring of coverage may reach what runs from the wheel.
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if name != "PYTHONPATH" and not name.startswith("COVERAGE_")
}


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    ended = subprocess.run(
        command, cwd=cwd, env=CLEAN, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the backend itself: nothing is downloaded."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment that has the wheel, and its dependencies from this one.

    A path in a ``.pth`` file is not searched for others: the editable installation of the source,
    which is such a file itself, is not seen.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    scripts = folder / "bin"
    install = ("install", "--quiet", "--no-deps", "--no-index", wheel)
    run(sys.executable, "-m", "pip", "--python", scripts / "python", *install)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return scripts


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}

    files = (path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert held == {path.relative_to(PACKAGE.parent).as_posix() for path in files}
    assert {"penstock/py.typed", "penstock/__init__.pyi"} <= held


def test_the_wheel_says_what_it_is_and_under_which_licence(wheel: Path) -> None:
    information = f"penstock-{PROJECT['version']}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        metadata = message_from_bytes(archive.read(f"{information}/METADATA"))
        licence = archive.read(f"{information}/licenses/LICENSE").decode()

    assert (metadata["Name"], metadata["Version"]) == ("penstock", PROJECT["version"])
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    assert metadata["License-Expression"] == "MIT"
    assert licence == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert set(metadata.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])


def test_the_command_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    said = run(installed / "penstock", "--version", cwd=tmp_path)
    assert said == f"penstock {PROJECT['version']}\n"


def test_every_public_name_is_found_in_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = "import penstock as ps; [getattr(ps, name) for name in ps.__all__]; print(ps.__file__)"
    said = run(installed / "python", "-c", code, cwd=tmp_path)
    assert Path(said.strip()).is_relative_to(installed.parent), "it is not the source that runs"


def test_the_citation_names_the_version_of_the_package() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {PROJECT['version']}" in citation
