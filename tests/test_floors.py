"""The house has floors: a module imports from its own floor and below, never from above."""

from __future__ import annotations

import ast
import functools
import re
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import penstock

ROOT = Path(penstock.__file__).parent
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40
TOLERANCE = 1.1  # "about"

# Files beside the rooms; a room says its floor in the docstring of its ``__init__.py``.
FLOORS_OF_FILES = {
    "__init__": 6,
    "__main__": 7,
    "errors": 0,
    "hooks": 6,
    "options": 6,
    "replay": 6,
    "results": 1,
    "run": 6,
    "runner": 6,
    "study_result": 6,
    "summary": 1,
    "testing": 7,
}
LISTED = re.compile(r"^ *([a-z_]+)/?  +\S", re.MULTILINE)
FLOOR = re.compile(r"\(floor (\d)\)\.")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts if parts == ("__init__",) or parts[-1] != "__init__" else parts[:-1])


TEMPLATES = ROOT / "cli" / "templates"
"""Studies that `penstock init` copies; no part of the house."""

PATHS = {
    module_name(path): path for path in sorted(ROOT.rglob("*.py")) if TEMPLATES not in path.parents
}


@functools.cache
def tree(module: str) -> ast.Module:
    return ast.parse(PATHS[module].read_text(encoding="utf-8"))


def floor_of(module: str) -> int | None:
    top = module.split(".", maxsplit=1)[0]
    if top in FLOORS_OF_FILES:
        return FLOORS_OF_FILES[top]

    said = FLOOR.search((ast.get_docstring(tree(top)) or "").partition("\n\n")[0])
    return int(said[1]) if said else None


def imported_names(module: str) -> Iterator[str]:
    """List what a module imports, inside its functions as well, as absolute dotted names."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@functools.cache
def imported_modules(module: str) -> set[str]:
    """List the modules of ours that a module imports: the longest known part of each name."""
    found = set()
    for name in imported_names(module):
        package, _, rest = name.partition(".")
        if package != "penstock":
            continue

        parts = rest.split(".") if rest else []
        known = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
        found.add(next((other for other in known if other in PATHS), "__init__"))

    return found


def test_every_module_lives_on_a_floor() -> None:
    nowhere = [module for module in PATHS if floor_of(module) is None]
    assert not nowhere, "on no floor, as their rooms' docstrings say none, as in (floor 4)"


def test_a_module_imports_from_its_own_floor_and_below() -> None:
    above = [
        f"{module} (floor {floor_of(module)}) imports {other} (floor {floor_of(other)})"
        for module in PATHS
        for other in sorted(imported_modules(module))
        if (floor_of(other) or 0) > (floor_of(module) or 0)
    ]
    assert not above, "imports from above:\n" + "\n".join(above)


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: imported_modules(name) - {name} for name in PATHS}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' -> '.join(error.args[1])}")

    assert set(order) == set(PATHS)


def test_only_the_scheduler_the_loop_and_the_isolation_of_runs_import_asyncio() -> None:
    users = {
        name
        for name in PATHS
        if any(used.partition(".")[0] == "asyncio" for used in imported_names(name))
    }
    allowed = {"_base.loop", "agents.isolation", "running.scheduler"}
    assert users <= allowed, f"anyio is the house's way, also in {users - allowed}"


def test_the_scheduler_knows_neither_store_nor_events() -> None:
    known = imported_modules("running.scheduler")
    assert not {name for name in known if floor_of(name) in {3, 5}}


def test_subscribers_do_not_know_each_other() -> None:
    subscribers = {f"subscribers.{name}" for name in ("checkpoint", "export", "log", "progress")}
    for name in subscribers:
        others = imported_modules(name) & subscribers - {name}
        assert not others, f"{name} imports {others}"


def test_no_other_room_imports_the_older_names() -> None:
    users = {
        name
        for name in PATHS
        if not is_in("compat", name)
        and any(is_in("compat", used) for used in imported_modules(name))
    }
    assert not users, f"compat is reached through entry points alone, not from {users}"


def test_what_a_room_lists_is_in_it() -> None:
    gone = {
        f"{module}: {name}"
        for module, path in PATHS.items()
        if path.name == "__init__.py"
        for name in LISTED.findall(ast.get_docstring(tree(module)) or "")
        if not ((path.parent / name).is_dir() or (path.parent / f"{name}.py").exists())
    }
    assert not gone, f"the docstrings of rooms list what is not there: {', '.join(sorted(gone))}"


def test_each_file_has_a_name_of_its_own() -> None:
    """But for those of the command line, which are named by the command."""
    names = Counter(
        path.name
        for module, path in PATHS.items()
        if path.name != "__init__.py" and not module.startswith("cli.")
    )

    assert not [name for name, count in names.items() if count > 1]


def test_nothing_imports_what_third_parties_test_with() -> None:
    users = {name for name in PATHS if "testing" in imported_modules(name)}
    assert not users, f"penstock.testing is for third parties, and imported by {users}"


def is_in(room: str, module: str) -> bool:
    return module.partition(".")[0] == room


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count a function's lines without docstring and signature (options stand one a line)."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_file_is_longer_than_a_reader_likes() -> None:
    lines = {path: path.read_text(encoding="utf-8").count("\n") for path in PATHS.values()}
    long = [f"{path}: {n} lines" for path, n in lines.items() if n > MAX_FILE_LINES * TOLERANCE]
    assert not long, f"split these at about {MAX_FILE_LINES} lines:\n" + "\n".join(long)


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{path}:{node.lineno} {node.name} has {lines} lines"
        for module, path in PATHS.items()
        for node in ast.walk(tree(module))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (lines := body_lines(node)) > MAX_FUNCTION_LINES * TOLERANCE
    ]
    assert not long, f"split these at about {MAX_FUNCTION_LINES} lines:\n" + "\n".join(long)
