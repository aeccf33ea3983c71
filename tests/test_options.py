"""The options of a runner: written once, over what a study declares, under names that are known."""

from __future__ import annotations

import inspect
import runpy
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import penstock as ps
from penstock.options import HOST_DEFAULTS, RunnerOptions, effective_execution
from penstock.study.execution import Execution, Retry
from tests.builders import make_study
from tests.conftest import ROOT
from tests.models.loopback import answers, http_server
from tests.models.studies import chat, chat_study

DOCS = ROOT / "docs"
MAKER = runpy.run_path(str(DOCS / "make_options.py"))
OF_THE_COMMAND = {
    *{"--dry-run", "--json", "--verbose", "--sqlite", "--page", "--address"},
    *{"--limit", "--problems", "--agent", "--condition", "--problem"},  # of a `Selection`
}
"""What `penstock run` alone is told: options that are no option of a runner."""

DECLARED = Execution(
    concurrency=4,
    timeout_s=30.0,
    retry=Retry(attempts=3),
    max_failures=5,
    limiters={"api": 2},
    stall_threshold_s=0.5,
)


def test_an_option_stands_in_the_execution_or_is_one_of_the_hosts() -> None:
    names = RunnerOptions.__annotations__.keys() - {"parallelism"}

    assert names == Execution.model_fields.keys() | HOST_DEFAULTS.keys()
    assert not Execution.model_fields.keys() & HOST_DEFAULTS.keys()


def test_the_page_of_options_is_what_their_docstrings_say() -> None:
    text = (DOCS / "options.md").read_text(encoding="utf-8")

    assert text == MAKER["page"](text), "write it anew: python docs/make_options.py"
    for name in RunnerOptions.__annotations__:
        assert f"`{name}`" in text


def test_an_option_of_the_command_line_is_one_of_these_or_its_own() -> None:
    taken = {name for name in RunnerOptions.__annotations__ if MAKER["flag_of"](name)}

    assert {MAKER["flag_of"](name) for name in taken} | OF_THE_COMMAND == set(
        MAKER["flags"]().values()
    )


@pytest.mark.parametrize(
    "function", [ps.StudyRunner.__init__, ps.run_study, ps.arun_study, ps.resume_study]
)
def test_whatever_runs_a_study_takes_these_options_and_names_none_of_its_own(
    function: Any,
) -> None:
    parameters = inspect.signature(function).parameters
    (options,) = (p for p in parameters.values() if p.kind is inspect.Parameter.VAR_KEYWORD)

    assert get_args(get_type_hints(function)[options.name]) == (RunnerOptions,)
    assert not RunnerOptions.__annotations__.keys() & parameters.keys()


def test_without_options_a_study_is_carried_out_as_it_declares() -> None:
    assert effective_execution(make_study(execution=DECLARED), {}) == DECLARED


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({"concurrency": "auto"}, {"concurrency": "auto"}),
        ({"parallelism": 9}, {"concurrency": 9}),
        ({"parallelism": 9, "concurrency": 9}, {"concurrency": 9}),
        ({"concurrency": None, "parallelism": None}, {}),
        ({"retry": None, "limiters": None, "fail_fast": None, "grace_s": None}, {}),
        ({"timeout_s": None}, {"timeout_s": None}),
        ({"stall_threshold_s": None}, {"stall_threshold_s": None}),
        ({"retry": Retry(attempts=9)}, {"retry": Retry(attempts=9)}),
        ({"limiters": {}}, {"limiters": {}}),
        ({"fail_fast": True}, {"fail_fast": True, "max_failures": None}),
        ({"max_failures": None}, {"max_failures": None}),
        ({"fresh": True, "output_dir": "here"}, {}),
    ],
)
def test_what_python_says_comes_before_what_the_study_declares(
    options: RunnerOptions, changed: dict[str, Any]
) -> None:
    execution = effective_execution(make_study(execution=DECLARED), options)

    assert execution == DECLARED.model_copy(update=changed)


def test_who_says_how_many_failures_are_too_many_answers_for_failing_fast_too() -> None:
    study = make_study(execution={"fail_fast": True})

    assert effective_execution(study, {"max_failures": 3}).failures_allowed == 3
    assert effective_execution(study, {"max_failures": None}).failures_allowed is None
    assert effective_execution(study, {}).failures_allowed == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concurrency": 0}, r"concurrency: Execution\.concurrency must be >= 1\."),
        ({"timeout_s": -1}, r"timeout_s: Input should be greater than 0 \(got -1\)"),
        ({"max_failures": 2, "fail_fast": True}, "`fail_fast` means `max_failures: 0`"),
        ({"concurrency": 2, "parallelism": 3}, "concurrency is 2, and parallelism, its older name"),
        ({"limiters": {"api": 0}}, r"limiters\.api: Input should be greater than 0"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_in_a_sentence(
    options: RunnerOptions, message: str
) -> None:
    with pytest.raises(ps.ValidationError, match=message):
        effective_execution(make_study(), options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concurency": 3}, "there is no option 'concurency'; did you mean `concurrency`"),
        ({"zzz": 3}, "there is no option 'zzz'$"),
        ({"limits": {"api": 3}}, "the option `limits` is called `limiters`"),
        ({"concurency": 3, "limits": {}}, "concurency.*; the option `limits`"),
    ],
)
@pytest.mark.parametrize("run", [ps.StudyRunner, ps.run_study])
def test_a_name_that_is_not_an_option_is_an_error_with_the_likely_one(
    run: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        run(make_study(), **options)


@pytest.mark.field("studies-R3")
def test_a_limit_that_a_study_declares_is_shared_by_its_runs(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        async with ctx.limiter("provider"):
            return str(ctx.limiter("provider").total_tokens)

    study = make_study(execution={"limiters": {"provider": 5}})
    results = ps.run_study(study, agent_bindings={"agent-a": agent}, output_dir=tmp_path)

    assert [result.outputs for result in results] == [{"text": "5"}] * 2


@pytest.mark.anyio
async def test_a_study_that_is_carried_out_otherwise_goes_on_in_its_directory(
    tmp_path: Path,
) -> None:
    async with http_server(answers()) as url:
        study = chat_study(tmp_path, chat(url))
        first = await ps.StudyRunner(study, show_progress=False).run()
        otherwise = study.model_copy(
            update={
                "budget": {"max_tokens": 5, "max_cost_usd": 1.0, "max_duration_s": 60},
                "execution": DECLARED,
                "limits": {url: {"max_in_flight": 2}},
                "prices": {"some-model": {"input_usd_per_million": 1, "output_usd_per_million": 2}},
            }
        )
        again = await ps.StudyRunner(otherwise, show_progress=False).run()

    assert first.succeeded == 2
    assert (again.session.restored, again.remaining) == (2, 0)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("fresh", "no", "fresh: must be true or false (got 'no')"),
        ("rescore", 1, "rescore: must be true or false (got 1)"),
        ("isolate_random", "false", "isolate_random: must be true or false"),
        ("checkpoint", None, "checkpoint: must be true or false (got None)"),
        ("show_progress", "auto", "show_progress: must be true or false"),
        ("agent_bindings", [print], "agent_bindings: must be a mapping from names to agents"),
        ("problem_registry", (), "problem_registry: must be a mapping from ids to problems"),
        ("subscribers", print, "subscribers: must be a list of coroutine functions"),
        ("only", {"limit": 3}, "only: must be a penstock.Selection (got {'limit': 3})"),
        ("endpoints", {}, "endpoints: must be a penstock.Endpoints (got {})"),
        ("output_dir", 3, "output_dir: must be a path (got 3)"),
        ("conditions", [{"tone": "a"}], "conditions[0]: must be a condition (got {'tone': 'a'})"),
        ("conditions", {"tone": "a"}, "conditions: must be a condition (got {'tone': 'a'})"),
        ("conditions", iter(()), "penstock.conditions(rows) makes a list of them"),
    ],
)
def test_an_option_of_another_kind_is_refused_before_anything_is_written(
    tmp_path: Path, option: str, value: Any, said: str
) -> None:
    with pytest.raises(ps.ValidationError) as refused:
        ps.run_study(make_study(), **{"output_dir": tmp_path / "new", option: value})

    assert said in str(refused.value)
    assert not (tmp_path / "new").exists()


def test_all_options_that_are_wrong_are_told_at_once() -> None:
    with pytest.raises(ps.ValidationError) as refused:
        ps.StudyRunner(make_study(), fresh="no", rescore="yes", concurrency=0)  # type: ignore[arg-type]

    told = [error.partition(":")[0] for error in refused.value.errors]
    assert told == ["fresh", "rescore", "concurrency"]


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("study.yaml", "'study.yaml' is not a study; penstock.load_study('study.yaml') reads one"),
        (Path("a.yaml"), "penstock.load_study('a.yaml') reads one"),
        ({"study_id": "s"}, "penstock.Study(**fields) makes one"),
        (None, "None is not a study; penstock.Study makes one"),
        (ps.Study, "is not a study; penstock.Study makes one"),
    ],
)
@pytest.mark.parametrize(
    "take",
    [ps.run_study, ps.StudyRunner, ps.check, ps.plan, ps.build_design, ps.validate_study],
)
def test_what_is_no_study_is_refused_with_how_to_make_one(
    take: Any, given: Any, advice: str
) -> None:
    with pytest.raises(TypeError) as refused:
        take(given)

    assert advice in str(refused.value)
