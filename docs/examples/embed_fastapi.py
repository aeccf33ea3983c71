"""A study inside a FastAPI application: it runs while the application serves.

    STUDY=study.yaml python embed_fastapi.py

``GET /summary`` says where the study stands, ``GET /events`` sends what happens as it happens
(server-sent events), and ``/study`` is the live page, for whoever brings the key of the environment
variable KEY. Shutting the application down stops the study; starting it again goes on.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Unpack

import anyio
import structlog
import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.requests import HTTPConnection

import penstock as ps
import penstock.web
from penstock.events import RunsSaved, StudyEvent
from penstock.options import RunnerOptions


def create_app(study: ps.Study, **options: Unpack[RunnerOptions]) -> FastAPI:
    """Make an application that runs a study from its start to its shutdown.

    Args:
        study: What to run.
        **options: How; see `RunnerOptions`.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        runner = app.state.runner = ps.StudyRunner(study, **options)
        app.mount("/study", penstock.web.app(runner, authorize=_may_look))
        async with anyio.create_task_group() as group:
            group.start_soon(_run, runner)
            yield
            # Runs in flight may end within grace_s; everything is saved and exported.
            group.cancel_scope.cancel()

    app = FastAPI(title=study.title, lifespan=lifespan)

    @app.get("/summary")
    async def summary(request: Request) -> ps.StudySummary:
        runner: ps.StudyRunner = request.app.state.runner
        return runner.summary

    @app.get("/events")
    async def events(stream: Annotated[ps.EventStream, Depends(_watch)]) -> StreamingResponse:
        return StreamingResponse(_lines(stream), media_type="text/event-stream")

    return app


def _may_look(connection: HTTPConnection) -> bool:
    """Return whether somebody may look: here is where an application asks who it is."""
    key = os.environ.get("KEY", "")
    return bool(key) and secrets.compare_digest(connection.cookies.get("key", ""), key)


async def _run(runner: ps.StudyRunner) -> None:
    """Run the study; where it cannot be run, say so and let the application live."""
    try:
        await runner.run()
    except ps.PenstockError:
        structlog.get_logger().exception("study.died", study_id=runner.study.study_id)


async def _watch(request: Request) -> AsyncIterator[ps.EventStream]:
    """Listen for one client; it ends when the client is gone, and never holds the study up."""
    runner: ps.StudyRunner = request.app.state.runner
    with runner.watch(StudyEvent, ps.RunFinished, RunsSaved) as stream:
        yield stream


async def _lines(stream: ps.EventStream) -> AsyncIterator[str]:
    """Write events as the HTML standard's server-sent events."""
    async for event in stream:
        name = type(event).__name__
        yield f"id: {event.seq}\nevent: {name}\ndata: {event.model_dump_json()}\n\n"


def serve() -> None:
    """Serve the study that the environment variable STUDY names."""
    app = create_app(ps.load_study(os.environ["STUDY"]))
    # Without a limit uvicorn waits at shutdown for clients that listen to /events for ever.
    uvicorn.run(app, timeout_graceful_shutdown=3)


if __name__ == "__main__":
    serve()
