"""Study files: reading ``study.yaml`` or ``.json`` into a `Study`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pydantic
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.resolver import VersionedResolver

from penstock._base.byte_order_marks import decoded
from penstock._base.parsing import read_json
from penstock._base.pydantic_errors import sentences_of
from penstock._base.suggestions import did_you_mean
from penstock.errors import StudyFileError
from penstock.study.legacy import drop_legacy_keys
from penstock.study.model import Study
from penstock.study.paths import misleading_paths
from penstock.study.problem_files import ProblemFile, find_problems, misplaced_file, read_problems

__all__ = ["load_study", "read_mapping"]


def load_study(path: Path | str, *, check_output_dir: bool = True) -> Study:
    """Read a study from a ``.yaml``, ``.yml`` or ``.json`` file.

    The file is read as YAML 1.2, where ``no`` and ``off`` are texts; so are dates, ``0x10`` and
    ``1e-3``: a number is decimal, and has a dot where it has an exponent (``1.0e-3``). Paths in
    the file are relative to its folder and stay inside it, or absolute.

    Args:
        path: The file.
        check_output_dir: Whether its ``output_dir`` must make sense; it need not where results
            go elsewhere (``run_study(study, output_dir=...)``).

    Raises:
        StudyFileError: everything that is wrong with the file, each with its path in the file
            and, for a name that is not known, the likely meant one.
    """
    path = Path(path).absolute()
    payload = read_mapping(path)
    for key in [key for key in payload if str(key).startswith("x-")]:
        del payload[key]  # where a file keeps what its YAML anchors name

    errors: list[str] = drop_legacy_keys(payload)
    for_python = (key for key in ("base_dir", "study_file") if payload.pop(key, None) is not None)
    errors += (f"{key}: unknown key" for key in for_python)
    errors += misleading_paths(payload, ignored=() if check_output_dir else ("output_dir",))
    if "problems" in payload:
        errors += _read_problems(payload, path.parent)

    try:
        study = Study.model_validate({**payload, "base_dir": path.parent, "study_file": path})
    except pydantic.ValidationError as error:
        errors += sentences_of(error, Study)

    if errors:
        raise StudyFileError(path, errors)

    return study


def _read_problems(payload: dict[str, Any], folder: Path) -> list[str]:
    """Put the problems of a file in the place of what names it; return what is wrong with it."""
    named = payload["problems"]
    errors = []
    if file := misplaced_file(named):
        got = "" if isinstance(named, list) else f" (got {named!r})"
        errors = [f"problems: must be a list{got}; a file of problems is `{{file: {file}}}`"]
    elif isinstance(named, dict):
        try:
            source = ProblemFile.model_validate(named)
            payload["problems"] = read_problems(folder / find_problems(source), source)
        except pydantic.ValidationError as error:
            errors = list(sentences_of(error, ProblemFile, "problems"))
        except FileNotFoundError as error:
            errors = [f"problems: {_no_file(Path(error.filename or source.file))}"]
        except (OSError, ValueError) as error:
            errors = [f"problems: {error}"]

    if errors:
        del payload["problems"]

    return errors


_WORDS: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
"""First character -> the kinds of plain word that are not text, as YAML 1.1 and 1.2 agree on them.

What PyYAML writes without quotes because YAML 1.1 takes it for text stays text, ``1e-3`` and
``089`` among it: the ids of a study must not depend on who wrote the file.
"""

for _tag, _pattern, _first in (
    ("null", r"|~|null|Null|NULL", ("", *"~nN")),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("merge", r"<<", "<"),
):
    for _character in _first:
        _words = _WORDS.setdefault(_character, [])
        _words.append((f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z")))


class _Resolver(VersionedResolver):
    versioned_resolver = _WORDS


_MOST_MERGED = 10_000


class _Constructor(SafeConstructor):
    """Takes a ``<<`` that is not a key for text, and merges no more keys than a study can have."""

    def flatten_mapping(self, node: Any) -> Any:
        merged = super().flatten_mapping(node)
        if len(node.value) > _MOST_MERGED:
            raise ValueError(f"its merge keys (<<) stand for more than {_MOST_MERGED:,} keys")

        return merged


_Constructor.add_constructor("tag:yaml.org,2002:merge", SafeConstructor.construct_yaml_str)


class _Yaml(YAML):
    def __init__(self) -> None:
        super().__init__(typ="safe", pure=True)
        self.Resolver = _Resolver
        self.Constructor = _Constructor


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a ``.yaml``, ``.yml`` or ``.json`` file as `load_study` does, as plain values.

    Raises:
        StudyFileError: it cannot be read, or holds no mapping.
    """
    if path.suffix.lower() not in {".yaml", ".yml", ".json"}:
        raise StudyFileError(path, ["Study file must end with .yaml/.yml or .json."])

    try:
        text = decoded(path.read_bytes())
        payload = read_json(text) if path.suffix.lower() == ".json" else _Yaml().load(text)
        _refuse_bombs(payload)
    except OSError as error:
        raise StudyFileError(path, [f"cannot be read: {error.strerror}"]) from error
    except DuplicateKeyError as error:
        raise StudyFileError(path, [_said_twice(error)]) from error
    except YAMLError as error:
        raise StudyFileError(path, [f"is not YAML: {' '.join(str(error).split())}"]) from error
    except ValueError as error:
        raise StudyFileError(path, [f"cannot be read: {error}"]) from error
    except RecursionError:
        raise StudyFileError(path, ["is nested too deep"]) from None

    if not isinstance(payload, dict):
        raise StudyFileError(path, ["holds no study: its top must be a mapping (`study_id: ...`)"])

    return payload


def _no_file(path: Path) -> str:
    """Describe that there is no such file, and which one beside it may be meant."""
    near = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"there is no file {path}{did_you_mean(path.name, near)}"


_SAID_TWICE = re.compile(r'found duplicate key "(.+?)" with value .*original value', re.DOTALL)


def _said_twice(error: DuplicateKeyError) -> str:
    """Describe which key stands twice in a mapping, and where."""
    named = _SAID_TWICE.search(str(error))
    mark = error.problem_mark
    where = f" stands a second time in line {mark.line + 1}" if mark is not None else ""
    key = f"`{named[1]}`" if named else "one of its keys"
    return f"is not YAML: duplicate key: {key}{where}; keep one of them"


_MOST_VALUES = 10_000_000
"""A few lines of YAML can name a value that is larger than any memory, by aliases of aliases."""


def _refuse_bombs(payload: Any) -> None:
    sizes: dict[int, int] = {}

    def size(value: Any) -> int:
        if not isinstance(value, (dict, list)):
            return 1

        if (known := sizes.get(id(value))) is not None:
            return known

        sizes[id(value)] = _MOST_VALUES  # until it is known: one that holds itself has no end
        sizes[id(value)] = sum(map(size, value.values() if isinstance(value, dict) else value)) + 1
        return sizes[id(value)]

    if size(payload) > _MOST_VALUES:
        raise ValueError(
            f"its aliases stand for more than {_MOST_VALUES:,} values, or for themselves"
        )
