"""References to Python objects: ``module:attr``, or ``file.py:attr`` beside the study file."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from hashlib import sha256
from importlib.abc import SourceLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from penstock._base.suggestions import did_you_mean

__all__ = ["is_reference", "load_reference", "reference_to"]


def is_reference(text: str) -> bool:
    """Return whether a text is written as a reference; nothing is imported."""
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
            f"{did_you_mean(attribute, _public_names(module))}"
        ) from error


def _load_module(module_ref: str, base_dir: Path) -> ModuleType:
    if module_ref.endswith(".py"):
        return _load_file(base_dir / module_ref)

    beside = base_dir / f"{module_ref}.py"
    return _load_file(beside) if beside.is_file() else importlib.import_module(module_ref)


def _load_file(path: Path) -> ModuleType:
    path = path.resolve()
    # The name must differ between folders and be the same for one file, which is imported once,
    # and again when it was edited: a notebook must not go on with the code of before.
    name = f"{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    known = sys.modules.get(name)
    if not path.is_file():
        if known is not None:
            return known

        raise ImportError(f"there is no file {path}")

    source = path.read_bytes()
    if known is not None and getattr(known, _SOURCE, source) == source:
        return known

    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or not isinstance(spec.loader, SourceLoader):
        raise ImportError(f"{path} is not a Python file")

    module = importlib.util.module_from_spec(spec)
    setattr(module, _SOURCE, source)
    sys.modules[name] = module
    try:
        with _importing_beside(path.parent):
            # Not through the loader, whose cache cannot tell edits within one second.
            exec(spec.loader.source_to_code(source, str(path)), module.__dict__)  # noqa: S102
    except BaseException:
        del sys.modules[name]
        raise

    return module


_SOURCE = "__penstock_source__"


@contextmanager
def _importing_beside(folder: Path) -> Iterator[None]:
    """Allow a file to import what lies beside it, as from the command line.

    Where the folder is not on the path anyway, what is imported from it is forgotten afterwards:
    in another study's folder the same name is another module.
    """
    if str(folder) in sys.path:
        yield
        return

    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            is_file_of_ours = hasattr(sys.modules[name], _SOURCE)
            if file and not is_file_of_ours and Path(file).is_relative_to(folder):
                del sys.modules[name]


def _public_names(module: ModuleType) -> list[str]:
    return [name for name in vars(module) if not name.startswith("_")]
