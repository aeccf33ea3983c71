from __future__ import annotations

import ast
import json
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKER = runpy.run_path(str(ROOT / "docs" / "make_reliability.py"))
PROVED = json.loads((ROOT / "docs" / "reliability.json").read_text("utf-8"))
SOAKED = json.loads((ROOT / "docs" / "soak.json").read_text("utf-8"))


def test_the_page_on_reliability_says_what_the_tests_have_proved() -> None:
    assert (ROOT / "docs" / "reliability.md").read_text("utf-8") == MAKER["page"](PROVED, SOAKED)


def test_nothing_grows_in_the_soak_that_the_page_tells_of() -> None:
    assert SOAKED["minutes"] >= 20
    assert [SOAKED[f"{name}_left"] for name in ("files", "threads", "tasks")] == [0, 0, 0]
    assert SOAKED["blocks_per_run"] < 0.5
    assert SOAKED["memory_bytes_per_run"] < 16


def test_every_test_that_the_page_names_is_there() -> None:
    for each in PROVED:
        file, _, name = each["test"].partition("::")
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, FUNCTIONS)}, each


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def test_at_least_a_hundred_kills_are_behind_it() -> None:
    kills = [each["figure"] for each in PROVED if each["fault"].startswith("kill -9")]
    assert sum(int(figure.split()[0]) for figure in kills) >= 100
