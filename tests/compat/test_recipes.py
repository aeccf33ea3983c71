from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock._base.yaml_text import yaml_text
from penstock.compat import recipes
from penstock.study.identity import stable_json_dumps
from penstock.study.policies import RunBudget

BUILDERS = [name for name in recipes.__all__ if name.startswith("build_")]
COMPARISONS = [name for name in BUILDERS if name.endswith("variate_comparison_study")]
SIZE = ps.Factor(name="size", levels=["small", "large"])


def build(name: str, **fields: Any) -> ps.Study:
    is_comparison = "comparison" in name and "architecture" not in name
    config = recipes.ComparisonStudyConfig if is_comparison else recipes.RecipeStudyConfig
    study: ps.Study = getattr(recipes, name)(config(**fields) if fields else None)
    return study


def factor_names(study: ps.Study) -> list[str]:
    return [factor.name for factor in study.factors]


@pytest.mark.parametrize("name", BUILDERS)
def test_a_recipe_plans_the_runs_that_it_always_planned(name: str, golden: dict[str, Any]) -> None:
    known = golden["recipes"][name]
    study = build(name)
    runs = [[spec.run_id, spec.seed] for spec in ps.plan(study)]
    assert study.study_id == known["study_id"]
    assert len(ps.build_design(study)) == known["conditions"]
    assert (len(runs), runs[0]) == (known["runs"], known["first"])
    assert sha256(stable_json_dumps(runs).encode()).hexdigest()[:16] == known["plan_sha256"]


@pytest.mark.parametrize("name", BUILDERS)
def test_a_recipe_is_valid_and_can_be_kept_as_a_file(name: str, tmp_path: Path) -> None:
    study = build(name)
    assert ps.validate_study(study) == []
    assert study.base_dir is None  # results go where one stands, not into the package
    (tmp_path / "study.yaml").write_text(yaml_text(study.to_dict()))
    loaded = ps.load_study(tmp_path / "study.yaml")
    assert loaded.model_copy(update={"base_dir": None, "study_file": None}) == study


@pytest.mark.parametrize("name", BUILDERS)
def test_what_a_config_gives_replaces_the_section(name: str) -> None:
    budget = RunBudget(replicates=5, parallelism=3)
    changed = build(name, study_id="mine", run_budget=budget, tags=(), problem_ids=("only",))
    own = build(name)
    assert changed.output_dir == Path("artifacts/mine")
    assert (changed.run_budget, changed.tags, changed.problem_ids) == (budget, (), ("only",))
    assert changed.factors == own.factors
    assert changed.agent_specs == own.agent_specs


def test_an_output_directory_that_is_given_stays() -> None:
    study = build("build_prompt_framing_study", study_id="mine", output_dir=Path("elsewhere"))
    assert study.output_dir == Path("elsewhere")


def test_a_bundle_gives_the_agents_and_problems_that_a_config_does_not() -> None:
    bundle = recipes.grammar_problem_bundle()
    study = build("build_prompt_framing_study", bundle=bundle)
    assert (study.problem_ids, study.agent_specs) == (bundle.problem_ids, bundle.agent_specs)
    study = build("build_prompt_framing_study", bundle=bundle, agent_specs=("mine",))
    assert (study.problem_ids, study.agent_specs) == (bundle.problem_ids, ("mine",))


@pytest.mark.parametrize(
    ("bundle", "problems", "agents"),
    [
        (recipes.ideation_bundle(), 3, 3),
        (recipes.optimization_bundle(), 3, 2),
        (recipes.grammar_problem_bundle(), 3, 2),
        (recipes.human_vs_agent_bundle(), 2, 3),
    ],
    ids=lambda value: getattr(value, "bundle_id", None),
)
def test_a_bundle_names_problems_and_agents(
    bundle: recipes.BenchmarkBundle, problems: int, agents: int
) -> None:
    assert (len(bundle.problem_ids), len(bundle.agent_specs)) == (problems, agents)
    assert bundle.metadata["domain"] in bundle.bundle_id or bundle.bundle_id == "human-vs-agent"


def test_a_comparison_is_made_with_the_first_agent_of_its_bundle() -> None:
    bundle = recipes.human_vs_agent_bundle()
    study = build("build_univariate_comparison_study", bundle=bundle)
    assert (study.problem_ids, study.agent_specs) == (bundle.problem_ids, ("human-only",))
    study = build("build_univariate_comparison_study", bundle=bundle, agent_specs=("mine",))
    assert study.agent_specs == ("mine",)


@pytest.mark.parametrize("name", COMPARISONS)
def test_factors_of_a_comparison_are_replaced_and_its_hypothesis_follows(name: str) -> None:
    colour = ps.Factor(name="colour", levels=["red", "green"])
    study = build(name, comparison_factor=SIZE, secondary_factor=colour)
    assert factor_names(study) == ["size", "colour"]
    assert study.hypotheses[0].independent_vars == ("size", "colour")
    assert factor_names(build(name, comparison_factor=SIZE))[0] == "size"
    assert factor_names(build(name, secondary_factor=colour)) == ["comparison_arm", "colour"]
    assert factor_names(build(name, factors=(SIZE,), comparison_factor=colour)) == ["size"]


def test_a_factor_that_names_agents_or_problems_takes_the_place_of_the_lists() -> None:
    agents = ps.Factor(name="agent_id", levels=["a", "b"])
    problems = ps.Factor(name="problem_id", levels=["p", "q"])
    study = build("build_univariate_comparison_study", factors=(agents, problems))
    assert (study.agent_specs, study.problem_ids) == ((), ())
    assert len(ps.plan(study)) == 4 * study.run_budget.replicates


def test_strategies_are_the_agents_of_the_bundle_and_one_is_the_baseline() -> None:
    bundle = recipes.BenchmarkBundle(
        bundle_id="mine",
        name="Mine",
        problem_ids=("p",),
        agent_specs=("deep-search", "Random_Walk", "random walk", "--"),
    )
    study = build("build_strategy_comparison_study", bundle=bundle)
    (factor,) = study.factors
    assert [level.name for level in factor.levels] == [
        "deep_search",
        "random_walk",
        "random_walk_2",
        "level_3",
    ]
    assert factor.values() == bundle.agent_specs
    assert [level.label for level in factor.levels][:2] == ["Deep Search", "Random Walk"]
    assert [level.metadata["is_baseline"] for level in factor.levels] == [False, True, False, False]
    assert study.problem_ids == ("p",)
    assert sorted(ps.plan(study).agents()) == sorted(bundle.agent_specs)


def test_without_a_baseline_the_first_strategy_is_one() -> None:
    study = build("build_strategy_comparison_study", bundle=recipes.human_vs_agent_bundle())
    (baseline,) = (x for x in study.factors[0].levels if x.metadata["role"] == "baseline")
    assert baseline.value == "human-only"


def test_strategies_may_be_compared_on_another_axis() -> None:
    study = build("build_strategy_comparison_study", comparison_factor=SIZE)
    assert study.agent_specs == recipes.optimization_bundle().agent_specs
    assert len(ps.plan(study)) == 2 * 2 * 3 * 2


def test_a_recipe_runs_with_agents_bound_by_name(tmp_path: Path) -> None:
    async def answer(ctx: ps.RunContext) -> str:
        return f"{ctx.spec.agent_id} on {ctx.problem.problem_id}"

    study = build("build_strategy_comparison_study")
    bindings = dict.fromkeys(ps.plan(study).agents(), answer)
    results = ps.run_study(study, agent_bindings=bindings, output_dir=tmp_path / "out")
    assert results.summary.succeeded == 12


def test_every_name_of_the_recipes_is_there() -> None:
    assert recipes.__all__ == sorted(recipes.__all__)
    assert all(hasattr(recipes, name) for name in recipes.__all__)
