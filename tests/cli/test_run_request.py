"""Which engine a command asks for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import typer

from penstock.cli.run_request import engine_at
from penstock.engines.dask import DaskEngine
from penstock.errors import ValidationError


def test_an_address_is_that_of_a_cluster_that_exists(tmp_path: Path) -> None:
    assert isinstance(engine_at("tls://127.0.0.1:8786", tmp_path), DaskEngine)
    with pytest.raises(ValidationError, match="TLS"):
        engine_at("tcp://127.0.0.1:8786", tmp_path)


def test_the_first_process_of_a_job_drives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_PROCID", "0")
    assert isinstance(engine_at(None, tmp_path), DaskEngine)


def test_another_process_of_a_job_without_the_extra_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_PROCID", "1")
    monkeypatch.delitem(sys.modules, "penstock.engines.dask_process", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValidationError, match=r"a worker needs .*penstock\[dask\]"):
        engine_at(None, tmp_path)


def test_what_is_neither_a_job_nor_an_address_is_told_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "RANK", "JOB_COMPLETION_INDEX"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(typer.BadParameter, match="--workers N"):
        engine_at(None, tmp_path)
