"""Keys of older study files, taken over into what they mean today."""

from __future__ import annotations

from typing import Any

__all__ = ["drop_legacy_keys"]


def drop_legacy_keys(payload: dict[str, Any]) -> list[str]:
    """Rewrite a study file's older keys in place; list where they contradict the newer ones.

    ``schema_version`` is checked, ``primary_outcomes`` and ``secondary_outcomes`` become
    `Outcome.primary`, and ``linked_analysis_plan_id`` gives way to `AnalysisPlan.hypothesis_ids`.
    """
    return [*_schema_version(payload), *_outcome_roles(payload), *_hypothesis_links(payload)]


def _schema_version(payload: dict[str, Any]) -> list[str]:
    version = payload.pop("schema_version", None)
    if version is None or str(version).startswith("0."):
        return []

    return [f"schema_version: {version!r} is newer than this version reads (0.x)"]


def _outcome_roles(payload: dict[str, Any]) -> list[str]:
    roles = {
        role: set(payload.pop(f"{role}_outcomes", None) or ())
        for role in ("primary", "secondary")
        if f"{role}_outcomes" in payload
    }
    if not roles:
        return []

    outcomes = _mappings(payload, "outcomes")
    names = {outcome.get("name") for outcome in outcomes}
    unknown = set().union(*roles.values()) - names
    both = roles.get("primary", set()) & roles.get("secondary", set())
    errors = []
    if unknown:
        listed = ", ".join(sorted(unknown))
        errors.append(f"Legacy outcome roles reference unknown outcomes: {listed}.")

    if both:
        errors.append(f"Outcomes cannot be both primary and secondary: {', '.join(sorted(both))}.")

    if any("primary" in outcome for outcome in outcomes):
        declared = {outcome.get("name") for outcome in outcomes if outcome.get("primary")}
        meant = {"primary": declared, "secondary": names - declared}
        errors += [
            f"OutcomeSpec.primary conflicts with legacy Study.{role}_outcomes metadata."
            for role, listed_names in roles.items()
            if listed_names != meant[role]
        ]
    else:
        for outcome in outcomes:
            outcome["primary"] = outcome.get("name") in roles.get("primary", set())

    return errors


def _hypothesis_links(payload: dict[str, Any]) -> list[str]:
    linked_by_plan = {
        plan.get("analysis_plan_id"): plan.get("hypothesis_ids") or ()
        for plan in _mappings(payload, "analysis_plans")
    }
    errors = []
    for hypothesis in _mappings(payload, "hypotheses"):
        plan_id = hypothesis.pop("linked_analysis_plan_id", None)
        name = hypothesis.get("hypothesis_id", "")
        if plan_id and name not in linked_by_plan.get(plan_id, ()):
            errors.append(
                f"Hypothesis '{name}' conflicts with analysis plan '{plan_id}'. "
                "AnalysisPlan.hypothesis_ids is authoritative."
            )

    return errors


def _mappings(payload: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = payload.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
