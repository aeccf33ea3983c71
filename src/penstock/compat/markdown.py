"""Texts about a study, in Markdown: for a notebook, a repository, or the draft of a paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from penstock.errors import ValidationError
from penstock.export.tables import write_text
from penstock.results import RunResult
from penstock.study.conditions import Condition
from penstock.study.identity import stable_json_dumps
from penstock.study.model import Study

__all__ = [
    "SignificanceReport",
    "render_codebook",
    "render_markdown_summary",
    "render_methods_scaffold",
    "render_significance_brief",
    "write_markdown_report",
]


class SignificanceReport(Protocol):
    """An analysis that can be told: what `render_significance_brief` takes beside rows."""

    def to_significance_rows(self) -> Iterable[Mapping[str, Any]]:
        """Return a mapping for each test: ``test``, ``outcome``, ``p_value``, ``effect_size``."""


def render_markdown_summary(study: Study, run_results: Iterable[RunResult]) -> str:
    """Return what a study asked, and how its runs ended.

    Args:
        study: The study.
        run_results: Its results; they are read once, one by one.
    """
    statuses = Counter(result.status.value for result in run_results)
    primary = [f"`{outcome.name}`" for outcome in study.outcomes if outcome.primary]
    return _lines(
        f"# Study Summary: {study.title}",
        "",
        f"- Study ID: `{study.study_id}`",
        f"- Runs: {statuses.total():,}",
        f"- Design: `{study.design_spec.kind}` "
        f"(factors: {len(study.factors)}, blocks: {len(study.blocks)})",
        f"- Primary outcomes: {', '.join(primary) or 'none'}",
        "",
        "## Status Counts",
        *_listed(f"{status}: {count:,}" for status, count in sorted(statuses.items())),
        "",
        "## Hypotheses",
        *_listed(f"`{each.hypothesis_id}`: {each.statement}" for each in study.hypotheses),
    )


def render_significance_brief(
    analysis_rows: Iterable[Mapping[str, Any]] | SignificanceReport,
) -> str:
    """Return what came of tests: one line each, with its p value and effect size.

    Args:
        analysis_rows: A mapping for each test (``test``, ``outcome``, ``p_value``,
            ``effect_size``),
            or an object whose ``to_significance_rows()`` gives them.

    Raises:
        TypeError: it is neither.
    """
    rows = _significance_rows(analysis_rows)
    return _lines(
        "## Significance Brief",
        *_listed(
            (
                f"{row.get('test', 'test')} on `{row.get('outcome', 'outcome')}`: "
                f"p={row.get('p_value', 'n/a')}, effect_size={row.get('effect_size', 'n/a')}."
                for row in rows
            ),
            nothing="No analysis rows provided.",
        ),
    )


def render_methods_scaffold(study: Study) -> str:
    """Write what a section on methods must say of the design, for somebody to write it out."""
    spec, seeds = study.design_spec, study.seed_policy
    factors = (f"`{each.name}` ({each.kind.value}): {each.description}" for each in study.factors)
    blocks = (f"`{each.name}` with levels {_written(each.levels)}" for each in study.blocks)
    rules = (f"`{each.constraint_id}`: {each.description}" for each in study.constraints)
    return _lines(
        "## Methods",
        "",
        f"- Study ID: `{study.study_id}`",
        f"- Design: `{spec.kind}`",
        f"- Replicates: {study.run_budget.replicates * spec.replicates}",
        f"- Seed policy: `{seeds.strategy.value}`, from {seeds.base_seed}",
        f"- Order of runs: `{study.run_order.value}`",
        "",
        "### Factors",
        *_listed(factors),
        "",
        "### Blocks",
        *_listed(blocks),
        "",
        "### Constraints",
        *_listed(rules),
    )


def render_codebook(study: Study, conditions: Sequence[Condition]) -> str:
    """Return what the names in the tables stand for: levels, conditions, outcomes."""
    levels = (
        f"`{factor.name}` = {_written(level.value)}: {level.label}"
        for factor in study.factors
        for level in factor.levels
    )
    combinations = (
        f"`{each.condition_id}` -> factors={_written(each.factor_assignments)}, "
        f"blocks={_written(each.block_assignments)}"
        + ("" if each.admissible else f", not run: {'; '.join(each.constraint_messages)}")
        for each in conditions
    )
    outcomes = (
        f"`{each.name}` from `{each.source_table}.{each.column}` ({each.aggregation})"
        for each in study.outcomes
    )
    return _lines(
        "## Codebook",
        "",
        "### Levels",
        *_listed(levels),
        "",
        "### Condition IDs",
        *_listed(combinations),
        "",
        "### Outcomes",
        *_listed(outcomes),
    )


def write_markdown_report(output_dir: Path | str, filename: str, content: str) -> Path:
    """Write a text into the folder ``artifacts`` of a study's output directory.

    Args:
        output_dir: The output directory.
        filename: The file's name in that folder.
        content: What to write; it takes the place of what the file held.

    Returns:
        The file.

    Raises:
        ValidationError: the name would lead out of the folder.
    """
    folder = Path(output_dir) / "artifacts"
    path = folder / filename
    if not path.resolve().is_relative_to(folder.resolve()) or not Path(filename).name:
        raise ValidationError([f"{filename!r} is not the name of a file in {folder}"])

    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, content)
    return path


def _significance_rows(analysis: Any) -> Iterable[Mapping[str, Any]]:
    rows = analysis
    if callable(getattr(analysis, "to_significance_rows", None)):
        rows = analysis.to_significance_rows()

    found = list(rows) if isinstance(rows, Iterable) and not isinstance(rows, str) else [rows]
    if not all(isinstance(row, Mapping) for row in found):
        raise TypeError(
            f"{analysis!r:.80} is not a list of mappings and has no to_significance_rows() that "
            "gives one"
        )

    return found


def _written(value: Any) -> str:
    return stable_json_dumps(value)


def _listed(entries: Iterable[str], nothing: str = "none") -> Iterator[str]:
    is_empty = True
    for entry in entries:
        is_empty = False
        yield f"- {entry}"

    if is_empty:
        yield f"- {nothing}"


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"
