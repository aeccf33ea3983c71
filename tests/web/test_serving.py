"""The server of the command line: where it listens, its token, and a real request to it."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import httpx
import pytest

from penstock.errors import ValidationError
from penstock.web.serving import _token_for, listen, open_server, served_beside
from tests.page.studies import run_study


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


def test_connections_that_say_nothing_are_left_and_the_page_answers_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.web.serving._SILENT_S", 0.2)
    with served_beside(tmp_path / "nothing", control=False) as address:
        port = httpx.URL(address).port
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
        for each in silent[::2]:
            each.sendall(b"GET / HTTP/1.1\r\nHost: ")  # and never says the rest

        answer = httpx.get(address, timeout=240)
        for each in silent:
            each.settimeout(240)
            assert each.recv(1) == b""
            each.close()

    assert answer.status_code == 303
