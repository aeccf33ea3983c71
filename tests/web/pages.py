"""The live page as a program asks it, without a server between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from penstock.web import app
from penstock.web.application import Application

BASE = "http://127.0.0.1:8765"


@asynccontextmanager
async def asked(application: Application) -> AsyncIterator[httpx.AsyncClient]:
    """Ask an application as a page of its own does."""
    headers = {"authorization": f"Bearer {application.token}", "origin": BASE}
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(
        transport=transport, base_url=BASE, headers=headers, timeout=240
    ) as client:
        yield client


@asynccontextmanager
async def asking(*studies: Any, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Ask the live page of some studies."""
    async with asked(app(studies, **options)) as client:
        yield client
