"""The examples of the documentation do what they say, and so does every block of code in it."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import shutil
import sqlite3
import sys
import threading
import tomllib
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from math import comb, sqrt
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest
import typer

import penstock as ps
from penstock.cli import app
from penstock.errors import StudyFileError
from penstock.events import LimitChanged, RunRetried, RunSucceeded, StudyStarted, StudyStopping
from penstock.page.report import report_view
from penstock.store.reader import StoreReader
from penstock.study.policies import DesignKind, RunBudget
from tests.packages import install_package
from tests.served import served, server_sent

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
QUICKSTART = EXAMPLES / "quickstart"

pytestmark = pytest.mark.anyio


def example(name: str) -> ModuleType:
    """Import an example by its path below ``docs/examples``."""
    spec = importlib.util.spec_from_file_location(f"example_{Path(name).stem}", EXAMPLES / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tiny_study(agent: Callable[..., Any], **fields: Any) -> tuple[ps.Study, dict[str, Any]]:
    """A study of one agent, and the bindings that it needs."""
    study = ps.Study(
        study_id="tiny",
        title="A tiny study",
        problems=(ps.Problem(problem_id="p"),),
        agent_specs=("a",),
        **fields,
    )
    return study, {"a": agent}


# The quickstart


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> ps.StudyResult:
    study = ps.load_study(QUICKSTART / "study.yaml")
    return ps.run_study(study, output_dir=tmp_path_factory.mktemp("quickstart") / "out")


def test_the_quickstart_succeeds_in_every_run(quickstart: ps.StudyResult) -> None:
    assert len(quickstart) == 720
    assert quickstart.summary.succeeded == 720


def test_the_quickstart_keeps_to_its_budgets_and_finds_what_it_claims(
    quickstart: ps.StudyResult,
) -> None:
    for result in quickstart:
        assert result.outputs["claimed_value"] == result.primary_outcome >= 0
        scored = {row.metric_name: row.metric_value for row in result.evaluations}
        assert scored["best_value"] == result.primary_outcome


def test_the_quickstart_finds_that_a_larger_budget_helps_random_search(
    quickstart: ps.StudyResult,
) -> None:
    sums: Counter[tuple[str, int]] = Counter()
    for row in quickstart.to_rows():
        if row["agent"] == "random_search":
            sums[row["problem_id"], row["budget"]] += row["primary_outcome"]

    for problem_id in ("sphere", "rosenbrock", "rastrigin", "ackley"):
        assert sums[problem_id, 100] > sums[problem_id, 300] > sums[problem_id, 1000]


@pytest.mark.parametrize("name", ["sphere", "rosenbrock", "rastrigin", "ackley"])
def test_the_test_functions_have_the_optimum_that_the_study_file_names(name: str) -> None:
    study = ps.load_study(QUICKSTART / "study.yaml")
    payload = next(p for p in study.problems if p.problem_id == name).payload
    function = example("quickstart/agents.py").FUNCTIONS[payload["function"]]
    argmin = list(payload["argmin"])
    scored = example("quickstart/agents.py").distance_from_optimum(
        argmin, ps.Problem(problem_id=name, payload=dict(payload))
    )
    assert scored["distance"] == 0
    assert scored["best_value"] == pytest.approx(0, abs=1e-12)
    nearby = example("quickstart/agents.py").np.array(argmin) + 0.01
    assert function(nearby) > scored["best_value"]


def test_the_table_shows_every_condition_of_the_quickstart(
    quickstart: ps.StudyResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(QUICKSTART, tmp_path / "copy", ignore=shutil.ignore_patterns("artifacts"))
    artifacts = tmp_path / "copy" / "artifacts" / "search-strategies"
    shutil.copytree(quickstart.output_dir, artifacts)
    spec = importlib.util.spec_from_file_location("table", tmp_path / "copy" / "table.py")
    assert spec is not None
    assert spec.loader is not None
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    table.main()
    printed = capsys.readouterr().out
    assert printed.count("±") == 1 + 36
    assert "720 runs" in printed
    assert str(artifacts) in printed


def test_what_a_page_takes_from_a_file_is_there() -> None:
    """A formatter once turned the mark of a snippet into a subtraction, and the page showed it."""
    for page in (ROOT / "docs").glob("*.md"):
        for line in page.read_text(encoding="utf-8").splitlines():
            if re.search(r"-8 ?< ?-", line):
                found = re.fullmatch(r'--8<-- "([\w./]+)(?::(\w+))?"', line)
                assert found, f"{page.name}: {line}"
                text = (EXAMPLES / found[1]).read_text(encoding="utf-8")
                assert found[2] is None or f"--8<-- [start:{found[2]}]" in text


# GSM8K


def test_the_quickstart_says_which_strategy_wins_at_which_budget(
    quickstart: ps.StudyResult,
) -> None:
    found = quickstart.analyze()

    assert [each.verdict for each in found.hypotheses] == ["supported", "supported"]
    assert all("these 4 problems and no others" in each.sentence for each in found.hypotheses)
    winners = {each.setting["budget"]: each for each in found.outcomes["best_value"].winners}
    assert {budget: each.best for budget, each in winners.items()} == {
        100: "local_search",
        300: "local_search",
        1000: "differential_evolution",
    }
    assert all(each.is_shown for each in winners.values())


def test_a_debate_is_argued_round_by_round_and_judged(tmp_path: Path) -> None:
    study = ps.load_study(EXAMPLES / "debate" / "study.yaml")
    results = ps.run_study(study, output_dir=tmp_path / "results", report=False)
    with closing(sqlite3.connect(tmp_path / "results" / "study.sqlite")) as store:
        asked = store.execute(
            "SELECT factors ->> '$.rounds', calls.model_name, count(*) / count(DISTINCT run_id) "
            "FROM calls JOIN runs USING (run_id) JOIN conditions USING (condition_id) "
            "GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
        heard = store.execute("SELECT max(json_array_length(messages)) FROM calls").fetchone()

    assert results.summary.succeeded == 8
    assert asked == [
        (1, "judge", 1),
        (1, "opponent", 1),
        (1, "proposer", 1),
        (3, "judge", 1),
        (3, "opponent", 3),
        (3, "proposer", 3),
    ]
    assert heard == (2,)
    for result in results:
        assert [each.event_type for each in result.observations[:2]] == ["statement"] * 2
        assert result.metrics["primary_outcome"] in {3.0, 6.0, 8.0}


@pytest.fixture(scope="module")
def recorded(gsm8k: Path, tmp_path_factory: pytest.TempPathFactory) -> ps.StudyResult:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GSM8K_DIR", str(gsm8k))
        study = ps.load_study(EXAMPLES / "gsm8k" / "study.yaml")
        assert study.run_budget.parallelism == 500
        to = tmp_path_factory.mktemp("gsm8k") / "results"
        return ps.run_study(study, output_dir=to, report=False)


def test_gsm8k_from_recorded_answers_gives_the_published_totals(recorded: ps.StudyResult) -> None:
    results = recorded
    correct: Counter[str] = Counter()
    for row in results.to_rows():
        correct[row["agent_id"]] += row["primary_outcome"]

    assert results.summary.succeeded == 2 * 1319
    assert results.summary.failed == 0
    assert correct == {"6b_finetuning": 286, "6b_verification": 515}


def test_gsm8k_says_that_verification_beats_finetuning_with_its_interval(
    recorded: ps.StudyResult,
) -> None:
    with StoreReader(recorded.output_dir) as store:
        view = report_view(store, store.study(), texts="none")

    # By hand: McNemar's test counts the problems that one of the two alone solved; the interval
    # is that of the mean of 1,319 differences of 1, 0 and -1.
    right: dict[str, set[str]] = {"6b_finetuning": set(), "6b_verification": set()}
    for row in recorded.to_rows():
        if row["primary_outcome"] == 1:
            right[row["agent_id"]].add(row["problem_id"])

    gained = len(right["6b_verification"] - right["6b_finetuning"])
    lost = len(right["6b_finetuning"] - right["6b_verification"])
    trials = gained + lost
    p = 2 * sum(comb(trials, k) for k in range(lost + 1)) / 2**trials
    mean = (gained - lost) / 1319
    spread = sqrt((trials / 1319 - mean**2) * 1319 / 1318)
    half = 1.96177 * spread / sqrt(1319)  # t of 1,318 degrees of freedom
    (verdict,) = view.verdicts
    assert (verdict.name, verdict.word) == ("h1", "supported")
    assert verdict.sentence == "6b_verification lies 17.4 points above 6b_finetuning."
    assert verdict.how.startswith("McNemar's exact test on 1,319 problems · p\u00a0<\u00a0.001")
    assert p < 0.001
    assert verdict.estimate == pytest.approx(mean, abs=1e-12)
    assert mean == pytest.approx((515 - 286) / 1319)
    assert verdict.low == pytest.approx(mean - half, abs=1e-6)
    assert verdict.high == pytest.approx(mean + half, abs=1e-6)


def test_gsm8k_without_its_folder_says_which_variable_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GSM8K_DIR", raising=False)
    with pytest.raises(StudyFileError, match=r"environment variable GSM8K_DIR, which is not"):
        ps.load_study(EXAMPLES / "gsm8k" / "study.yaml")


# Subscribers


async def test_a_study_slows_down_when_retries_come_and_speeds_up_again(tmp_path: Path) -> None:
    refused: set[str] = set()

    async def busy_provider(ctx: ps.RunContext) -> str:
        await anyio.lowlevel.checkpoint()
        if 40 <= ctx.planned_order < 80 and ctx.spec.run_id not in refused:
            refused.add(ctx.spec.run_id)
            raise ConnectionError("too many requests")

        return "done"

    study, bindings = tiny_study(busy_provider, run_budget=RunBudget(replicates=400))
    runner = ps.StudyRunner(
        study,
        agent_bindings=bindings,
        parallelism=16,
        output_dir=tmp_path,
        retry=ps.Retry(attempts=3, wait_s=0.001),
    )
    slow_down = example("subscribers.py").slow_down_on_retries(runner)
    runner.subscribe(slow_down, RunRetried, RunSucceeded)
    limits: list[int] = []

    @runner.on(LimitChanged)
    def note(event: LimitChanged) -> None:
        limits.append(event.limit)

    summary = await runner.run()
    assert summary.succeeded == 400
    assert summary.session.retried == 40
    assert limits[0] == 8
    assert min(limits) >= 1
    assert any(later > earlier for earlier, later in pairwise(limits))
    assert max(limits) <= 16


async def test_retries_of_one_moment_halve_the_concurrency_once(tmp_path: Path) -> None:
    arrived = 0
    everyone_is_here = anyio.Event()

    async def refused_together(ctx: ps.RunContext) -> str:
        nonlocal arrived
        if ctx.attempt > 1:
            return "done"

        arrived += 1
        if arrived == 16:
            everyone_is_here.set()

        await everyone_is_here.wait()
        raise ConnectionError("too many requests")

    study, bindings = tiny_study(refused_together, run_budget=RunBudget(replicates=16))
    runner = ps.StudyRunner(
        study,
        agent_bindings=bindings,
        parallelism=16,
        output_dir=tmp_path,
        retry=ps.Retry(attempts=2, wait_s=0),
    )
    runner.subscribe(example("subscribers.py").slow_down_on_retries(runner), RunRetried)
    await runner.run()
    assert runner.concurrency == 8


async def test_a_study_stops_when_its_spending_passes_a_sum_and_can_go_on(tmp_path: Path) -> None:
    async def dear(ctx: ps.RunContext) -> str:
        await anyio.lowlevel.checkpoint()
        ctx.record(cost_usd=0.25)
        return "done"

    study, bindings = tiny_study(dear, run_budget=RunBudget(replicates=100, parallelism=2))
    runner = ps.StudyRunner(study, agent_bindings=bindings, output_dir=tmp_path)
    stop = example("subscribers.py").stop_at_cost(runner, 5.0)
    runner.subscribe(stop, RunRetried, ps.RunFinished)
    reasons: list[str] = []

    @runner.on(StudyStopping)
    def note(event: StudyStopping) -> None:
        reasons.append(event.reason)

    summary = await runner.run()
    assert 5.0 <= summary.cost_usd < 10.0
    assert summary.remaining > 0
    (reason,) = reasons
    assert reason.endswith("of $5.00")

    rest = await ps.StudyRunner(study, agent_bindings=bindings, output_dir=tmp_path).run()
    assert rest.session.restored == summary.succeeded
    assert rest.remaining == 0


@pytest.mark.field("studies-N6")
async def test_the_sum_at_which_a_study_stops_is_that_of_all_its_sessions(tmp_path: Path) -> None:
    async def dear(ctx: ps.RunContext) -> str:
        await anyio.lowlevel.checkpoint()
        ctx.record(cost_usd=0.25)
        return "done"

    study, bindings = tiny_study(dear, run_budget=RunBudget(replicates=100))
    made = []
    for _ in range(3):
        runner = ps.StudyRunner(study, agent_bindings=bindings, output_dir=tmp_path)
        stop = example("subscribers.py").stop_at_cost(runner, 1.0)
        runner.subscribe(stop, StudyStarted, RunRetried, ps.RunFinished)
        summary = await runner.run()
        made.append(summary.session.attempts)

    assert made[0] >= 4
    assert max(made[1:]) <= 1, "what had begun when it was told to stop"
    assert summary.cost_usd == sum(made) * 0.25
    assert "of $1.00" in str(summary.stopped_because)


async def test_both_subscribers_let_an_ordinary_study_run_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text("async def agent(ctx):\n    return 'done'\n")
    study = ps.Study(
        study_id="s",
        title="t",
        agents={"a": "agents.py:agent"},
        problems=(ps.Problem(problem_id="p"),),
        run_budget=RunBudget(replicates=10, parallelism=4),
        base_dir=tmp_path,
    )
    summary = await example("subscribers.py").run_carefully(study, limit_usd=1.0)
    assert summary.succeeded == 10


# The code in the documentation

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r'^```(\w+)(?: title="([^"]+)")?[^\n]*\n(.*?)^```$', re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_block_of_code_in_the_documentation_is_true(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Do in an empty folder what the reader of a page would do.

    A block with a title is a file, or a part of an example; a ``pyproject.toml`` is installed.
    Python without a title is run, SQL is asked of the study that was run, YAML is a part of a
    study file.
    """
    monkeypatch.chdir(tmp_path)
    page = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", page)
    for language, title, code in FENCED.findall(document.read_text(encoding="utf-8")):
        if title and (EXAMPLES / title).is_file():
            assert "--8<--" in code or code in (EXAMPLES / title).read_text(encoding="utf-8")
        elif title:
            (tmp_path / title).write_text(code, encoding="utf-8")
            if title == "pyproject.toml":
                install(code, tmp_path, monkeypatch)
        elif language == "python":
            run_python(code, page)
        elif language == "sql":
            ask_the_store(code, tmp_path)
        elif language == "yaml":
            load_as_part_of_a_study(code, tmp_path / "part")


@pytest.mark.field("studies-N5")
def test_the_script_of_the_readme_passes_a_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = FENCED.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    for _, title, code in blocks:
        if title:
            (tmp_path / title).write_text(code, encoding="utf-8")

    (script,) = [code for *_, code in blocks if "ps.run_study(study)" in code]
    for restored in (0, 20):
        page = ModuleType("page")
        run_python(script, page)
        assert page.results.summary.session.restored == restored


@pytest.mark.parametrize("kind", DesignKind)
def test_the_page_on_studies_tells_of_every_kind_of_design(kind: DesignKind) -> None:
    assert f"| `{kind}`" in (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")


def test_the_page_on_the_command_line_tells_of_every_command_and_option() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    for name, command in typer.main.get_group(app).commands.items():
        assert f"penstock {name}" in page
        for parameter in command.params:
            for option in (*parameter.opts, *parameter.secondary_opts):
                assert not option.startswith("--") or option == "--help" or f"`{option}" in page


@pytest.mark.parametrize("name", ps.__all__)
def test_the_reference_holds_every_public_name(name: str) -> None:
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert f"::: penstock.{name}\n" in reference


def install(pyproject: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a project as ``pip install -e`` does: its folder is on the path, its names known."""
    project = tomllib.loads(pyproject)["project"]
    install_package(folder, project["name"], entry_points=project["entry-points"])
    monkeypatch.syspath_prepend(folder)


def run_python(code: str, page: ModuleType) -> None:
    compiled = compile(code, "<documentation>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if not compiled.co_flags & inspect.CO_COROUTINE:
        exec(compiled, page.__dict__)
        return

    async def run() -> None:
        await eval(compiled, page.__dict__)

    anyio.run(run)


def ask_the_store(query: str, folder: Path) -> None:
    (path,) = folder.rglob("study.sqlite")
    with closing(sqlite3.connect(path)) as store:
        assert store.execute(query).fetchall()


def load_as_part_of_a_study(part: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "questions.csv").write_text("id,question,answer\n1,What is 1 + 1?,2\n")
    needed = {"study_id": "part", "title": "A part of a study"}
    lines = [f"{name}: {text}" for name, text in needed.items() if f"{name}:" not in part]
    path = folder / "study.yaml"
    path.write_text("\n".join([*lines, part]), encoding="utf-8")
    ps.load_study(path)


# Embedding


def test_an_embedded_study_outlives_clients_and_goes_on_after_a_shutdown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "open sesame")
    planned, first_session = 300, 120
    answered: list[str] = []
    client_listens, half_way, second_session = (threading.Event() for _ in range(3))

    async def agent(ctx: ps.RunContext) -> str:
        if not client_listens.is_set():
            await anyio.to_thread.run_sync(client_listens.wait, 30)

        await anyio.lowlevel.checkpoint()
        if len(answered) == first_session and not second_session.is_set():
            half_way.set()
            await anyio.sleep_forever()  # in flight until the shutdown cancels it

        answered.append(ctx.spec.run_id)
        return "done"

    budget = RunBudget(replicates=planned, parallelism=8)
    study, bindings = tiny_study(agent, run_budget=budget)
    embedding = example("embed_fastapi.py")

    def app() -> Any:
        return embedding.create_app(
            study, agent_bindings=bindings, output_dir=tmp_path, grace_s=0.05
        )

    with served(app()) as first:
        assert first.client.get("/summary").json()["succeeded"] == 0
        with first.client.stream("GET", "/events") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            client_listens.set()
            for name, data in server_sent(response.iter_lines()):
                assert data["study_id"] == "tiny"
                if name == "RunsSaved":
                    break  # and disconnect

        assert half_way.wait(30)
        assert first.client.get("/study/", follow_redirects=True).status_code == 403
        first.client.cookies.set("key", "open sesame")
        page = first.client.get("/study/", follow_redirects=True)
        assert '"state":"running"' in page.text
        with first.client.stream("GET", "/events") as response:
            first.shut_down()  # with a client that still listens, and is cut off
            with pytest.raises(httpx.RemoteProtocolError):
                response.read()

    assert len(answered) == first_session
    with closing(sqlite3.connect(tmp_path / "study.sqlite")) as store:
        assert store.execute("SELECT count(*) FROM runs").fetchone() == (first_session,)
        assert store.execute("SELECT ending FROM session").fetchone() == (
            "stopped: cancelled by the host",
        )

    second_session.set()
    with served(app()) as second:
        with second.client.stream("GET", "/events") as response:
            response.read()  # ends with the study

        summary = second.client.get("/summary").json()
        assert summary["session"]["restored"] == first_session
        assert summary["session"]["succeeded"] == planned - first_session
        assert summary["succeeded"] == planned

    assert len(answered) == len(set(answered)) == planned


def test_an_application_whose_study_cannot_run_goes_on_serving(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        return "done"

    study, bindings = tiny_study(agent)
    ps.run_study(study, agent_bindings=bindings, output_dir=tmp_path)
    other = study.model_copy(update={"study_id": "other"})
    app = example("embed_fastapi.py").create_app(
        other, agent_bindings=bindings, output_dir=tmp_path
    )
    with served(app) as application:
        assert application.client.get("/summary").json()["session"]["started"] == 0


@pytest.mark.field("studies-R5")
def test_no_page_denies_the_chat_models_that_another_documents() -> None:
    docs = Path(__file__).parents[1] / "docs"
    pages = {page.name: " ".join(page.read_text().split()) for page in docs.glob("*.md")}
    denying = [name for name, text in pages.items() if re.search(r"brings no .{0,9}client", text)]

    assert denying == []
    assert "needs no code: declare it ([Chat models](chat-models.md))" in pages["agents.md"]
