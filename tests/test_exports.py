"""The public names: sorted, importable, and each says what it is."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from typing import Any

import pytest

import penstock
import penstock.errors
import penstock.events
import penstock.results

NAMES = penstock.__all__
CLASSES = [name for name in NAMES if inspect.isclass(getattr(penstock, name))]
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(penstock, name))]


def own_members(cls: type) -> list[tuple[str, Any]]:
    return [
        (name, getattr(member, "fget", None) or getattr(member, "__func__", member))
        for name, member in vars(cls).items()
        if not name.startswith("_")
        and (inspect.isroutine(member) or isinstance(member, (property, classmethod, staticmethod)))
    ]


def test_the_public_names_are_sorted_and_said_once() -> None:
    assert sorted(set(NAMES)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert hasattr(penstock, name)


@pytest.mark.parametrize("name", [*CLASSES, *FUNCTIONS])
def test_every_public_class_and_function_has_a_docstring_of_its_own(name: str) -> None:
    value = getattr(penstock, name)
    docstring = vars(value).get("__doc__") if name in CLASSES else value.__doc__
    assert docstring, f"penstock.{name} has no docstring of its own"


@pytest.mark.parametrize("module", [penstock.errors, penstock.events, penstock.results])
def test_public_names_of_a_module_of_its_own_have_docstrings(module: Any) -> None:
    values = {name: getattr(module, name) for name in module.__all__}
    silent = [
        name
        for name, value in values.items()
        if (inspect.isclass(value) or inspect.isfunction(value)) and not inspect.getdoc(value)
    ]
    assert not silent


def test_no_public_name_is_also_that_of_a_module() -> None:
    """Whoever imported the module first would find it where the name should be."""
    modules = {each.name for each in pkgutil.iter_modules(penstock.__path__)}
    assert not modules & set(NAMES)


def test_a_public_name_means_the_same_wherever_it_is_found() -> None:
    doors = ("agents", "designs", "errors", "evaluators", "events", "options", "replay", "results")
    meanings: dict[str, set[int]] = {name: {id(getattr(penstock, name))} for name in NAMES}
    for door in (*doors, "simulator", "testing"):
        module = importlib.import_module(f"penstock.{door}")
        for name in module.__all__:
            meanings.setdefault(name, set()).add(id(getattr(module, name)))

    assert not [name for name, found in meanings.items() if len(found) > 1]


def test_the_top_holds_what_is_used_daily_and_no_more() -> None:
    assert len(NAMES) <= 40


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_method_says_what_it_does(name: str) -> None:
    silent = [
        member
        for member, function in own_members(getattr(penstock, name))
        if not inspect.getdoc(function)
    ]
    assert not silent, f"penstock.{name}: no docstring on {', '.join(silent)}"


def test_what_the_package_imports_for_itself_is_public_or_a_module() -> None:
    undeclared = {
        name
        for name, value in vars(penstock).items()
        if not name.startswith("_") and name not in NAMES and not inspect.ismodule(value)
    }
    assert not undeclared


def test_a_star_import_gives_the_public_names_and_no_others() -> None:
    namespace: dict[str, Any] = {}
    exec("from penstock import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(NAMES)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, penstock; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"scipy", "pandas", "polars", "statsmodels", "matplotlib", "fastapi", "typer", "pydoe"}
    assert not heavy & set(loaded)
