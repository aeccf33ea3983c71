from __future__ import annotations

import functools
import inspect
import sys
from pathlib import Path
from typing import Any

import pytest

from penstock.study.fingerprints import code_fingerprint
from penstock.study.references import load_reference

BASE = """\
import math

LIMIT = 3
CALLS = []


def helper(answer):
    return len(answer) > LIMIT


def unused(answer):
    return 0


class Scorer:
    weight = 1

    def __call__(self, answer):
        return self.weight * helper(answer)


def score(answer):
    CALLS.append(answer)
    return math.sqrt(helper(answer))


named = lambda answer: helper(answer)
"""


def prints(folder: Path, text: str, name: str = "score") -> str:
    (folder / "mine.py").write_text(text)
    return code_fingerprint(load_reference(f"mine.py:{name}", folder), folder)


@pytest.mark.parametrize("name", ["score", "Scorer", "named"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    return len(answer)", "    # a comment\n\n    return len( answer )"),
        ("import math\n", "import math\n\n\n# moved down\n"),
        ("return 0", "return 1"),
        ("CALLS = []", "CALLS = [1]"),
    ],
)
def test_what_changes_nothing_changes_no_fingerprint(
    tmp_path: Path, name: str, old: str, new: str
) -> None:
    assert old in BASE
    assert prints(tmp_path, BASE, name) == prints(tmp_path, BASE.replace(old, new), name)


@pytest.mark.parametrize("name", ["score", "Scorer", "named"])
@pytest.mark.parametrize(
    ("old", "new"), [("len(answer) >", "len(answer) >="), ("LIMIT = 3", "LIMIT = 4")]
)
def test_what_a_function_names_counts_however_far_it_is(
    tmp_path: Path, name: str, old: str, new: str
) -> None:
    assert prints(tmp_path, BASE, name) != prints(tmp_path, BASE.replace(old, new), name)


def test_code_of_another_file_of_the_folder_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "import near_by\n\ndef score(answer):\n    return near_by.rule(answer)\n"

    def printed(rule: str) -> str:
        sys.modules.pop("near_by", None)
        (tmp_path / "near_by.py").write_text(f"def rule(answer):\n    return {rule}\n")
        (tmp_path / "mine.py").write_text(f"{text}# {rule}\n")
        target = load_reference("mine.py:score", tmp_path)
        return code_fingerprint(target, tmp_path)

    assert printed("1") != printed("len(answer)")
    sys.modules.pop("near_by")


def made(limit: float, step: Any = None) -> Any:
    def score(answer: str) -> float:
        return len(answer) * limit + (step(answer) if step else 0)

    return score


def counting() -> Any:
    count = 0

    def score(answer: str) -> int:
        nonlocal count
        count += 1
        return count

    return score


def one(answer: str) -> int:
    return 1


def two(answer: str) -> int:
    return 2


def test_what_a_closure_a_partial_or_a_default_holds_counts() -> None:
    alike = [code_fingerprint(made(2)), code_fingerprint(made(2))]
    others = [code_fingerprint(made(3)), code_fingerprint(made(2, one))]
    others += [code_fingerprint(made(2, two)), code_fingerprint(functools.partial(made, 2))]
    others += [code_fingerprint(functools.partial(made, 3))]
    assert len({*alike}) == 1
    assert len({*alike, *others}) == 6


def test_what_a_function_counts_itself_does_not_count() -> None:
    score = counting()
    before = code_fingerprint(score)
    score("x")
    assert code_fingerprint(score) == before


def test_each_version_of_a_file_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def getsource(code: Any) -> str:
        read.append(code.__qualname__)
        return source_of(code)

    source_of = inspect.getsource
    monkeypatch.setattr(inspect, "getsource", getsource)
    first = prints(tmp_path, BASE)
    assert sorted(read) == ["helper", "score"]
    assert (prints(tmp_path, BASE), len(read)) == (first, 4)  # it was written again

    score = load_reference("mine.py:score", tmp_path)
    assert (code_fingerprint(score, tmp_path), len(read)) == (first, 4)


def test_code_without_source_has_a_fingerprint() -> None:
    def compiled(body: str) -> Any:
        names: dict[str, Any] = {}
        exec(f"def score(answer):\n    return {body}", names)
        return names["score"]

    assert code_fingerprint(compiled("1")) == code_fingerprint(compiled("1"))
    assert code_fingerprint(compiled("1")) != code_fingerprint(compiled("2"))


@pytest.mark.parametrize("target", [len, print, object(), 3])
def test_what_has_no_code_of_ours_has_one_too(target: Any) -> None:
    assert code_fingerprint(target) == code_fingerprint(target)
