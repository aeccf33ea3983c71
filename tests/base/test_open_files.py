from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

from penstock._base import open_files
from penstock._base.open_files import (
    lack_of_files,
    most_files,
    raise_file_limit,
    room_for_connections,
    spare_files,
)

resource = pytest.importorskip("resource")


@pytest.fixture(autouse=True)
def kept_limit() -> Iterator[None]:
    gc.collect()  # files that earlier tests have left are closed now, and not while we count
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def allow(files: int) -> None:
    """Set the soft limit alone: the hard one could not be raised again."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


def allow_more(files: int) -> None:
    spare = spare_files()
    assert spare is not None
    allow((most_files() or 0) - spare + files)


@pytest.mark.field("studies-SEC6")
def test_the_soft_limit_is_raised_and_never_lowered() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    allow(min(256, wanted))
    raise_file_limit()

    assert most_files() == wanted
    if hard == resource.RLIM_INFINITY or hard > wanted:
        allow(wanted + 1)
        raise_file_limit()
        assert most_files() == wanted + 1


def test_where_the_system_grants_less_than_it_says_less_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def grant(_: int, limits: tuple[int, int]) -> None:
        asked.append(limits[0])
        if limits[0] > 10_240:
            raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", grant)
    raise_file_limit()

    assert asked == [65_536, 10_240]


def test_files_that_are_open_are_not_spare() -> None:
    before = spare_files()
    reader, writer = os.pipe()
    try:
        assert before is not None
        assert spare_files() == before - 2
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.field("studies-SEC7")
def test_too_few_files_are_told_with_what_to_do() -> None:
    assert lack_of_files() is None

    allow_more(15)
    said = lack_of_files()
    most = most_files() or 0
    assert said == (
        f"this process may have {most} files open, and {most - 15} are; a study needs 16 more: "
        "raise the limit, as `ulimit -n 1024` does"
    )

    allow_more(0)
    assert spare_files() == 0
    assert "a study needs 16 more" in (lack_of_files() or "")


def test_connections_leave_room_for_the_files_of_a_study() -> None:
    allow_more(26)
    assert room_for_connections() == 10

    allow_more(3)
    assert room_for_connections() == 1


def test_where_nothing_says_how_many_there_may_be_any_number_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(open_files, "most_files", lambda: None)

    assert (spare_files(), room_for_connections(), lack_of_files()) == (None, None, None)
