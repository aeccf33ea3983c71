"""One test for each known defect: the number begins the first line of the test's docstring."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent


def test_every_number_from_d01_to_d52_appears_exactly_once() -> None:
    numbers = Counter(
        number[0]
        for file in HERE.glob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_")
        and (number := re.match(r"D\d\d\b", ast.get_docstring(node) or ""))
    )
    assert numbers == {f"D{number:02}": 1 for number in range(1, 53)}
