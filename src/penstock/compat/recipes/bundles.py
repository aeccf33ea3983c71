"""Benchmark bundles: problems and agents that go together, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from penstock._base.fact import EMPTY, Declaration, JsonMapping, Name, Text
from penstock.study.files import read_mapping

__all__ = [
    "BenchmarkBundle",
    "benchmark_bundle",
    "grammar_problem_bundle",
    "human_vs_agent_bundle",
    "ideation_bundle",
    "optimization_bundle",
    "read_data",
]


class BenchmarkBundle(Declaration):
    """Problems and agents that go together, by name; what they stand for is bound when running."""

    bundle_id: Name
    name: Name
    description: Text = ""
    problem_ids: tuple[Name, ...]
    agent_specs: tuple[Name, ...]
    metadata: JsonMapping = EMPTY


def benchmark_bundle(bundle_id: str) -> BenchmarkBundle:
    """Return the bundle of a name: ideation, optimization, grammar or human-vs-agent."""
    return BenchmarkBundle(bundle_id=bundle_id, **read_data("bundles")[bundle_id])


def ideation_bundle() -> BenchmarkBundle:
    """Return three ideation briefs, and a baseline, a creative and a structured agent."""
    return benchmark_bundle("ideation")


def optimization_bundle() -> BenchmarkBundle:
    """Return optimization problems of three sizes, a deterministic and a learning agent."""
    return benchmark_bundle("optimization")


def grammar_problem_bundle() -> BenchmarkBundle:
    """Return three problems, with and without a grammar, a direct agent and a workflow."""
    return benchmark_bundle("grammar")


def human_vs_agent_bundle() -> BenchmarkBundle:
    """Return two teaming sessions for humans alone, with an assistant, and in a hybrid team."""
    return benchmark_bundle("human-vs-agent")


_FOLDER = Path(__file__).parent / "data"


def read_data(name: str) -> dict[str, Any]:
    """Read one of the files, anew each time: whoever reads it may change what they get."""
    return read_mapping(_FOLDER / f"{name}.yaml")
