"""Where results go: links are followed, and what cannot be a directory is said."""

from __future__ import annotations

from pathlib import Path

import pytest

import penstock as ps
from penstock.errors import StoreError
from penstock.store.files.directory import resolved_directory


def test_links_are_followed_whether_they_lead_to_a_directory_yet_or_not(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    for target in ("disk", "later"):
        (tmp_path / f"to-{target}").symlink_to(target)
        assert resolved_directory(tmp_path / f"to-{target}" / "x") == tmp_path / target / "x"


@pytest.mark.parametrize("path", ["loop", "loop/results", "file", "file/results", "to-file"])
def test_what_cannot_be_a_directory_is_refused_with_what_to_do(tmp_path: Path, path: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    (tmp_path / "to-file").symlink_to("file")
    study = ps.Study(study_id="s", title="t", problem_ids=("p",), agent_specs=("a",))
    with pytest.raises(StoreError, match="name another"):
        ps.StudyRunner(study, agent_bindings={"a": str}, output_dir=tmp_path / path)
