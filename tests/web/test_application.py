"""The live page over its store: what is answered, and what is not while the study is blind."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest

import penstock as ps
from penstock.store.actions import actions
from penstock.store.reader import StoreReader
from penstock.web import app
from penstock.web.application import _told
from penstock.web.looking import LiveStudy
from tests.page.studies import HOSTILE, run_part, run_study
from tests.web.pages import asking

pytestmark = pytest.mark.anyio

CANARY = 0.7351947
"""A score that nobody could have written by chance."""

CANARY_COST = 0.048151


async def telling(ctx: Any) -> str:
    if ctx.problem.problem_id == "p3" and ctx.spec.replicate == 2:
        raise RuntimeError("the line broke")

    ctx.record(correct=CANARY, cost_usd=CANARY_COST)
    return f"The answer to {ctx.problem.brief}"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_study(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_part(tmp_path_factory.mktemp("part"), agent=telling)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    return run_study(folder, title="".join(HOSTILE[:3]), study_id="hostile-title")


async def everything(client: httpx.AsyncClient) -> dict[str, str]:
    """Ask all that a page asks."""
    one = "/studies/results"
    rows = (await client.get(f"{one}/rows?limit=200")).json()["rows"]
    runs = [f"{one}/runs/{row['id']}" for row in rows]
    paths = ["/list", f"{one}/", f"{one}/report", f"{one}/rows?limit=200", *runs]
    return {path: (await client.get(path)).text for path in paths}


async def test_while_runs_are_left_no_answer_holds_a_score_or_tells_conditions_apart(
    blind: Path,
) -> None:
    async with asking(blind) as client:
        found = await everything(client)
        rows = json.loads(found["/studies/results/rows?limit=200"])["rows"]
        tone = [
            (await client.get(f"/studies/results/rows?condition={place}")).json()["rows"]
            for place in (0, 1)
        ]

    assert len(found) == 4 + 30
    assert found["/studies/results/report"] == "it is withheld until every planned run has ended"
    study = LiveStudy(blind)
    snapshot = (await anext(_told(study))).decode()
    for path, text in {**found, "events": snapshot}.items():
        assert "7351947" not in text, path
        assert "048151" not in text, path  # the costs of one run could be an outcome

    assert {row["condition"] for row in rows if row["status"] == "success"} == {""}
    assert {row["condition"] for row in rows if row["status"] == "failed"} <= {"plain", "polite"}
    assert {row["order"] for row in rows} == {None}
    assert {row["status"] for each in tone for row in each} <= {"failed"}
    view = await study.look()
    assert view.is_blind
    assert sum(view.ended) == 30
    assert {each.condition for each in view.newest if each.status == "success"} <= {""}


async def test_when_all_runs_have_ended_the_page_is_the_report_with_runs_from_the_server(
    results: Path,
) -> None:
    async with asking(results) as client:
        front = await client.get("/")
        page = await client.get("/studies/results/")
        rows = (await client.get("/studies/results/rows?limit=10&offset=40")).json()
        run = (await client.get(f"/studies/results/runs/{rows['rows'][0]['id']}")).json()

    assert front.headers["location"] == "studies/results/"
    assert "H1" in page.text.upper()
    assert "Evidence" in page.text
    assert "Complete" in page.text or '"state":"failed"' in page.text
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    assert rows["total"] == 48
    assert [row["order"] for row in rows["rows"]] == list(range(41, 49))
    assert run["condition"] == "polite"
    assert run["answer"].startswith("The answer to Add")


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("", 48),
        ("status=2", 1),
        ("condition=0", 24),
        ("problem=3", 6),
        ("condition=1&problem=3", 3),
    ],
)
async def test_runs_are_chosen_by_status_condition_and_problem(
    results: Path, query: str, total: int
) -> None:
    async with asking(results) as client:
        await client.get("/studies/results/")
        found = (await client.get(f"/studies/results/rows?{query}")).json()

    assert found["total"] == len(found["rows"]) == total


async def test_the_report_of_what_is_saved_is_there_where_nothing_is_withheld(
    results: Path,
) -> None:
    async with asking(results) as client:
        report = await client.get("/studies/results/report")

    assert report.status_code == 200
    assert "connect-src" not in report.headers["content-security-policy"]
    assert "Made by penstock" in report.text


async def test_hostile_answers_and_titles_are_text(hostile: Path) -> None:
    async with asking(hostile) as client:
        pages = [(await client.get(path)).text for path in ("/studies/results/", "/")]
        rows = (await client.get("/studies/results/rows?problem=1&status=1")).json()["rows"]
        run = await client.get(f"/studies/results/runs/{rows[0]['id']}")

    assert all("<img src=x" not in page for page in pages)
    assert all("document.title='owned'</script>" not in page for page in pages)
    assert run.headers["content-type"] == "application/json"
    assert run.headers["x-content-type-options"] == "nosniff"
    assert run.json()["answer"] == f"The answer to Add 1 is {HOSTILE[1]}"


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "%2e%2e",
        "..%2f..%2fetc%2fpasswd",
        "%2fetc%2fpasswd",
        "results%00",
    ],
)
async def test_a_name_is_looked_up_and_never_a_path(results: Path, name: str) -> None:
    async with asking(results) as client:
        found = [await client.get(f"/studies/{name}/{what}") for what in ("rows", "runs/x", "")]

    assert {answer.status_code for answer in found} <= {404, 307, 303}
    assert not any("root:" in answer.text for answer in found)


@pytest.mark.parametrize("query", ["offset=-1", "limit=x", "status=1.5", "problem=9999999999999"])
async def test_what_is_not_a_whole_number_is_refused(results: Path, query: str) -> None:
    async with asking(results) as client:
        assert (await client.get(f"/studies/results/rows?{query}")).status_code == 400


async def test_a_run_that_is_not_there_is_said_to_be_missing(results: Path) -> None:
    async with asking(results) as client:
        answer = await client.get("/studies/results/runs/run-nothing")

    assert answer.status_code == 404
    assert answer.json()["errors"] == ["there is no run 'run-nothing'"]


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
async def test_nothing_is_done_by_any_other_method(results: Path, method: str) -> None:
    async with asking(results, control=True) as client:
        for path in ("/", "/list", "/studies/results/", "/studies/results/actions"):
            answer = await client.request(method, path, content=b'{"do": "unblind"}')
            assert answer.status_code == 405, path
            assert answer.headers["x-frame-options"] == "DENY"

        assert (await client.get("/studies/results/actions")).status_code == 405
        for path in ("/studies/results/", "/studies/results/events"):
            assert (await client.head(path)).text == ""

    with StoreReader(results) as store:
        assert actions(store) == []


async def test_a_page_that_reads_does_not_act(results: Path) -> None:
    async with asking(results) as client:
        answer = await client.post("/studies/results/actions", json={"do": "pause"})

    assert answer.status_code == 403
    assert "--control" in answer.text


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"content": b'{"do": "pause"}', "headers": {"content-type": "text/plain"}}, 415),
        ({"json": {"do": "dance"}}, 400),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ({"json": {"do": "pause", "reason": "x" * 70_000}}, 413),
        ({"json": {"do": "pause"}}, 409),
    ],
)
async def test_an_action_that_cannot_be_done_is_refused_and_says_why(
    results: Path, options: dict[str, Any], status: int
) -> None:
    async with asking(results, control=True) as client:
        answer = await client.post("/studies/results/actions", **options)

    assert answer.status_code == status
    assert answer.text


async def test_what_needs_no_process_is_done_and_kept_with_who_did_it(tmp_path: Path) -> None:
    results = await anyio.to_thread.run_sync(run_part, tmp_path)

    def ada(connection: Any) -> str:
        return "ada"

    async with asking(results, control=True, authorize=ada) as client:
        unsaid = await client.post("/studies/results/actions", json={"do": "unblind"})
        answer = await client.post(
            "/studies/results/actions", json={"do": "unblind", "reason": "the board asks"}
        )
        page = await client.get("/studies/results/")

    assert unsaid.status_code == 409
    assert answer.json() == {"errors": [], "now": {}}
    assert "the board asks" in page.text
    with StoreReader(results) as store:
        assert [(each.who, each.what) for each in actions(store)] == [("ada (page)", "unblind")]


async def test_a_browser_hears_a_snapshot_then_what_has_changed_and_nothing_twice(
    tmp_path: Path,
) -> None:
    study = LiveStudy(tmp_path / "results")
    told = _told(study)
    first = await anext(told)
    with anyio.fail_after(240):
        async with anyio.create_task_group() as both:
            both.start_soon(partial(anyio.to_thread.run_sync, partial(run_study, tmp_path)))
            heard = [await anext(told)]
            while b'"planned":48' not in heard[-1]:
                heard.append(await anext(told))

    assert first.startswith(b"event: snapshot\n")
    assert b'"state":"not begun"' in first
    assert all(each.startswith(b"event: changes\n") for each in heard)


async def test_several_studies_are_listed_also_those_begun_later(tmp_path: Path) -> None:
    one = partial(run_study, tmp_path / "one", study_id="one", title="<i>One</i>")
    two = partial(run_part, tmp_path / "two", study_id="two")
    await anyio.to_thread.run_sync(one)
    application = app(tmp_path)
    async with asking(tmp_path) as client:
        before = [each["id"] for each in (await client.get("/list")).json()]
        await anyio.to_thread.run_sync(two)
        after = {each["name"]: each for each in (await client.get("/list")).json()}
        page = await client.get("/")

    assert before == ["one"]
    assert [each["id"] for each in after.values()] == ["one", "two"]
    assert list(after) == ["results", "results-2"]
    assert after["results-2"]["succeeded"] + after["results-2"]["failed"] == 30
    assert "<i>One" not in page.text
    assert application.token not in page.text


async def test_a_study_that_was_not_begun_is_waited_for(tmp_path: Path) -> None:
    async with asking(tmp_path / "nothing") as client:
        page = await client.get("/studies/nothing/")
        rows = await client.get("/studies/nothing/rows")

    assert '"state":"not begun"' in page.text
    assert rows.json() == {"total": 0, "rows": []}


async def test_a_runner_of_this_process_is_looked_at_and_steered(tmp_path: Path) -> None:
    begun, go_on = anyio.Event(), anyio.Event()

    async def waits(ctx: Any) -> str:
        begun.set()
        await go_on.wait()
        return "42"

    study = ps.Study(
        study_id="here",
        title="Here",
        problems=(ps.Problem(problem_id="p"),),
        agent_specs=("a",),
        replicates=4,
        output_dir=tmp_path / "here",
        execution=ps.Execution(concurrency=2),
    )
    runner = ps.StudyRunner(study, agent_bindings={"a": waits}, show_progress=False)
    async with asking(runner, control=True) as client, anyio.create_task_group() as tasks:
        early = await client.post("/studies/here/actions", json={"do": "pause"})
        tasks.start_soon(runner.run)
        await begun.wait()
        wider = {"do": "set", "values": {"execution.concurrency": 3}, "reason": "the night"}
        done = await client.post("/studies/here/actions", json=wider)
        wrong = await client.post(
            "/studies/here/actions", json={"do": "set", "values": {"execution.grace": 3}}
        )
        view = json.loads((await client.get("/list")).text)[0]
        limit = runner.concurrency
        go_on.set()

    assert early.status_code == 409
    assert done.json() == {"errors": [], "now": {"state": "running", "limit": 3}}
    assert wrong.status_code == 409
    assert "cannot be set" in wrong.json()["errors"][0]
    assert view["state"] == "running"
    assert limit == 3
    with StoreReader(tmp_path / "here") as store:
        (kept,) = actions(store)
        assert (kept.what, kept.new, kept.reason) == ("set execution.concurrency", "3", "the night")
        assert kept.who.endswith(" (page)")
