"""Study files: read strictly, everything wrong named at once, and written to be read again."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock._base.yaml_text import yaml_text
from penstock.errors import StudyFileError
from penstock.planning.plan import plan
from penstock.planning.validation import validate_study
from penstock.study.conditions import Condition
from penstock.study.factors import Block, Factor, FactorKind, Level
from penstock.study.files import load_study
from penstock.study.model import Study
from penstock.study.policies import RunBudget, RunOrder, SeedPolicy
from penstock.study.problem import Problem
from tests.look_alikes import LOOK_ALIKES

MINIMAL = """\
study_id: s
title: A study
problem_ids: [p1]
"""

EVERYTHING_THE_EXISTING_TOOL_WRITES: dict[str, Any] = {
    "schema_version": "0.2.0",
    "study_id": "exp-1",
    "title": "Experiment",
    "description": "",
    "authors": ["A. Author"],
    "rationale": "",
    "tags": ["t"],
    "hypotheses": [
        {
            "hypothesis_id": "h1",
            "label": "H1",
            "statement": "mode matters",
            "kind": "effect",
            "independent_vars": ["mode"],
            "dependent_vars": ["score"],
            "moderators": [{"name": "m", "levels": ["l"]}],
            "mediators": [{"name": "m", "description": ""}],
            "contrast": {"label": "c", "left": "a", "right": "b", "operation": "difference"},
            "direction": "different",
            "minimum_effect_of_interest": 0.1,
            "notes": "",
        }
    ],
    "factors": [
        {
            "name": "mode",
            "description": "how",
            "kind": "manipulated",
            "levels": [
                {"name": "a", "value": "a", "label": "a", "metadata": {}},
                {"name": "b", "value": 0.5, "label": "B", "metadata": {"is_baseline": True}},
            ],
            "dtype": None,
            "default": None,
            "metadata": {},
        }
    ],
    "blocks": [{"name": "cohort", "levels": ["n", "e"], "metadata": {}}],
    "constraints": [
        {
            "constraint_id": "c1",
            "description": "not b with e",
            "expression": "not (mode == 0.5 and cohort == 'e')",
            "callable_ref": None,
            "severity": "error",
        }
    ],
    "design_spec": {
        "kind": "constrained_factorial",
        "replicates": 1,
        "randomize": False,
        "counterbalance": False,
        "matrix_path": None,
        "n_samples": None,
        "center_points": 0,
        "block_randomization_key": None,
        "options": {},
    },
    "outcomes": [
        {
            "name": "score",
            "source_table": "runs",
            "column": "primary_outcome",
            "aggregation": "mean",
            "derivation": None,
            "primary": True,
            "expected_type": "float",
            "missing_data_policy": "drop",
            "description": "",
        }
    ],
    "analysis_plans": [
        {
            "analysis_plan_id": "a1",
            "hypothesis_ids": ["h1"],
            "tests": ["t"],
            "outcomes": ["score"],
            "covariates": [],
            "random_effects": [],
            "filters": {"status": "success"},
            "multiple_comparison_policy": "none",
            "plots": [],
            "export_tables": [],
            "notes": "",
        }
    ],
    "run_budget": {"replicates": 2, "max_runs": None, "parallelism": 4, "fail_fast": False},
    "seed_policy": {
        "base_seed": 7,
        "strategy": "condition_replicate",
        "per_run_offset": 9973,
    },
    "output_dir": "artifacts/exp-1",
    "provenance_metadata": {"host": "h"},
    "notes": "",
    "problem_ids": ["p1", "p2"],
    "agent_specs": ["ag1"],
}


def write(folder: Path, text: str, name: str = "study.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def errors_of(folder: Path, text: str, name: str = "study.yaml") -> tuple[str, ...]:
    with pytest.raises(StudyFileError) as caught:
        load_study(write(folder, text, name))

    return caught.value.errors


def test_a_small_study_needs_three_lines(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, MINIMAL))
    assert (study.study_id, study.title, study.problem_ids) == ("s", "A study", ("p1",))
    assert study.output_dir == Path("artifacts/s")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("study.yaml", yaml_text(EVERYTHING_THE_EXISTING_TOOL_WRITES)),
        ("study.yml", yaml_text(EVERYTHING_THE_EXISTING_TOOL_WRITES)),
        ("study.json", json.dumps(EVERYTHING_THE_EXISTING_TOOL_WRITES)),
    ],
)
def test_a_file_as_the_existing_tool_writes_it_loads_unchanged(
    tmp_path: Path, name: str, text: str
) -> None:
    study = load_study(write(tmp_path, text, name))
    assert validate_study(study) == []
    assert len(plan(study)) == 3 * 2 * 2
    written = study.to_dict()
    assert {key: written[key] for key in EVERYTHING_THE_EXISTING_TOOL_WRITES} == (
        EVERYTHING_THE_EXISTING_TOOL_WRITES
    )


def test_a_file_that_pyyaml_wrote_is_read_as_pyyaml_reads_it(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    payload = EVERYTHING_THE_EXISTING_TOOL_WRITES | {
        "blocks": [{"name": "cohort", "levels": [*LOOK_ALIKES, 0.001, 1e-05, 1e22, -3, 10**20]}],
        "constraints": [],
    }
    text = yaml.safe_dump(payload, sort_keys=False)
    (block,) = load_study(write(tmp_path, text)).blocks
    assert list(block.levels) == payload["blocks"][0]["levels"]


def test_a_typo_in_a_study_file_names_the_likely_key(tmp_path: Path) -> None:
    text = MINIMAL + "desing_spec: {kind: full}\nrun_budget: {replicatse: 3}\n"
    assert set(errors_of(tmp_path, text)) == {
        "desing_spec: unknown key; did you mean `design_spec`?",
        "run_budget.replicatse: unknown key; did you mean `replicates`?",
    }


@pytest.mark.parametrize(
    ("section", "place", "meant"),
    [
        ("factors: [{name: x, levels: [{vaule: 1}]}]", "factors[0].levels[0].vaule", "value"),
        ("outcomes: [{name: o, colunm: c}]", "outcomes[0].colunm", "column"),
        ("agents: {a: {cal: 'm:f'}}", "agents.a.cal", "call"),
        ("evaluators: {score: {numbre: {}}}", "evaluators.score.numbre", "number"),
        ("evaluators: {e: {number: {tolerence: 1}}}", "evaluators.e.number.tolerence", "tolerance"),
        ("evaluators: [exat]", "evaluators.exat.exat", "exact"),
        ("problems: [{problem_id: p, breif: b}]", "problems[0].breif", "brief"),
        ("problems: {file: x.csv, breif: b}", "problems.breif", "brief"),
    ],
)
def test_a_typo_deep_in_a_study_file_is_named_with_its_path(
    tmp_path: Path, section: str, place: str, meant: str
) -> None:
    errors = errors_of(tmp_path, MINIMAL + section)
    assert f"{place}: unknown key; did you mean `{meant}`?" in errors


def test_a_key_that_is_like_no_other_is_just_unknown(tmp_path: Path) -> None:
    assert errors_of(tmp_path, MINIMAL + "xyzzy: 1\nbase_dir: /tmp\n") == (
        "base_dir: unknown key",
        "xyzzy: unknown key",
    )


def test_everything_wrong_is_said_at_once_with_its_path(tmp_path: Path) -> None:
    text = """\
study_id: s
problem_ids: foo
design_spec: {randomize: 'false', kind: fulll}
run_budget: {replicates: 0, parallelism: two}
seed_policy: {strategy: nonsense}
factors:
  - {name: x}
  - {name: y, levels: [{name: a, value: 1}, {name: a, value: 2}]}
schema_version: 99
"""
    errors = errors_of(tmp_path, text)
    assert [error.split(":")[0] for error in errors] == [
        "schema_version",
        "title",
        "factors[0]",
        "factors[1]",
        "design_spec.kind",
        "design_spec.randomize",
        "run_budget.replicates",
        "run_budget.parallelism",
        "seed_policy.strategy",
        "problem_ids",
    ]
    said = "\n".join(errors)
    assert "title: is required" in said
    assert "Factor 'x' must declare at least one level or a default value." in said
    assert "Factor 'y' has duplicate level names." in said
    assert "Unsupported design kind: 'fulll'" in said
    assert "RunBudget.replicates must be >= 1." in said
    assert "(got 'two')" in said


def test_the_error_of_a_file_names_the_file_and_lists_each_fault_on_a_line(tmp_path: Path) -> None:
    path = write(tmp_path, "study_id: s\nx: 1\n")
    with pytest.raises(StudyFileError) as caught:
        load_study(path)

    assert str(caught.value).splitlines() == [
        f"{path}: 2 errors",
        "  title: is required",
        "  x: unknown key",
    ]
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("study.txt", MINIMAL, "Study file must end with .yaml/.yml or .json."),
        ("study.yaml", "- a\n", "holds no study"),
        ("study.yaml", "", "holds no study"),
        ("study.yaml", "a: [", "is not YAML"),
        ("study.yaml", "a: !!python/object:os.system {}\n", "is not YAML"),
        ("study.yaml", MINIMAL + "title: Again\n", "is not YAML: .*duplicate key.*title"),
        ("study.yaml", MINIMAL + "run_budget: {replicates: 1, replicates: 2}", "duplicate key"),
        ("study.json", '{"study_id": "s", "study_id": "t"}', "duplicate key: 'study_id'"),
        ("study.json", '{"study_id": ', "cannot be read"),
        ("study.json", "[" * 100_000, "is nested too deep"),
        ("study.yaml", "[" * 500, "is nested too deep"),
    ],
)
def test_a_file_that_is_no_study_is_refused_in_one_sentence(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(StudyFileError, match=message):
        load_study(write(tmp_path, text, name))


def test_a_file_that_is_not_there_or_not_utf_8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match="cannot be read: No such file"):
        load_study(tmp_path / "none.yaml")

    (tmp_path / "latin.yaml").write_bytes(b"title: \xe9\n")
    with pytest.raises(StudyFileError, match="cannot be read: 'utf-8' codec"):
        load_study(tmp_path / "latin.yaml")


def test_words_that_look_like_flags_numbers_or_dates_stay_texts(tmp_path: Path) -> None:
    words = ["no", "NO", "off", "y", "NA", "1e-3", "1E5", "0x10", "0o17", "017", "1_000", "12:30"]
    text = f"{MINIMAL}factors: [{{name: x, levels: [{', '.join(words)}, 2020-01-01]}}]\n"
    (factor,) = load_study(write(tmp_path, text)).factors
    assert [level.name for level in factor.levels] == [*words, "2020-01-01"]
    assert list(factor.values()) == [*words, "2020-01-01"]


def test_decimal_numbers_flags_and_nulls_are_what_they_look_like(tmp_path: Path) -> None:
    levels = "[0, -3, 1.5, 1.0e-3, .5, .inf, true, null, ~]"
    text = f"{MINIMAL}blocks: [{{name: b, levels: {levels}}}]\n"
    (block,) = load_study(write(tmp_path, text)).blocks
    values = [0, -3, 1.5, 0.001, 0.5, float("inf"), True, None, None]
    assert list(block.levels) == values
    assert [type(level) for level in block.levels] == [type(value) for value in values]


def test_a_number_without_a_dot_before_its_exponent_is_one_where_a_number_is_due(
    tmp_path: Path,
) -> None:
    text = MINIMAL + "evaluators: {score: {number: {tolerance: 1e-3}}}\n"
    number = load_study(write(tmp_path, text)).evaluators["score"].number
    assert number is not None
    assert number.tolerance == 0.001


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert load_study(tmp_path / "study.yaml").study_id == "s"


def test_paths_are_relative_to_the_file_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    write(folder, MINIMAL + "output_dir: results\n")
    monkeypatch.chdir(tmp_path)
    study = load_study("here/study.yaml")
    monkeypatch.chdir(elsewhere)
    assert study.resolve(study.output_dir or "") == folder / "results"
    assert study.resolve("/absolute") == Path("/absolute")


def test_problems_may_lie_in_a_file_beside_the_study(tmp_path: Path) -> None:
    write(tmp_path, "question,answer,n\nWhat?,42,p1\n", "q.csv")
    section = "problems: {file: q.csv, id: n, brief: question, expected: answer}\n"
    study = load_study(write(tmp_path, "study_id: s\ntitle: t\n" + section))
    assert study.problem_ids == ("p1",)
    assert study.problems[0].payload == {"expected": "42"}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("problems: {file: none.csv}", "problems: there is no file .*none.csv"),
        ("problems: {file: q.csv}", r"problems: .*q.csv, line 2: no column problem_id, brief"),
        ("problems: {file: study.yaml}", r"problems: .*must end with .jsonl or .csv"),
        ("problems: {id: x}", r"problems\.file: is required"),
    ],
)
def test_faults_of_a_problem_file_are_listed_with_those_of_the_study(
    tmp_path: Path, section: str, message: str
) -> None:
    write(tmp_path, "question,answer\nWhat?,42\n", "q.csv")
    errors = errors_of(tmp_path, f"{MINIMAL}oops: 1\n{section}\n")
    assert len(errors) == 2
    with pytest.raises(StudyFileError, match=message):
        load_study(tmp_path / "study.yaml")


names = st.text(min_size=1, max_size=8).filter(str.strip) | st.sampled_from(
    [text for text in LOOK_ALIKES if text.strip()]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | names
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=4,
)
mappings = st.dictionaries(names, values, max_size=2)


@st.composite
def studies(draw: st.DrawFn) -> Study:
    factor_names = draw(st.lists(names, max_size=3, unique=True))
    return Study(
        study_id=draw(names),
        title=draw(names),
        description=draw(st.text()),
        tags=draw(st.lists(st.text(), max_size=2)),
        factors=[
            Factor(
                name=name,
                kind=draw(st.sampled_from(FactorKind)),
                metadata=draw(mappings),
                levels=[
                    Level(name=level, value=draw(values), metadata=draw(mappings))
                    for level in draw(st.lists(names, min_size=1, max_size=3, unique=True))
                ],
            )
            for name in factor_names
        ],
        blocks=[
            Block(name=name, levels=draw(st.lists(values, min_size=1, max_size=2)))
            for name in draw(st.lists(names, max_size=1))
        ],
        run_budget=RunBudget(replicates=draw(st.integers(1, 2))),
        seed_policy=SeedPolicy(base_seed=draw(st.integers())),
        run_order=draw(st.sampled_from(RunOrder)),
        provenance_metadata=draw(mappings),
        problems=[
            Problem(problem_id=name, brief=draw(st.text()), payload=draw(mappings))
            for name in draw(st.lists(names, max_size=2, unique=True))
        ],
        problem_ids=draw(st.lists(names, min_size=1, max_size=2, unique=True)),
        agent_specs=draw(st.lists(names, max_size=2, unique=True)),
    )


def fingerprints(conditions: tuple[Condition, ...]) -> list[str]:
    return [condition.fingerprint for condition in conditions]


@settings(max_examples=60)
@given(studies(), st.sampled_from(["yaml", "json"]))
def test_a_study_that_validates_is_saved_loaded_and_planned_to_the_same_ids(
    study: Study, suffix: str
) -> None:
    if validate_study(study):
        return

    with tempfile.TemporaryDirectory() as folder:
        dump = yaml_text if suffix == "yaml" else json.dumps
        path = write(Path(folder), dump(study.to_dict()), f"study.{suffix}")
        loaded = load_study(path)

    before, after = plan(study), plan(loaded)
    assert [spec.model_dump() for spec in after] == [spec.model_dump() for spec in before]
    assert fingerprints(after.conditions) == fingerprints(before.conditions)
    assert yaml_text(loaded.to_dict()) == yaml_text(study.to_dict())


@pytest.mark.field("studies-C8")
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("factors: {tone: [a, b]}", "factors: must be a list (got a mapping)"),
        (
            "factors: [{name: x, levels: abc}]",
            "factors[0].levels: must be a list (got 'abc')",
        ),
        (
            "problems: q.csv",
            "problems: must be a list (got 'q.csv'); a file of problems is `{file: q.csv}`",
        ),
        *(
            (
                f"problems: [{each}]",
                "problems: must be a list; a file of problems is `{file: q.csv}`",
            )
            for each in ("q.csv", "{file: q.csv, id: key}")
        ),
        ("title: [a]", "title: must be text (got ['a'])"),
        ("run_budget: 5", "run_budget: must be a mapping (got 5)"),
        (
            "factors: [{name: x, levels: [3.10, 3.1, 4]}]",
            "factors[0]: Factor 'x' has duplicate level names. Twice: '3.1'.",
        ),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_the_file(
    tmp_path: Path, text: str, error: str
) -> None:
    minimal = MINIMAL.replace("title: A study\n", "") if "title" in text else MINIMAL
    with pytest.raises(StudyFileError) as caught:
        load_study(write(tmp_path, f"{minimal}{text}\n"))

    assert caught.value.errors == (error,)


@pytest.mark.field("studies-C8")
def test_keys_for_yaml_anchors_are_left_alone(tmp_path: Path) -> None:
    text = f"x-levels: &levels [a, b]\n{MINIMAL}factors: [{{name: x, levels: *levels}}]\n"
    study = load_study(write(tmp_path, text))

    assert [level.value for level in study.factors[0].levels] == ["a", "b"]


@pytest.mark.field("studies-N17")
def test_replicates_may_stand_at_the_top(tmp_path: Path) -> None:
    assert load_study(write(tmp_path, f"{MINIMAL}replicates: 5\n")).run_budget.replicates == 5
