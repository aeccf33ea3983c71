"""A file is replaced whole or not at all, and nothing is written through a symbolic link."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from stat import S_IMODE

import pytest

from penstock._base.atomic_files import files_aside, link_file, set_aside


def write(path: Path, text: str) -> None:
    with set_aside(path) as aside:
        aside.write_text(text)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_the_place_of_another(tmp_path: Path) -> None:
    for text in ("first", "second"):
        write(tmp_path / "runs.csv", text)

    assert (tmp_path / "runs.csv").read_text() == "second"
    assert names_in(tmp_path) == ["runs.csv"]


def test_where_writing_fails_the_other_stays_and_the_error_says_which(tmp_path: Path) -> None:
    write(tmp_path / "runs.csv", "first")
    with pytest.raises(OSError, match="No space left") as failure, set_aside(tmp_path / "runs.csv"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert failure.value.filename == str(tmp_path / "runs.csv")
    assert (tmp_path / "runs.csv").read_text() == "first"
    assert names_in(tmp_path) == ["runs.csv"]


def test_a_file_is_as_open_to_others_as_the_system_says(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "plain").write_text("")
    write(tmp_path / "aside", "")
    assert (tmp_path / "aside").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.field("studies-SEC12")
@pytest.mark.parametrize(("folder", "file"), [(0o700, 0o600), (0o750, 0o640), (0o755, 0o644)])
def test_others_may_do_no_more_with_a_file_than_with_its_folder(
    folder: int, file: int, tmp_path: Path
) -> None:
    tmp_path.chmod(folder)
    before = os.umask(0o022)
    try:
        write(tmp_path / "runs.csv", "")
    finally:
        os.umask(before)

    assert S_IMODE((tmp_path / "runs.csv").stat().st_mode) == file


@pytest.mark.field("studies-SEC1")
def test_a_link_is_replaced_and_what_it_leads_to_is_not_touched(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    folder = tmp_path / "results"
    folder.mkdir()
    for name in ("runs.csv", ".runs.csv.new"):
        (folder / name).symlink_to(target)

    write(folder / "runs.csv", "theirs")

    assert target.read_text() == "mine"
    assert not (folder / "runs.csv").is_symlink()
    assert (folder / ".runs.csv.new").is_symlink(), "what is not ours stays"


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    with set_aside(tmp_path / "runs.csv") as one, set_aside(tmp_path / "runs.csv") as other:
        one.write_text("one")
        other.write_text("other")

    assert (tmp_path / "runs.csv").read_text() == "one", "who ends last has the last word"
    assert names_in(tmp_path) == ["runs.csv"]


def test_a_file_gets_a_second_name(tmp_path: Path) -> None:
    write(tmp_path / "events.csv", "rows")
    (tmp_path / "twin.csv").write_text("before")
    link_file(tmp_path / "twin.csv", tmp_path / "events.csv")

    assert (tmp_path / "twin.csv").samefile(tmp_path / "events.csv")
    assert names_in(tmp_path) == ["events.csv", "twin.csv"]


def test_where_a_file_system_has_no_links_it_is_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    write(tmp_path / "events.csv", "rows")
    link_file(tmp_path / "twin.csv", tmp_path / "events.csv")

    assert (tmp_path / "twin.csv").read_text() == "rows"
    assert not (tmp_path / "twin.csv").samefile(tmp_path / "events.csv")
    assert names_in(tmp_path) == ["events.csv", "twin.csv"]


def test_what_a_killed_process_left_is_told_from_what_is_a_person_s(tmp_path: Path) -> None:
    (tmp_path / ".notes.new").write_text("a person's")
    with set_aside(tmp_path / "runs.csv") as aside:
        assert list(files_aside(tmp_path)) == [aside]
