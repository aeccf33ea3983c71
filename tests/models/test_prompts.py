"""What a model is told: templates in a sandbox, in which an unknown name is an error."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.models.prompts.prompts import PromptError, Template, scope_of
from penstock.study.problem import Problem
from tests.builders import make_context

PROBLEM = Problem(
    problem_id="p1",
    family="sums",
    brief="What is 6 x 7?",
    payload={"expected": "42", "items": ["six", "seven"], "id": "row 9"},
)


def scope(**others: Any) -> dict[str, Any]:
    ctx = make_context(problem=PROBLEM, attempt=3, levels=("kind",))
    return scope_of(ctx.spec, PROBLEM, ctx.condition, 3, **others)


def render(source: str, **others: Any) -> str:
    return Template(source).render(scope(**others))


def test_the_problem_the_condition_and_the_run_are_in_scope() -> None:
    assert render("{{ problem.brief }} Be {{ condition.tone }}.") == "What is 6 x 7? Be kind."
    assert render("{{ problem.id }} {{ problem.family }} {{ problem.expected }}") == "p1 sums 42"
    assert render("{{ run.replicate }} {{ run.attempt }} {{ run.agent_id }}") == "1 3 agent-a"


def test_a_key_that_a_dict_has_a_method_for_is_the_key_all_the_same() -> None:
    assert render("{{ problem.items | join(' x ') }}") == "six x seven"


def test_a_payload_hides_none_of_a_problems_own_names() -> None:
    assert render("{{ problem.id }} {{ problem.payload.id }}") == "p1 row 9"


def test_a_name_with_a_dash_is_read_as_an_item() -> None:
    assert render("{{ condition['tone'] }}") == "kind"


def test_text_without_places_is_taken_as_it_is() -> None:
    template = Template("} as { it is\n")

    assert template.is_fixed
    assert template.render({}) == "} as { it is\n"


def test_what_is_filled_in_is_not_escaped_and_keeps_its_last_newline() -> None:
    assert render("<{{ answer }}>\n", answer="a < b & 'c'") == "<a < b & 'c'>\n"
    assert render("{{ outputs | tojson }}", outputs={"a": "<"}) == '{"a":"<"}'


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ problem.brif }}", "'brif' is unknown; problem has: .*brief"),
        ("{{ condition.tune }}", "'tune' is unknown; condition has: tone"),
        ("{{ problem.payload.answer }}", "'answer' is unknown; there is: expected"),
        ("{{ typo }}", "'typo' is unknown"),
        ("{% if typo %}yes{% endif %}", "'typo' is unknown"),
        ("{{ problem.brief.colour }}", "str has no 'colour'"),
        ("{{ 1 / 0 }}", "division by zero"),
    ],
)
def test_an_unknown_name_is_an_error_that_lists_the_known_ones(source: str, said: str) -> None:
    with pytest.raises(PromptError, match=said):
        render(source)


def test_names_are_found_in_branches_too_that_are_not_taken() -> None:
    template = Template(
        "{% if condition.tone == 'cold' %}{{ typo }}{% else %}{{ run.seed }}{% endif %}"
    )

    assert template.unknown_names(scope()) == ["typo"]


@pytest.mark.parametrize("source", ["{{ problem.brief", "{% if %}", "{{ [1] | random }}"])
def test_what_is_no_template_is_refused(source: str) -> None:
    with pytest.raises(PromptError, match="is not a template"):
        Template(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ problem._values }}",
        "{{ problem.__class__ }}",
        "{{ run.__repr__.__globals__ }}",
        "{{ problem.payload.update({'expected': 1}) }}",
        "{{ lipsum() }}",
    ],
)
def test_the_sandbox_lets_a_template_reach_nothing_else(source: str) -> None:
    with pytest.raises(PromptError):
        render(source)
