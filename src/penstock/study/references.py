"""References to Python objects: ``module:attr``, or ``file.py:attr`` beside the study file."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from functools import reduce
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["is_reference", "load_reference", "reference_to"]


def is_reference(text: str) -> bool:
    """Whether a text is written as a reference; nothing is imported."""
    # Python writes functions that were made inside others with `<locals>` in their names.
    return re.fullmatch(r"[^:]+:[A-Za-z_<][\w.<>]*", text) is not None


def reference_to(target: Any) -> str:
    """Write the reference of an object in Python; of an instance, that of its class.

    A function that was made inside another one has a reference too, which cannot be loaded.
    """
    name = getattr(target, "__qualname__", type(target).__qualname__)
    module = getattr(target, "__module__", None) or type(target).__module__
    return f"{module}:{name}"


def load_reference(ref: str, base_dir: Path | None = None) -> Any:
    """Import what a reference names.

    A module that lies in ``base_dir`` comes before an installed one of the same name.

    Raises:
        ImportError: there is no such file or module, or importing it failed.
        AttributeError: the module has no such attribute.
    """
    module_ref, _, attribute = ref.rpartition(":")
    if not module_ref or not attribute:
        raise ImportError(f"{ref!r} is not a reference; write `module:name` or `file.py:name`")

    try:
        module = _load_module(module_ref, base_dir or Path.cwd())
    except ImportError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise ImportError(f"{ref!r} cannot be imported: {kind}: {error}") from error

    if "<" in attribute:
        raise AttributeError(
            f"{ref!r} is a function that was made inside another, or has no name, and cannot be "
            "imported; give the study in Python again"
        )

    try:
        return reduce(getattr, attribute.split("."), module)
    except AttributeError as error:
        raise AttributeError(
            f"{ref!r}: {module.__file__ or module_ref} has no {attribute!r}"
        ) from error


def _load_module(module_ref: str, base_dir: Path) -> ModuleType:
    if module_ref.endswith(".py"):
        return _load_file(base_dir / module_ref)

    beside = base_dir / f"{module_ref}.py"
    return _load_file(beside) if beside.is_file() else importlib.import_module(module_ref)


def _load_file(path: Path) -> ModuleType:
    path = path.resolve()
    # The name must differ between folders and be the same for one file, which is imported once.
    name = f"{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]

    if not path.is_file():
        raise ImportError(f"there is no file {path}")

    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")

    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise

    return module
