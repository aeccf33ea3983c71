"""Fingerprints of code: what a function does, told by its source and by what else it names.

Comments, line numbers and layout do not count. What counts is the source of the function, that of
the functions and classes of the same folder that it names, theirs in turn, and the plain values
(numbers, texts, flags) that any of them reads from its module, its closure or its defaults. Code of
installed packages does not count. One function tells it for agents, evaluators and workers alike.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from penstock._base.json import decode
from penstock.study.chat import ChatOptions, Model, spelled_out
from penstock.study.identity import stable_json_dumps
from penstock.study.model_options import OF_THE_CALL

__all__ = ["agent_fingerprint", "code_fingerprint", "edited_parts", "filled_cells"]

_STORES = frozenset({"STORE_GLOBAL", "STORE_DEREF"})
_WRITTEN: dict[tuple[str, int, int, int | str], str] = {}
"""What `_written` has read: by file, its time and size, and where in it the code stands."""

_PLAIN = (str, int, float, complex, bool, bytes, type(None))


def code_fingerprint(target: Any, base_dir: Path | None = None) -> str:
    """Return what tells an edited function from the one before; of an object, that of its class.

    Args:
        target: A function, a class, a bound method, a ``functools.partial``, or an object.
        base_dir: The study's folder; code that lies elsewhere and is only named does not count,
            but for the code of the target's own folder.
    """
    reader = _Reader(target, base_dir)
    reader.read(target)
    return sha256("\n".join(sorted(reader.parts)).encode()).hexdigest()[:16]


def agent_fingerprint(target: Any, base_dir: Path | None, models: Mapping[str, Model]) -> str:
    """Return the fingerprint of an agent's code, and of the models that it asks.

    These are the models of the study that its code names; where it names none, as one that a
    condition chooses, they are all that it could ask.

    Args:
        target: The agent; see `code_fingerprint`.
        base_dir: The study's folder.
        models: The models that the study declares by name.
    """
    code = code_fingerprint(target, base_dir)
    if not models:
        return code

    reader = _Reader(target, base_dir)
    reader.read(target)
    named = [name for name in models if any(repr(name) in part for part in reader.parts)]
    asked = {name: _model_fingerprint(name, models) for name in named or models}
    return f"{code}|{stable_json_dumps(asked)}"


def _model_fingerprint(name: str, models: Mapping[str, Model]) -> str:
    said = spelled_out(ChatOptions(model=name), models)
    kept = {field: value for field, value in said.items() if field not in OF_THE_CALL}
    return sha256(stable_json_dumps(kept).encode()).hexdigest()[:16]


def edited_parts(before: str, now: str) -> list[str]:
    """Name what differs between two fingerprints of an agent: its code, and models by name.

    A model that only one of them knows tells nothing: an older store knows none.
    """
    code_before, _, models_before = before.partition("|")
    code_now, _, models_now = now.partition("|")
    known, today = (decode(said) if said else {} for said in (models_before, models_now))
    changed = [name for name in today if known.get(name, today[name]) != today[name]]
    code = ["its code"] if code_before != code_now else []
    return code + [f"the model {name!r}" for name in changed]


def filled_cells(function: Any) -> dict[str, Any]:
    """Return what a function holds in its closure, by name; what is not yet set is left out."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    held = {}
    for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=False):
        with suppress(ValueError):
            held[name] = cell.cell_contents

    return held


class _Reader:
    """Gathers what the code of a target is made of, each part once."""

    def __init__(self, target: Any, base_dir: Path | None) -> None:
        self.parts: set[str] = set()
        self._seen: set[int] = set()
        found = (base_dir, _folder_of(_code_object(target)))
        self._folders = [folder.resolve() for folder in found if folder is not None]

    def read(self, target: Any) -> None:
        """Add the code of a target, whether it lies in the folder or not."""
        if isinstance(target, functools.partial):
            self._values("partial", enumerate(target.args))
            self._values("partial", target.keywords.items())
            self.read(target.func)
            return

        code = _code_object(target)
        if id(code) in self._seen:
            return

        self._seen.add(id(code))
        if isinstance(code, type):
            self._add(code)
            for member in vars(code).values():
                for function in _functions(member):
                    self._named_in(function)

            for base in code.__bases__:
                self._follow(base)
        elif isinstance(code, FunctionType):
            self._add(code)
            self._named_in(code)

    def _add(self, code: Any) -> None:
        self.parts.add(f"{code.__qualname__}: {_source(code)}")

    def _named_in(self, function: FunctionType) -> None:
        """Follow what a function names: in its module, its closure and its defaults."""
        names, stored = _names(function.__code__)
        known = {name: function.__globals__[name] for name in names if name in function.__globals__}
        known |= filled_cells(function)
        for name, value in known.items():
            if isinstance(value, ModuleType) and self._is_ours(value):
                for attribute in names & vars(value).keys():
                    self._note(function, attribute, vars(value)[attribute])
            elif name not in stored:
                self._note(function, name, value)

        for place, value in enumerate(function.__defaults__ or ()):
            self._note(function, f"default {place}", value)

        for name, value in (function.__kwdefaults__ or {}).items():
            self._note(function, f"default {name}", value)

    def _note(self, function: FunctionType, name: str, value: Any) -> None:
        if _is_plain(value):
            self.parts.add(f"{function.__qualname__} reads {name} = {_text(value)}")
        else:
            self._follow(value)

    def _values(self, where: str, items: Iterable[tuple[object, Any]]) -> None:
        for name, value in items:
            if _is_plain(value):
                self.parts.add(f"{where} {name} = {_text(value)}")
            else:
                self._follow(value)

    def _follow(self, value: Any) -> None:
        """Read what is named, where it is code of the folder."""
        code = _code_object(value)
        if isinstance(value, functools.partial) or self._is_ours(code):
            self.read(value)

    def _is_ours(self, code: Any) -> bool:
        folder = _folder_of(code)
        if folder is None:
            return getattr(code, "__module__", None) == "__main__"

        return "site-packages" not in folder.parts and any(
            folder.is_relative_to(ours) for ours in self._folders
        )


def _code_object(target: Any) -> Any:
    """Find the function or the class that does the work of a target."""
    if isinstance(target, functools.partial):
        return _code_object(target.func)

    if isinstance(target, MethodType):
        owner = target.__self__
        return owner if isinstance(owner, type) else type(owner)

    target = inspect.unwrap(target) if callable(target) else target
    if isinstance(target, (FunctionType, type, ModuleType)):
        return target

    return type(target)


def _folder_of(code: Any) -> Path | None:
    module = code if isinstance(code, ModuleType) else None
    if module is None:
        module = sys.modules.get(getattr(code, "__module__", None) or "")

    file = getattr(module, "__file__", None)
    return None if file is None else _folder(file)


@functools.lru_cache(maxsize=1024)
def _folder(file: str) -> Path:
    return Path(file).resolve().parent


def _functions(member: Any) -> Iterator[FunctionType]:
    """Yield the functions of a member of a class: its own, or those of a property."""
    parts: tuple[Any, ...] = (member,)
    if isinstance(member, property):
        parts = (member.fget, member.fset, member.fdel)
    elif isinstance(member, (staticmethod, classmethod)):
        parts = (member.__func__,)

    for part in parts:
        function = inspect.unwrap(part) if callable(part) else part
        if isinstance(function, FunctionType):
            yield function


def _source(code: FunctionType | type) -> str:
    """Return code without comments and layout; where it has no source, what it compiled to."""
    if "<lambda>" not in code.__qualname__:  # the source of a lambda is the line that it is part of
        try:
            return _written(code)
        except (OSError, TypeError, SyntaxError):
            pass

    if isinstance(code, FunctionType):
        return _compiled(code.__code__)

    compiled = [
        _compiled(each.__code__) for member in vars(code).values() for each in _functions(member)
    ]
    return "".join(compiled)


def _written(code: FunctionType | type) -> str:
    """Return the source of code as its file is now, reading each version of a file once."""
    place = code.__code__.co_firstlineno if isinstance(code, FunctionType) else code.__qualname__
    try:
        file = inspect.getfile(code)
        status = Path(file).stat()
    except OSError:  # a cell of a notebook
        return _normalized(inspect.getsource(code))

    version = (file, status.st_mtime_ns, status.st_size, place)
    if version not in _WRITTEN:
        _WRITTEN[version] = _normalized(inspect.getsource(code))

    return _WRITTEN[version]


def _normalized(source: str) -> str:
    return ast.unparse(ast.parse(textwrap.dedent(source)))


def _compiled(code: CodeType) -> str:
    consts = [
        _compiled(each) if isinstance(each, CodeType) else _text(each) for each in code.co_consts
    ]
    return f"{code.co_code.hex()} {consts} {code.co_names} {code.co_varnames} {code.co_freevars}"


@functools.lru_cache(maxsize=4096)
def _names(code: CodeType) -> tuple[set[str], set[str]]:
    """Return the names that code reads, and those of its module that it also sets."""
    import dis  # noqa: PLC0415 - only where code is looked at

    names = set(code.co_names) | set(code.co_freevars)
    stored = {each.argval for each in dis.get_instructions(code) if each.opname in _STORES}
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            more, also_stored = _names(inner)
            names |= more
            stored |= also_stored

    return names, stored


def _text(value: Any) -> str:
    """Write a plain value; sets in an order, which Python chooses anew in each process."""
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(_text, value)))}}}"

    return f"({', '.join(map(_text, value))})" if isinstance(value, tuple) else repr(value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, frozenset)):
        return all(map(_is_plain, value))

    return type(value) in _PLAIN
