"""The data of recipes and bundles: YAML files in the folder ``data``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from penstock.study.files import read_mapping

__all__ = ["read_data"]

_FOLDER = Path(__file__).parent / "data"


def read_data(name: str) -> dict[str, Any]:
    """Read one of the files, anew each time: whoever reads it may change what they get."""
    return read_mapping(_FOLDER / f"{name}.yaml")
