"""The server of the command line: where it listens, its token, and a real request to it."""

from __future__ import annotations

import socket
import stat
import sys
import threading
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from penstock.errors import ValidationError
from penstock.web.serving import _token_for, listen, open_server, served_beside
from tests.page.studies import run_study
from tests.silent_clients import silent_clients


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "penstock" / "page.secret"


def test_a_port_that_is_taken_is_said_and_where_none_is_named_another_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with listen("127.0.0.1", 0) as first:
        taken = first.getsockname()[1]
        with pytest.raises(ValidationError, match=rf"127.0.0.1:{taken}.*choose another --port"):
            listen("127.0.0.1", taken)

        monkeypatch.setattr("penstock.web.serving.PORT", taken)
        with listen("127.0.0.1", None) as other:
            assert other.getsockname()[1] != taken


def test_a_server_that_is_started_again_has_its_token_again(state: Path) -> None:
    first = _token_for(8765)

    assert _token_for(8765) == first
    assert _token_for(8766) != first
    assert len(first) == 64
    assert stat.S_IMODE(state.stat().st_mode) == 0o600


@pytest.mark.parametrize("fault", ["others may read it", "it is cut", "it cannot be kept"])
def test_a_secret_that_is_not_one_is_not_used(state: Path, fault: str) -> None:
    first = _token_for(8765)
    if fault == "others may read it":
        state.chmod(0o644)
    elif fault == "it is cut":
        state.write_bytes(b"short")
    else:
        state.unlink()
        state.parent.rmdir()
        state.parent.write_text("in the way")

    assert _token_for(8765) != first
    assert _token_for(8765) != _token_for(8765)


def test_the_address_of_a_server_on_all_interfaces_can_be_opened_here(tmp_path: Path) -> None:
    with listen("0.0.0.0", 0) as at:
        _, address = open_server([tmp_path], at, control=False)

    assert address.startswith("http://127.0.0.1:")


def test_a_study_is_served_beside_whoever_runs_it(tmp_path: Path) -> None:
    results = run_study(tmp_path)
    client = httpx.Client(follow_redirects=True, timeout=240)
    with served_beside(results, control=False) as address, client:
        page = client.get(address)
        again = client.get(str(page.url))
        stranger = httpx.get(str(page.url), timeout=240)

    assert page.status_code == again.status_code == 200
    assert page.url.path == "/studies/results/"
    assert "token" not in str(page.url)
    assert "server" not in page.headers
    assert stranger.status_code == 401
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of open files to raise")
def test_connections_that_say_nothing_are_left_and_the_page_answers_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.web.serving._MOST_CONNECTIONS", 64)
    monkeypatch.setattr("penstock.web.serving._SILENT_S", 1.0)
    with listen("127.0.0.1", 0) as at:
        server, address = open_server([tmp_path / "nothing"], at, control=False)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [at]})
        thread.start()
        with silent_clients(at.getsockname()[1]) as said, httpx.Client() as browser:
            assert said.readline() == "connected\n"
            open_ = len(server.server_state.connections)
            answer = browser.get(address, timeout=240)
            assert said.readline() == "left\n"

        server.should_exit = True
        thread.join()

    assert open_ <= 64 + 128
    assert answer.status_code == 303


def test_a_request_that_comes_in_half_is_left_and_garbage_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("penstock.web.serving._SILENT_S", 0.2)
    monkeypatch.setattr("penstock.web.application._BODY_S", 0.2)
    with served_beside(tmp_path / "nothing", control=True) as address:
        url = httpx.URL(address)
        token = url.params["token"]
        own = f"Host: 127.0.0.1:{url.port}\r\nOrigin: http://127.0.0.1:{url.port}"
        asks = f"{own}\r\nAuthorization: Bearer {token}"
        act = f"POST /studies/nothing/actions HTTP/1.1\r\n{asks}\r\nContent-Type: application/json"
        sent = {
            "half a request after a whole one": (
                f"GET /list HTTP/1.1\r\n{asks}\r\n\r\nGET / HTTP/1.1\r\nHo",
                "200",
            ),
            "a body that does not come": (f"{act}\r\nContent-Length: 20\r\n\r\n{{", "408"),
            "a body without end": (
                f"{act}\r\nContent-Length: 999999\r\n\r\n{'x' * 99_999}",
                "413",
            ),
            "a stranger's body that does not come": (
                f"POST / HTTP/1.1\r\n{own}\r\nContent-Length: 20\r\n\r\n{{",
                "401",
            ),
            "headers without end": (f"GET / HTTP/1.1\r\n{own}\r\nX: {'x' * 99_999}", "400"),
            "no request": ("\x16\x03\x01 hello\r\n\r\n", "400"),
            "two lengths": (
                f"{act}\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}",
                "400",
            ),
        }
        for what, (text, status) in sent.items():
            with socket.create_connection(("127.0.0.1", url.port or 0), 240) as client:
                heard = b""
                with suppress(ConnectionError):
                    client.sendall(text.encode())
                    while piece := client.recv(1 << 16):
                        heard += piece

            assert heard[9:12].decode() in (status, ""), what

    assert capfd.readouterr().err == ""
