"""Doubts about prompts: what a study varies, asks or scores, and its chat models are never told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from penstock._base.secrets import names_secret
from penstock.models.prompts.requests import Requests
from penstock.planning.plan import AGENT_FACTORS, PROBLEM_FACTORS, Plan
from penstock.study.chat import ChatOptions
from penstock.study.model import Study
from penstock.study.problem import Problem

__all__ = ["Asked", "key_doubts", "prompt_doubts"]

_NOT_TOLD = frozenset({"expected"})
"""What a problem holds that is for evaluators."""

_ANSWER = ("answer", "outputs")
_BRACES = re.compile(r"(?<!\{)\{\s*([A-Za-z_]\w*(?:\.\w+)?)\s*\}(?!\})")
_LIKE_A_KEY = re.compile(r"(?=\w*\d)(?=\w*[A-Za-z])\w{20,}")

_ASK_FOR_KEYS = (
    "ai21.com",
    "anthropic.com",
    "azure.com",
    "cerebras.ai",
    "cohere.com",
    "deepseek.com",
    "fireworks.ai",
    "googleapis.com",
    "groq.com",
    "huggingface.co",
    "minimax.io",
    "mistral.ai",
    "moonshot.ai",
    "moonshot.cn",
    "nvidia.com",
    "openai.com",
    "openrouter.ai",
    "perplexity.ai",
    "sambanova.ai",
    "together.ai",
    "together.xyz",
    "x.ai",
)
"""Providers that answer nobody without a key."""


class Asked(NamedTuple):
    """A declared model as it is asked.

    Args:
        requests: Its requests.
        agent_id: The agent that it is; None where it is a judge.
    """

    requests: Requests
    agent_id: str | None

    def reads(self, name: str) -> frozenset[str] | None:
        """Return which fields of a name its requests read; None where they take it whole."""
        found = [template.reads(name) for _, template in self.requests.texts()]
        known = [fields for fields in found if fields is not None]
        return frozenset().union(*known) if len(known) == len(found) else None

    def names(self, name: str) -> bool:
        """Return whether its requests name anything of what is in scope under a name."""
        return self.reads(name) != frozenset()


def prompt_doubts(
    study: Study, plan: Plan, problems: Mapping[str, Problem], asked: Sequence[Asked]
) -> Iterator[str]:
    """List what nobody is told although the study declares it, a sentence each.

    Args:
        study: The study.
        plan: Its plan.
        problems: The problems that take part, by id.
        asked: Its chat agents and judges.
    """
    if {each.agent_id for each in asked}.issuperset(plan.agents()):  # code may read anything
        yield from _untold_factors(study, asked)

    for each in asked:
        if each.agent_id is None:
            yield from _judges_nothing(each)
        elif each.agent_id in plan.agents():
            yield from _untold_problems(each, list(problems.values()))

        yield from _other_braces(study, each, problems.values())


def key_doubts(who: str, options: Iterable[ChatOptions], addresses: Iterable[str]) -> Iterator[str]:
    """List the addresses at which no model answers without a key, where none is declared.

    Args:
        who: Who asks, for the sentence: ``agent 'gpt'``.
        options: What is declared of each model that may be asked.
        addresses: Where each of them is.
    """
    for address, each in dict(zip(addresses, options, strict=True)).items():
        host = urlsplit(address).hostname or ""
        if not _has_key(each) and any(
            host == known or host.endswith(f".{known}") for known in _ASK_FOR_KEYS
        ):
            yield f"{who}: {host} asks for a key, and none is declared; say `api_key_env: NAME`"

        if any(map(_LIKE_A_KEY.fullmatch, urlsplit(each.base_url or "").path.split("/"))):
            yield (
                f"{who}: the path of base_url may hold a key; if it does, put it in the "
                "environment and write ${NAME} in its place"
            )


def _untold_factors(study: Study, asked: Sequence[Asked]) -> Iterator[str]:
    read = [each.reads("condition") for each in asked]
    if None in read or any(_reads_condition_id(each) for each in asked):
        return

    known = {field for fields in read if fields is not None for field in fields}
    known.update(AGENT_FACTORS, PROBLEM_FACTORS, _words(study.design_spec.options))
    known.update(*(_words(constraint.expression) for constraint in study.constraints))
    for factor in study.factors:
        if factor.name not in known and len(factor.levels) > 1:
            place = f"condition.{factor.name}"
            if not factor.name.isidentifier():
                place = f"condition[{factor.name!r}]"

            yield (
                f"Factor '{factor.name}' changes nothing: no prompt or option of a chat model "
                f"names it, so its {len(factor.levels)} levels are asked the same; write "
                f"{{{{ {place} }}}} where it belongs."
            )


def _reads_condition_id(asked: Asked) -> bool:
    fields = asked.reads("run")
    return fields is None or "condition_id" in fields


def _words(value: Any) -> set[str]:
    """Gather the words of an expression, or of what is said of a design."""
    if isinstance(value, str):
        return {value, *re.findall(r"\w+", value)}

    if isinstance(value, Mapping):
        return {word for name, item in value.items() for word in (name, *_words(item))}

    return {word for item in value for word in _words(item)} if isinstance(value, tuple) else set()


def _untold_problems(asked: Asked, problems: Sequence[Problem]) -> Iterator[str]:
    fields = asked.reads("run")
    if asked.names("problem") or fields is None or "problem_id" in fields:
        return

    told = [each for each in problems if each.brief or each.payload.keys() - _NOT_TOLD]
    if told or len(problems) > 1:
        of_all = f"all {len(problems):,} problems are" if len(problems) > 1 else "the problem is"
        how = "asked the same" if len(problems) > 1 else "not asked"
        yield (
            f"{asked.requests.who}: its prompts do not name the problem, so {of_all} {how}; write "
            "{{ problem.brief }} where it belongs"
        )


def _judges_nothing(asked: Asked) -> Iterator[str]:
    if not any(asked.names(name) for name in _ANSWER):
        yield (
            f"{asked.requests.who}: its prompts do not name the answer, so it is not shown what "
            "it scores; write {{ answer }} where it belongs"
        )


def _other_braces(study: Study, asked: Asked, problems: Iterable[Problem]) -> Iterator[str]:
    """Find names in single braces, which stay as they are."""
    braced = [
        (field, name)
        for field, template in asked.requests.texts()
        for name in dict.fromkeys(_BRACES.findall(template.source))
    ]
    if not braced:
        return

    meant = {name: f"condition.{name}" for name in (factor.name for factor in study.factors)}
    meant |= {f"condition.{name}": f"condition.{name}" for name in meant}
    for problem in problems:
        meant |= {name: f"problem.{name}" for name in (*problem.payload, "brief")}
        meant |= {f"problem.{name}": f"problem.{name}" for name in (*problem.payload, "brief")}

    meant["problem"] = "problem.brief"
    meant |= {name: name for name in _ANSWER if asked.agent_id is None}
    for field, name in braced:
        if name in meant:
            yield (
                f"{asked.requests.who}: {field}: {{{name}}} is sent as it stands; for its "
                f"value write {{{{ {meant[name]} }}}}"
            )


def _has_key(options: ChatOptions) -> bool:
    said = {**options.headers, **options.query}
    return bool(
        options.api_key_env
        or options.api_key_file
        or options.api_key_command
        or options.proxy
        or any(names_secret(name) or "${" in text for name, text in said.items())
    )
