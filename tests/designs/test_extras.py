"""The heavy libraries are loaded when a design asks for them, and missed with good advice."""

from __future__ import annotations

import subprocess
import sys

import pytest

import penstock as ps
from penstock._base.extras import load_extra
from penstock.designs.design_rows import numpy_generator
from penstock.errors import ValidationError
from penstock.study.policies import DesignSpec
from tests.designs.studies import study_of


@pytest.mark.parametrize(
    ("module", "spec"),
    [
        ("scipy.stats.qmc", {"kind": "sobol", "n_samples": 4}),
        ("scipy.stats.qmc", {"kind": "lhs", "n_samples": 4, "options": {"strength": 2}}),
        ("pydoe", {"kind": "plackett_burman"}),
        ("pydoe", {"kind": "frac2", "options": {"resolution": "IV"}}),
        ("pydoe", {"kind": "definitive_screening"}),
        ("allpairspy", {"kind": "pairwise"}),
    ],
)
def test_a_library_that_is_not_installed_is_named_with_how_to_install_it(
    module: str, spec: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(ValidationError) as caught:
        ps.build_design(study_of({name: [0, 1] for name in "abc"}), DesignSpec(**spec))

    assert module.partition(".")[0] in str(caught.value)
    assert "pip install 'penstock[designs]'" in str(caught.value)


def test_importing_the_package_loads_none_of_them() -> None:
    code = (
        "import sys, penstock, penstock.designs, penstock.planning.estimability\n"
        "print([name for name in ('scipy', 'pydoe', 'allpairspy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_a_library_is_given_as_it_is() -> None:
    assert load_extra("json", extra="designs", what="nothing").dumps([1]) == "[1]"


def test_a_negative_seed_is_a_seed() -> None:
    assert numpy_generator(-1).random() == numpy_generator(-1).random()
