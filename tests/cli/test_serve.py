"""The commands that serve the live page: by itself, and beside a run."""

from __future__ import annotations

import re
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

import penstock as ps
import penstock.web
from penstock.web import serving
from tests.command_line import StudyFolder

ADDRESS = re.compile(r"the live page: (http://\S+)")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Response]:
    """Have the server answer one browser that opens its page, and end."""
    seen: list[httpx.Response] = []
    told = serving.open_server
    serve = uvicorn.Server.run

    def opened(*arguments: Any, **options: Any) -> tuple[uvicorn.Server, str]:
        server, address = told(*arguments, **options)

        def look() -> None:
            with httpx.Client(follow_redirects=True) as client:
                seen.append(client.get(address))

            server.should_exit = True

        def run(sockets: Any) -> None:
            browser = threading.Thread(target=look)
            browser.start()
            serve(server, sockets=sockets)
            browser.join(30)

        monkeypatch.setattr(server, "run", run)
        return server, address

    monkeypatch.setattr(serving, "open_server", opened)
    return seen


def test_serve_prints_an_address_and_shows_the_study_there(
    folder: StudyFolder, cli: Any, looks: list[httpx.Response]
) -> None:
    assert cli("run", folder.file).exit_code == 0
    served = cli("serve", folder.file, "--port", 0)

    (page,) = looks
    assert served.exit_code == 0
    assert ADDRESS.search(served.stderr)
    assert "warning" not in served.stderr
    assert page.status_code == 200
    assert page.url.path == "/studies/results/"
    assert "data-do=" not in page.text


def test_serve_lists_a_folder_and_has_buttons_where_it_is_told_to(
    folder: StudyFolder, cli: Any, looks: list[httpx.Response]
) -> None:
    assert cli("run", folder.file).exit_code == 0
    served = cli("serve", folder.path, folder.results, "--port", 0, "--control")

    (page,) = looks
    assert served.exit_code == 0
    assert page.url.path == "/"
    assert '"name":"results"' in page.text


def test_serve_warns_of_an_address_that_others_reach(
    folder: StudyFolder, cli: Any, looks: list[httpx.Response]
) -> None:
    served = cli("serve", folder.path, "--host", "0.0.0.0", "--port", 0, "--control")

    assert "0.0.0.0 can be reached over the network" in served.stderr
    assert "can look and act" in served.stderr


@pytest.mark.parametrize("missing", ["uvicorn", "starlette"])
def test_without_the_extra_it_is_said_what_to_install(
    folder: StudyFolder, cli: Any, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ps, "web", penstock.web)  # to be put back where it is imported anew
    for name in [each for each in sys.modules if each.startswith("penstock.web")]:
        monkeypatch.delitem(sys.modules, name)

    monkeypatch.setitem(sys.modules, missing, None)
    refused = cli("serve", folder.path)

    assert refused.exit_code == 3
    assert f"the live page needs {missing}" in refused.stderr
    assert "pip install 'penstock[web]'" in refused.stderr


def test_a_run_has_its_page_meanwhile(folder: StudyFolder) -> None:
    ran = folder.run("--page", "--no-report")

    assert ran.returncode == 0
    address = ADDRESS.search(ran.stderr)
    assert address is not None
    with pytest.raises(httpx.ConnectError):
        httpx.get(address[1])


@pytest.mark.parametrize("options", [(), ("--control",)], ids=["reads", "acts"])
def test_the_page_of_a_run_has_buttons_where_control_is_asked_for(
    folder: StudyFolder, options: tuple[str, ...]
) -> None:
    folder.set_up(free_replicates=0)
    process = folder.start("--page", "--no-report", *options)
    try:
        assert process.stderr is not None
        address = next(filter(None, map(ADDRESS.search, process.stderr)))[1]
        page = httpx.get(address, follow_redirects=True, timeout=240)
    finally:
        process.kill()
        process.communicate(timeout=60)

    assert page.status_code == 200
    assert ('id="actions"' in page.text) == bool(options)
