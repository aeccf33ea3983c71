from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from penstock.errors import ValidationError
from penstock.running.binding import Bindings
from penstock.running.checking import prepare
from penstock.study.declarations import AgentDeclaration, EvaluatorDeclaration
from penstock.study.problem import Problem
from tests.builders import make_context, make_study
from tests.packages import install_package

pytestmark = pytest.mark.anyio

MODULE = """
async def agent(ctx):
    return "from the file"

def evaluate(answer):
    return {"length": len(answer)}

NOT_CALLABLE = 42
"""


async def agent(ctx: Any) -> str:
    return "bound"


def bind(study: Any = None, **options: Any) -> Bindings:
    agents = options.pop("agents", {"agent-a": agent})
    problems = options.pop("problems", None)
    prepared = prepare(
        study or make_study(), agent_bindings=agents, problem_registry=problems, **options
    )
    return prepared.ready()[1]


def refused(study: Any, **options: Any) -> tuple[str, ...]:
    """Everything that was wrong, as it was said."""
    with pytest.raises(ValidationError) as caught:
        bind(study, **options)

    return caught.value.errors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("1 / 0")
    return tmp_path


def declared(agents: Mapping[str, str], folder: Path, **fields: Any) -> Any:
    return make_study(
        agents={name: AgentDeclaration(call=call) for name, call in agents.items()},
        agent_specs=tuple(agents),
        base_dir=folder,
        **fields,
    )


async def test_an_agent_is_bound_by_its_name() -> None:
    assert await bind().agents["agent-a"](make_context()) == "bound"


async def test_an_agent_is_loaded_from_a_file_beside_the_study(folder: Path) -> None:
    bindings = bind(declared({"agent-a": "mine.py:agent"}, folder), agents=None)

    assert await bindings.agents["agent-a"](make_context()) == "from the file"


async def test_what_is_passed_comes_before_what_is_declared(folder: Path) -> None:
    study = declared({"agent-a": "mine.py:agent"}, folder)
    own = Problem(problem_id="p1", brief="mine")
    bindings = bind(study, problems={"p1": own})

    assert await bindings.agents["agent-a"](make_context()) == "bound"
    assert bindings.problems == {"p1": own}


async def test_an_agent_of_a_factor_is_bound_by_the_value_of_its_level() -> None:
    study = make_study(["x", "y"], agent_specs=())
    tone = study.factors[0].model_copy(update={"name": "agent"})
    bindings = bind(study.model_copy(update={"factors": (tone,)}), agents={"x": agent, "y": agent})

    assert set(bindings.agents) == {"x", "y"}


@pytest.mark.parametrize(
    "given",
    [
        Problem(problem_id="p1", brief="b", payload={"n": 1}),
        {"brief": "b", "payload": {"n": 1}},
        SimpleNamespace(problem_id="p1", brief="b", payload={"n": 1}, family=None),
    ],
)
def test_a_problem_may_be_given_in_several_shapes(given: Any) -> None:
    bindings = bind(problems={"p1": given})

    assert bindings.problems == {"p1": Problem(problem_id="p1", brief="b", payload={"n": 1})}


def test_where_no_problem_is_known_its_name_says_it_all() -> None:
    bindings = bind(make_study(problems=(), problem_ids=("summarise",)))

    assert bindings.problems == {"summarise": Problem(problem_id="summarise")}


async def test_a_problem_s_own_evaluator_comes_before_those_of_the_study(folder: Path) -> None:
    problems = (
        Problem(problem_id="p1", payload={"expected": "x"}, evaluator=lambda answer: 7),
        Problem(problem_id="p2", payload={"expected": "x"}, evaluator="mine.py:evaluate"),
        Problem(problem_id="p3", payload={"expected": "x"}),
    )
    study = make_study(
        problems=problems,
        base_dir=folder,
        evaluators={
            "exact": EvaluatorDeclaration.model_validate("exact"),
            "mine": EvaluatorDeclaration(call="mine.py:evaluate"),
        },
    )
    bindings = bind(study)
    rows = {
        name: [
            (row.evaluator_id, row.metric_value)
            for evaluate in bindings.evaluators[name]
            for row in await evaluate(make_context(problem=problem), {"answer": "x"})
        ]
        for name, problem in bindings.problems.items()
    }

    shared = [("exact", 1.0), ("mine", 1)]
    assert rows == {
        "p1": [("problem_evaluator", 7), *shared],
        "p2": [("problem_evaluator", 1), *shared],
        "p3": shared,
    }


def test_everything_that_cannot_be_bound_is_said_at_once(folder: Path) -> None:
    study = declared(
        {
            "nowhere": "absent.py:agent",
            "nameless": "mine.py:absent",
            "number": "mine.py:NOT_CALLABLE",
            "broken": "broken.py:agent",
        },
        folder,
        problems=(Problem(problem_id="p1", evaluator="mine.py:absent_too"),),
        problem_ids=("p1", "p2"),
        evaluators={"lost": EvaluatorDeclaration(call="absent.py:evaluate")},
    )
    errors = refused(study, problems={"p3": 42})

    assert len(errors) == 7
    for error, said in zip(
        errors,
        (
            "no problem is named 'p2'; declare it under `problems:`",
            "agent 'nowhere': there is no file",
            "agent 'nameless'",
            "agent 'number' is 42, which can neither be called",
            "'broken.py:agent' cannot be imported: ZeroDivisionError: division by zero",
            "evaluator 'lost': there is no file",
            "absent_too",
        ),
        strict=True,
    ):
        assert said in error


def test_an_agent_that_nobody_knows_is_told_with_those_that_are_known() -> None:
    (error,) = refused(make_study(agent_specs=("agent-b",)))

    assert "no agent is named 'agent-b' (known: agent-a)" in error
    assert "agent_bindings={'agent-b': ...}" in error


def test_a_problem_that_is_no_problem_is_refused() -> None:
    (error,) = refused(make_study(), problems={"p1": 42})

    assert error.startswith("problem 'p1' is 42; pass a Problem")


def test_a_problem_with_unknown_fields_is_refused() -> None:
    (error,) = refused(make_study(), problems={"p1": {"breif": "a typo"}})

    assert "'p1' cannot be loaded" in error
    assert "breif" in error


def test_what_is_wrong_with_the_declaration_and_the_bindings_is_said_at_once() -> None:
    study = make_study(agent_specs=("agent-b",))
    twice = study.model_copy(update={"factors": study.factors * 2})

    with pytest.raises(ValidationError) as caught:
        prepare(twice).ready()

    assert "Duplicate factor name detected: 'tone'." in caught.value.errors


@pytest.mark.field("studies-N15")
async def test_agents_and_evaluators_may_be_functions_in_the_study_itself() -> None:
    study = make_study(agents={"agent-a": agent}, evaluators={"len": len})
    bindings = bind(study, agents=None)
    (evaluate,) = bindings.evaluators["p1"]
    (row,) = await evaluate(make_context(), {"text": "four"})

    assert await bindings.agents["agent-a"](make_context()) == "bound"
    assert (row.evaluator_id, row.metric_name, row.metric_value) == ("len", "len", 4)


@pytest.mark.field("studies-A5")
def test_what_no_evaluator_could_compare_with_is_said_before_anything_runs() -> None:
    problems = tuple(
        Problem(problem_id=f"p{i}", payload={"expected": expected})
        for i, expected in enumerate(["42", "", "many"])
    )
    errors = refused(make_study(problems=problems, evaluators=["contains", "number", "regex"]))

    assert errors == (
        "evaluator 'contains': problem 'p1': the expected answer '' is empty",
        "evaluator 'number': problem 'p1': the expected answer '' is empty",
        "evaluator 'number': problem 'p2': the expected answer 'many' is not a single number",
        "evaluator 'regex': problem 'p1': the expected answer '' is empty",
    )


def test_a_file_of_labels_lies_beside_the_study(folder: Path) -> None:
    (folder / "labels.csv").write_text("problem_id,score\np1,1\n")
    labels = {"file": "labels.csv", "key": "problem_id"}
    declared = {"people": {"labels": labels}, "lost": {"labels": {**labels, "file": "absent.csv"}}}
    (error,) = refused(make_study(base_dir=folder, evaluators=declared))

    assert error.startswith("evaluator 'lost': ")
    assert "absent.csv" in error


async def test_an_evaluator_may_come_from_an_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_package(
        tmp_path,
        "rouge-for-penstock",
        entry_points={"penstock.evaluators": {"rouge": "rouge_for_penstock:score"}},
        modules={"rouge_for_penstock": "def score(answer):\n    return len(answer) / 10\n"},
    )
    monkeypatch.syspath_prepend(tmp_path)
    study = make_study(evaluators={"summary": "rouge"})
    (evaluate,) = bind(study).evaluators["p1"]
    (row,) = await evaluate(make_context(), {"text": "four"})

    assert study.to_dict()["evaluators"] == {"summary": {"call": "rouge"}}
    assert (row.metric_name, row.metric_value) == ("summary", 0.4)

    monkeypatch.undo()
    (error,) = refused(study)
    assert error == "evaluator 'summary': no installed package registers 'rouge'"
    with pytest.raises(ValidationError, match="unknown key"):
        make_study(evaluators=["rouge"])
