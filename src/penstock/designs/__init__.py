"""Designs: how the levels of factors are combined into conditions (floor 1).

A design is a function from a study and its `DesignSpec` to rows, in a `Design` that says what it
can be told; `DESIGNS` holds those that are built in. Rows are in the order that the design gives
them; the order in which runs are *started* is the study's ``run_order``. What needs scipy, pydoe or
allpairspy imports them when it is built.
"""

from __future__ import annotations

from penstock.designs.aliases import alias_structure
from penstock.designs.describe import describe_design, design_balance_report
from penstock.designs.design import ORDERED, WITH_CENTER, Design
from penstock.designs.fractions import fractional_factorial_2level, plackett_burman
from penstock.designs.optimal import d_efficiency
from penstock.designs.registry import DESIGNS, build_design
from penstock.designs.space import latin_hypercube
from penstock.designs.williams import williams_square
from penstock.study.conditions import DesignRow

__all__ = [
    "DESIGNS",
    "ORDERED",
    "WITH_CENTER",
    "Design",
    "DesignRow",
    "alias_structure",
    "build_design",
    "d_efficiency",
    "describe_design",
    "design_balance_report",
    "fractional_factorial_2level",
    "latin_hypercube",
    "plackett_burman",
    "williams_square",
]
