"""Maps the import name of the older runner onto `penstock.compat`, for its own tests.

`test_older_suite` copies this file into the suite as its ``conftest.py``. A name that penstock
lacks is there and raises when it is used, so that every test is collected and fails alone.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any, NoReturn

import penstock.compat
import penstock.designs
import penstock.errors
import penstock.results
import penstock.study.factors
import penstock.study.hypotheses
import penstock.study.identity

OLDER = "design_research_experiments"
MODULES = (
    *("study", "conditions", "designs", "hypotheses", "bundles", "schemas", "recipes", "reporting"),
    *("runners", "artifacts", "metrics", "cli", "io", "adapters"),
    *("io.csv_io", "io.json_io", "io.sqlite_io", "io.yaml_io"),
    *("adapters.agents", "adapters.problems", "adapters.analysis"),
)
IMPORTED = {"importlib": importlib, "sys": sys}
"""Modules of the standard library that its tests reach, and patch, through its own."""

PLACES = (
    penstock.compat,
    penstock,
    *(penstock.designs, penstock.errors, penstock.results),
    *(penstock.study.identity, penstock.study.factors, penstock.study.hypotheses),
)


class MissingError(Exception):
    """A name that penstock does not have."""


class Older(types.ModuleType):
    """One module of the older runner."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__all__", "__version__"):
            raise AttributeError(name)

        full = f"{self.__name__}.{name}"
        if full in sys.modules:
            return sys.modules[full]

        if name in IMPORTED:
            return IMPORTED[name]

        for place in PLACES:
            if hasattr(place, name):
                return getattr(place, name)

        return missing(full)


def missing(name: str) -> type:
    class Meta(type):
        def __getattr__(cls, attribute: str) -> NoReturn:
            if attribute.startswith("__"):
                raise AttributeError(attribute)

            raise MissingError(f"{name}.{attribute}")

    class Missing(metaclass=Meta):
        def __init__(self, *_: Any, **__: Any) -> None:
            raise MissingError(name)

    return Missing


for module in ("", *MODULES):
    full_name = f"{OLDER}.{module}".rstrip(".")
    sys.modules[full_name] = Older(full_name)
