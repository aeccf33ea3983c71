"""The ASGI application of the live page: which address answers what."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import orjson
import pydantic
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from penstock._base.pydantic_errors import sentences_of
from penstock.control import protocol
from penstock.control.controlled import Controlled
from penstock.errors import PenstockError
from penstock.page.live_page import ListedStudy, LiveHead, list_page, live_page
from penstock.page.live_view import changes_between
from penstock.page.render import Page, render_report
from penstock.page.report import report_view
from penstock.page.view import ReportView
from penstock.store.actions import this_person
from penstock.store.reader import StoreReader
from penstock.web.guarding import LOOPBACK, Authorize, Guard
from penstock.web.looking import EVERY_S, LiveStudy, news_of
from penstock.web.paging import MOST_ROWS, chosen_positions, one_run, rows_of
from penstock.web.served_studies import Studies

__all__ = ["Application", "Served", "app"]

Served: TypeAlias = Controlled | Path | str
"""A study that is served: its runner, its output directory, or a folder of several."""

_SILENCE_S = 15.0
"""After so long a browser is told that nothing has changed, which finds those that have gone."""

_LONGEST_REQUEST = 1 << 16
_BODY_S = 10.0
"""How long an action may take to come."""


def app(
    studies: Served | Iterable[Served],
    *,
    authorize: Authorize | None = None,
    control: bool = False,
    hosts: Collection[str] | None = None,
    token: str | None = None,
) -> Application:
    """Make the live page as an ASGI application, to serve or to mount.

    It reads stores, and asks studies that run; nothing is written unless ``control`` is given.
    It is mounted as ``application.mount("/study", penstock.web.app(runner))``.

    Args:
        studies: A `StudyRunner` of this process, the output directory of a study that runs, has
            run or was killed, a folder that holds several, or an iterable of them.
        authorize: Says whether a request may look (and, with ``control``, act): a function, plain
            or async, of a Starlette connection. It returns True, or a text that says who asks,
            which is kept with what they do; False or an empty text refuses. Where it is not given,
            whoever brings the token may.
        control: Whether studies may be paused, resumed, stopped, set and unblinded.
        hosts: The names under which the page may be asked, such as ``study.example.org``; with
            ``*``, any numeric address too. Where it is not given: those of this machine, or, with
            ``authorize``, any, as the application that it is mounted in has its own rule.
        token: What a browser brings as ``?token=`` and then in a cookie; random, where not given.

    Returns:
        The application; its ``token`` is the token.
    """
    is_one = isinstance(studies, (str, Path)) or hasattr(studies, "steering")
    several: Any = [studies] if is_one else studies
    given: list[Any] = [Path(each) if isinstance(each, str) else each for each in several]
    if hosts is None and authorize is None:
        hosts = LOOPBACK

    token = secrets.token_urlsafe(32) if token is None else token
    return Application(
        Studies(given, control=control), authorize=authorize, hosts=hosts, token=token
    )


class Application:
    """The live page of some studies, as an ASGI application.

    Args:
        studies: The studies.
        authorize: See `app`.
        hosts: See `app`; None for any.
        token: See `app`.

    Attributes:
        token: The token.
        is_over: Says whether the server is about to end: then nothing more is told.
    """

    def __init__(
        self,
        studies: Studies,
        *,
        authorize: Authorize | None,
        hosts: Collection[str] | None,
        token: str,
    ) -> None:
        self.token = token
        self.is_over: Callable[[], bool] = lambda: False
        self._studies = studies
        one = "/studies/{name}"
        routes = [
            Route("/", self._front),
            Route("/list", self._list),
            Route(f"{one}/", self._page),
            Route(f"{one}/events", self._events),
            Route(f"{one}/rows", self._rows),
            Route(f"{one}/runs/{{run_id}}", self._run),
            Route(f"{one}/report", self._report),
            Route(f"{one}/actions", self._act, methods=["POST"]),
        ]
        failures: Any = {PenstockError: _failed}
        application = Starlette(routes=routes, exception_handlers=failures)
        self._guard = Guard(application, token=token, authorize=authorize, hosts=hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._guard(scope, receive, send)

    def _study(self, request: Request) -> LiveStudy:
        study = self._studies.find(request.path_params["name"])
        if study is None:
            raise HTTPException(404, "there is no study of this name here")

        return study

    async def _front(self, _: Request) -> Response:
        """Answer with the list of studies; where there is one study, lead to it."""
        if (only := self._studies.only) is not None:
            return RedirectResponse(f"studies/{only}/", status_code=303)

        return _html(list_page(await self._listed()))

    async def _list(self, _: Request) -> Response:
        return _json([each.told() for each in await self._listed()])

    async def _listed(self) -> list[ListedStudy]:
        self._studies.look()
        found = []
        for name in self._studies.names():
            study = self._studies.find(name)
            if study is not None:
                view = await study.look()
                found.append(
                    ListedStudy(name=name, study_id=study.study_id, title=study.title, view=view)
                )

        return found

    async def _page(self, request: Request) -> Response:
        study = self._study(request)
        view = await study.look()
        report = None
        if not view.is_running and not view.is_blind and view.succeeded:
            report = await study.report()

        matrix = study.saved.matrix
        laid = {}
        if matrix is not None:
            laid = {
                "conditions": tuple(matrix.conditions),
                "problems": tuple(matrix.problems),
                "grouped": matrix.grouped,
                "planned": tuple(matrix.planned),
            }

        head = LiveHead(
            study_id=study.study_id,
            title=study.title,
            may_act=study.may_act,
            is_listed=self._studies.only is None,
            **laid,
        )
        return _html(live_page(head, view, report))

    async def _events(self, request: Request) -> Response:
        headers = {"x-accel-buffering": "no"}
        told = _told(self._study(request), self.is_over)
        if request.method == "HEAD":  # it would be told for ever, and hear nothing
            return Response(media_type="text/event-stream", headers=headers)

        return StreamingResponse(told, media_type="text/event-stream", headers=headers)

    async def _rows(self, request: Request) -> Response:
        study = self._study(request)
        await study.look()
        asked = {name: _number(request, name) for name in ("status", "condition", "problem")}
        offset, limit = _number(request, "offset") or 0, _number(request, "limit") or MOST_ROWS
        positions = chosen_positions(
            study.saved, status=asked["status"], row=asked["condition"], problem=asked["problem"]
        )
        page = positions[offset : offset + min(limit, MOST_ROWS)].tolist()
        rows = []
        if page:
            rows = await study.ask_store(partial(rows_of, saved=study.saved, positions=page))

        return _json({"total": len(positions), "rows": rows})

    async def _run(self, request: Request) -> Response:
        study, run_id = self._study(request), request.path_params["run_id"]
        await study.look()
        return _json(await study.ask_store(partial(one_run, saved=study.saved, run_id=run_id)))

    async def _report(self, request: Request) -> Response:
        """Answer with the report of what is saved by now, as ``penstock report`` writes it.

        While the study is blind there is none: it tells the condition of each answer, and its cost.
        """
        study = self._study(request)
        if (await study.look()).is_blind:
            raise HTTPException(403, "it is withheld until every planned run has ended")

        view = await study.ask_store(_whole_report)
        return _html(render_report(view))

    async def _act(self, request: Request) -> Response:
        """Do something to a study; the answer says what is wrong, and what is so at once."""
        study = self._study(request)
        if not study.may_act:
            raise HTTPException(403, "this page only reads; start it with --control to act")

        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise HTTPException(415, "an action is JSON")

        try:
            asked = protocol.Request.model_validate_json(await _body(request))
        except pydantic.ValidationError as error:
            return _json({"errors": list(sentences_of(error, protocol.Request))}, status=400)

        who = request.scope.get("penstock.who") or this_person()
        try:
            reply = await study.do(asked.model_copy(update={"who": f"{who} (page)"}))
        except PenstockError as error:
            return _json({"errors": [str(error)]}, status=409)

        study.look_anew()
        status = 409 if reply.errors else 200
        return _json({"errors": list(reply.errors), "now": news_of(reply)}, status)


async def _told(
    study: LiveStudy, is_over: Callable[[], bool] = lambda: False
) -> AsyncIterator[bytes]:
    """Stream where a study stands: a snapshot, then what has changed, as server-sent events."""
    known: dict[str, Any] | None = None
    silence_s = 0.0
    while not is_over():
        now = (await study.look()).told()
        said = now if known is None else changes_between(known, now)
        if said:
            name = b"snapshot" if known is None else b"changes"
            yield b"event: %s\ndata: %s\n\n" % (name, orjson.dumps(said))
            silence_s = 0.0
        elif silence_s >= _SILENCE_S:
            yield b": nothing has changed\n\n"
            silence_s = 0.0

        known = now
        silence_s += EVERY_S
        await anyio.sleep(EVERY_S)


async def _body(request: Request) -> bytes:
    body = b""
    with anyio.move_on_after(_BODY_S):
        async for piece in request.stream():
            body += piece
            if len(body) > _LONGEST_REQUEST:
                raise HTTPException(413, "an action is shorter than that")

        return body

    raise HTTPException(408, "an action comes sooner than that")


async def _failed(_: Request, error: Exception) -> Response:
    return _json({"errors": [str(error)]}, status=404)


def _whole_report(store: StoreReader) -> ReportView:
    return report_view(store, store.study())


def _number(request: Request, name: str) -> int | None:
    """Return a whole number of the query; None where it is not given.

    Raises:
        HTTPException: it is not a whole number.
    """
    text = request.query_params.get(name, "")
    if not text:
        return None

    if not text.isdecimal() or len(text) > 12:  # noqa: PLR2004 - more than there can be runs
        raise HTTPException(400, f"{name} must be a whole number")

    return int(text)


def _html(page: Page) -> Response:
    policy = f"{page.policy}; frame-ancestors 'none'"
    text = page.text.encode("utf-8", "replace")  # half a surrogate pair
    return HTMLResponse(text, headers={"content-security-policy": policy})


def _json(value: Any, status: int = 200) -> Response:
    text = orjson.dumps(value, default=list)
    return Response(text, status_code=status, media_type="application/json")
