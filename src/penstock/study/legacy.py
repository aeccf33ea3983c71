"""Keys of older study files, taken over into what they mean today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["drop_legacy_keys", "drop_schema_version", "with_older_defaults"]

_ROLES = ("primary", "secondary")


def drop_legacy_keys(payload: dict[str, Any]) -> list[str]:
    """Rewrite a study file's older keys in place; list where they contradict the newer ones.

    ``schema_version`` is checked, ``primary_outcomes`` and ``secondary_outcomes`` become
    `Outcome.primary`, and ``linked_analysis_plan_id`` gives way to `AnalysisPlan.hypothesis_ids`.
    """
    return [*drop_schema_version(payload), *_outcome_roles(payload), *_hypothesis_links(payload)]


def drop_schema_version(payload: dict[str, Any]) -> list[str]:
    """Remove the schema version from a study's payload, and list what is wrong with it."""
    version = payload.pop("schema_version", None)
    if version is None or str(version).startswith("0."):
        return []

    return [f"schema_version: {version!r} is newer than this version reads (0.x)"]


def _outcome_roles(payload: dict[str, Any]) -> list[str]:
    given = {
        f"{role}_outcomes": payload.pop(f"{role}_outcomes") or []
        for role in _ROLES
        if f"{role}_outcomes" in payload
    }
    errors = [
        f"{key}: must be a list of names of outcomes (got {value!r})"
        for key, value in given.items()
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value)
    ]
    if errors or not given:
        return errors

    outcomes = _mappings(payload, "outcomes")
    names = {str(outcome.get("name")) for outcome in outcomes}
    primary, secondary = (set(given.get(f"{role}_outcomes", ())) for role in _ROLES)
    unknown, both = (primary | secondary) - names, primary & secondary
    if unknown:
        listed = ", ".join(sorted(unknown))
        errors.append(f"Legacy outcome roles reference unknown outcomes: {listed}.")

    if both:
        errors.append(f"Outcomes cannot be both primary and secondary: {', '.join(sorted(both))}.")

    if any("primary" in outcome for outcome in outcomes):
        declared = {str(outcome.get("name")) for outcome in outcomes if outcome.get("primary")}
        meant = {"primary_outcomes": declared, "secondary_outcomes": names - declared}
        errors += [
            f"OutcomeSpec.primary conflicts with legacy Study.{key} metadata."
            for key, listed_names in given.items()
            if set(listed_names) != meant[key]
        ]
    else:
        for outcome in outcomes:
            outcome["primary"] = str(outcome.get("name")) in primary

    return errors


def _hypothesis_links(payload: dict[str, Any]) -> list[str]:
    linked_by_plan = {
        str(plan.get("analysis_plan_id")): plan.get("hypothesis_ids")
        for plan in _mappings(payload, "analysis_plans")
    }
    errors = []
    for hypothesis in _mappings(payload, "hypotheses"):
        plan_id = hypothesis.pop("linked_analysis_plan_id", None)
        name = hypothesis.get("hypothesis_id", "")
        linked = linked_by_plan.get(str(plan_id))
        if plan_id and not (isinstance(linked, list) and name in linked):
            errors.append(
                f"Hypothesis '{name}' conflicts with analysis plan '{plan_id}'. "
                "AnalysisPlan.hypothesis_ids is authoritative."
            )

    return errors


def _mappings(payload: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = payload.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def with_older_defaults(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a study as files hold it that older readers know: what it leaves unsaid is said.

    A policy of multiple comparisons that a plan does not name is ``none`` there.

    Args:
        definition: The study as plain values.
    """
    plans = [
        {**plan, "multiple_comparison_policy": plan.get("multiple_comparison_policy") or "none"}
        for plan in definition["analysis_plans"]
    ]
    return {**definition, "analysis_plans": plans}
