"""The study as one value: what follows from what is declared, and what it is written as."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pydantic
import pytest

from penstock.errors import UnstableValueError, ValidationError
from penstock.study.factors import Factor
from penstock.study.model import SCHEMA_VERSION, Study
from penstock.study.policies import RunOrder
from penstock.study.problem import Problem


def study_of(**fields: Any) -> Study:
    return Study(**{"study_id": "s", "title": "t", **fields})


def test_what_is_left_out_has_the_contracts_defaults() -> None:
    study = study_of()
    assert study.output_dir == Path("artifacts/s")
    assert study.run_order is RunOrder.BLOCKED
    assert (study.problem_ids, study.agent_specs, study.factors, study.notes) == ((), (), (), "")


@pytest.mark.parametrize("field", ["study_id", "title"])
def test_a_study_has_a_name_and_a_title(field: str) -> None:
    with pytest.raises(ValidationError, match=rf"Study\.{field} must be non-empty\."):
        study_of(**{field: "  "})


def test_all_that_is_declared_takes_part_where_nothing_else_is_said() -> None:
    study = study_of(
        problems=[{"problem_id": "p"}, {"problem_id": "q"}], agents={"a": "m:f", "b": "m:g"}
    )
    assert (study.problem_ids, study.agent_specs) == (("p", "q"), ("a", "b"))


def test_what_is_listed_takes_part_and_no_more() -> None:
    study = study_of(
        problems=[{"problem_id": "p"}, {"problem_id": "q"}],
        problem_ids=["q"],
        agents={"a": "m:f", "b": "m:g"},
        agent_specs=["b"],
    )
    assert (study.problem_ids, study.agent_specs) == (("q",), ("b",))


def test_a_list_of_short_texts_names_itself() -> None:
    study = study_of(evaluators=["exact", "number"])
    assert list(study.evaluators) == ["exact", "number"]
    assert study.evaluators["exact"].exact is not None


@pytest.mark.parametrize("field", ["problem_ids", "agent_specs", "tags", "authors"])
def test_a_text_is_not_taken_for_a_list_of_letters_nor_a_set_for_a_list(field: str) -> None:
    for value in ("foo", {"a", "b"}):
        with pytest.raises(ValidationError):
            study_of(**{field: value})


def test_nothing_inside_a_study_can_be_changed() -> None:
    study = study_of(agents={"a": "m:f"}, provenance_metadata={"deep": [1]})
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        study.title = "other"  # type: ignore[misc]

    for mapping in (study.agents, study.evaluators, study.provenance_metadata):
        assert isinstance(mapping, dict)
        with pytest.raises(TypeError, match="belongs to the study"):
            mapping["b"] = 1

    with pytest.raises(TypeError, match="belongs to the study"):
        study.provenance_metadata["deep"].append(2)


def test_a_study_is_written_as_plain_values_of_this_schema() -> None:
    study = study_of(
        factors=[Factor(name="x", levels=[1])],
        agents={"a": "m:f"},
        evaluators={"score": {"number": {"tolerance": 0.5}}},
        problems=[Problem(problem_id="p", payload={"n": (1, 2)})],
        base_dir=Path("/somewhere"),
    )
    written = study.to_dict()
    assert written["schema_version"] == SCHEMA_VERSION
    assert "base_dir" not in written
    assert written["output_dir"] == "artifacts/s"
    assert written["agents"] == {"a": {"call": "m:f"}}
    assert written["evaluators"]["score"]["number"]["tolerance"] == 0.5
    assert written["problems"][0]["payload"] == {"n": [1, 2]}
    assert json.loads(json.dumps(written)) == written
    assert "problems" not in study.to_dict(problems=False)
    assert study.to_dict(problems=False)["problem_ids"] == ["p"]


def test_a_problem_with_a_native_object_can_be_used_but_not_written() -> None:
    native = object()
    study = study_of(problems=[Problem(problem_id="p", payload={"native": native})])
    assert study.problems[0].payload["native"] is native
    with pytest.raises(UnstableValueError, match=r"problems\[0\]\.payload\.native"):
        study.to_dict()


def test_an_evaluator_that_is_a_function_is_written_as_a_reference() -> None:
    problem = Problem(problem_id="p", evaluator=json.dumps)
    assert study_of(problems=[problem]).to_dict()["problems"][0]["evaluator"] == "json:dumps"


def test_a_study_can_be_pickled_and_copied() -> None:
    study = study_of(agents={"a": "m:f"}, factors=[Factor(name="x", levels=[1, 2])])
    assert pickle.loads(pickle.dumps(study)) == study
    assert copy.deepcopy(study) == study


def test_relative_paths_start_at_the_study_files_folder_or_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert study_of().resolve("x") == tmp_path / "x"
    assert study_of(base_dir=Path("/base")).resolve("x") == Path("/base/x")
