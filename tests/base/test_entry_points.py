"""What installed packages register is found by name, and imported only when it is named."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from penstock._base.entry_points import entry_point_names, load_entry_point
from penstock.errors import BindingError
from tests.packages import install_package

GROUP = "penstock.test_agents"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    install_package(
        tmp_path,
        "good-agents",
        entry_points={GROUP: {"solver": "good_agents:solve", "broken": "good_agents:absent"}},
        modules={"good_agents": "def solve(ctx): return 42"},
    )
    return tmp_path


def test_a_name_is_known_before_anything_is_imported(installed: Path) -> None:
    assert entry_point_names(GROUP) == ["broken", "solver"]
    assert "good_agents" not in sys.modules


def test_what_a_name_stands_for_is_imported_when_it_is_asked_for(installed: Path) -> None:
    solve = load_entry_point(GROUP, "solver")
    assert solve is not None
    assert solve(None) == 42


@pytest.mark.usefixtures("installed")
def test_a_name_that_no_package_registers_is_nothing() -> None:
    assert load_entry_point(GROUP, "nobody") is None
    assert load_entry_point("penstock.test_nothing", "solver") is None


@pytest.mark.usefixtures("installed")
def test_what_cannot_be_imported_names_the_package_and_what_it_registered() -> None:
    with pytest.raises(BindingError) as failure:
        load_entry_point(GROUP, "broken")

    assert "'broken' (penstock.test_agents) is registered by good-agents 1.0" in str(failure.value)
    assert "good_agents:absent" in str(failure.value)


def test_two_packages_with_one_name_are_told_apart_by_nobody(installed: Path) -> None:
    install_package(installed, "other-agents", entry_points={GROUP: {"solver": "other:solve"}})
    both = re.escape("good-agents 1.0 as good_agents:solve and other-agents")
    with pytest.raises(BindingError, match=both):
        load_entry_point(GROUP, "solver")


def test_a_package_that_is_installed_twice_alike_is_one(installed: Path) -> None:
    # An editable installation and what is left of an older one.
    install_package(installed / "older", "good-agents", entry_points={GROUP: {"twin": "os:sep"}})
    sys.path.append(str(installed / "older"))
    try:
        install_package(installed, "good-again", entry_points={GROUP: {"twin": "os:sep"}})
        assert load_entry_point(GROUP, "twin") is not None
    finally:
        sys.path.remove(str(installed / "older"))


def test_a_package_that_is_installed_later_is_seen(installed: Path) -> None:
    assert load_entry_point(GROUP, "late") is None
    install_package(installed, "late-agents", entry_points={GROUP: {"late": "os:getcwd"}})
    assert load_entry_point(GROUP, "late") is not None
