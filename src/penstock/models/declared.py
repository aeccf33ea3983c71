"""The chat models that a study declares: agents and judges, made before anything runs.

This is the one module of chat models that binding knows; it is imported when a study declares
one. What cannot work is found here: a name that no template may use, a key that is set nowhere,
a budget that cannot be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, NamedTuple

from penstock._base.fact import EMPTY
from penstock.agents.context import RunContext
from penstock.errors import ValidationError
from penstock.models.calls.caller import Caller
from penstock.models.calls.elsewhere import CallerElsewhere, CallsElsewhere, ModelCaller
from penstock.models.chat_agent import ChatAgent
from penstock.models.chat_model import Usage
from penstock.models.conversations.run_model import RunModel
from penstock.models.conversations.tool_agent import ToolAgent
from penstock.models.conversations.tools import GivenTool
from penstock.models.endpoints import StudyEndpoints
from penstock.models.prompts.asking import Asking
from penstock.models.prompts.prompt_doubts import Asked, key_doubts, prompt_doubts
from penstock.models.prompts.prompts import PromptError, scope_of
from penstock.models.prompts.requests import Requests
from penstock.models.session import Session
from penstock.planning.plan import Cell, Plan, RunSpec
from penstock.study.chat import ChatOptions, choices
from penstock.study.conditions import Condition
from penstock.study.fingerprints import code_fingerprint
from penstock.study.model import Study
from penstock.study.model_options import ANTHROPIC
from penstock.study.problem import Problem
from penstock.study.tool_server import McpServer, ToolSource
from penstock.summary import EndpointNow

__all__ = ["DeclaredModels"]

_MOST_TRIALS = 2000
"""How many conditions, and how many problems, the templates are tried with."""


class _Declared(NamedTuple):
    """One declared model, and which runs call it."""

    requests: Requests
    agent_id: str | None
    """The agent that it is; a judge scores every agent's runs."""

    others: Mapping[str, Any]
    """What its templates may name beside what an agent's may."""

    is_in_hand: bool = False
    """Whether agents call it as they like, so that only they know what a call may take."""


class DeclaredModels:
    """Makes the chat agents of a study, and what its judges ask and are asked with.

    Args:
        study: The study.
        elsewhere: Has its calls made by another process; they are made in this one where it is
            not given.

    Attributes:
        callers: Who calls, each by a name that is the same wherever the study is loaded.
    """

    def __init__(self, study: Study, elsewhere: CallsElsewhere | None = None) -> None:
        self.callers: dict[str, ModelCaller] = {}
        self._elsewhere = elsewhere
        self._study = study
        self._endpoints = StudyEndpoints(study)
        self._declared: list[_Declared] = []
        self._keyless: list[str] = []

    def agent(
        self, name: str, options: ChatOptions, tools: Sequence[GivenTool | ToolSource] = ()
    ) -> ChatAgent:
        """Make a chat agent.

        Args:
            name: The agent's name.
            options: What the study declares.
            tools: The functions that its model may call, and the servers that have some.

        Raises:
            ValidationError: it cannot be called as declared.
            BindingError: a function cannot be a tool.
        """
        asking = self.declare(f"agent {name!r}", options, agent_id=name)
        if tools:
            servers = self._endpoints.tool_servers
            given = [each.mcp if isinstance(each, ToolSource) else each for each in tools]
            for each in given:
                if isinstance(each, McpServer):
                    servers.check(each)

            return ToolAgent(asking, given, servers, options.max_turns)

        return ChatAgent(asking)

    def fingerprint(self, tool: GivenTool | ToolSource) -> str:
        """Return what tells the code of a tool, or of a server of tools, from what it was."""
        if isinstance(tool, ToolSource):
            return self._endpoints.tool_servers.fingerprint(tool.mcp)

        return code_fingerprint(tool, self._study.base_dir)

    def in_hand(self, name: str) -> Callable[[RunContext], RunModel]:
        """Make what gives a run the model that the study declares by a name.

        Raises:
            ValidationError: it cannot be called as declared.
        """
        asking = self._made(f"model {name!r}", ChatOptions(model=name))
        self._declared.append(_Declared(asking.requests, None, EMPTY, is_in_hand=True))
        return partial(RunModel, name, asking, self._endpoints.tool_servers)

    def declare(
        self,
        who: str,
        options: ChatOptions,
        *,
        agent_id: str | None = None,
        evaluator_id: str = "",
        others: Mapping[str, Any] = EMPTY,
    ) -> Asking:
        """Make what an agent or judge asks with.

        Args:
            who: Whose they are, for errors: ``agent 'gpt'``.
            options: What the study declares.
            agent_id: The agent whose runs send them; where there is none, every run does.
            evaluator_id: The judge that they are of, whose metrics stand apart from the agent's.
            others: What stands, while the study is checked, for what templates may name beside
                what those of an agent may.

        Raises:
            ValidationError: it cannot be called as declared.
        """
        asking = self._made(who, options, evaluator_id)
        for template in asking.requests.templates.values():
            if template.options.provider == ANTHROPIC and not template.is_bounded:
                raise ValidationError([f"{who}: max_tokens: Anthropic's messages want it; give it"])

        self._declared.append(_Declared(asking.requests, agent_id, others))
        return asking

    def endpoints_now(self) -> Iterator[EndpointNow]:
        """Yield where the gates before endpoints stand; none where no session runs."""
        return self._endpoints.now()

    def open(self, session: Session) -> AbstractAsyncContextManager[None]:
        """Open what agents and judges share, while a session runs."""
        return self._endpoints.open(session)

    def errors(self, plan: Plan, problems: Mapping[str, Problem]) -> list[str]:
        """List what would fail in runs of a plan, found by filling in templates without a call.

        Each is tried with the first run of every condition and with every problem, up to 2,000
        of each, taken evenly.
        """
        errors: list[str] = []
        if self._elsewhere is not None:
            return errors  # found there

        for declared in self._declared:
            errors += _template_errors(declared, plan, problems)
            if not declared.is_in_hand:
                errors += self._budget_errors(declared, plan, problems)

        return errors + self._limit_errors()

    def doubts(self, plan: Plan, problems: Mapping[str, Problem]) -> list[str]:
        """List what can be asked as it is declared and is probably not meant, a sentence each."""
        asked = [
            Asked(each.requests, each.agent_id) for each in self._declared if not each.is_in_hand
        ]
        return [*self._keyless, *prompt_doubts(self._study, plan, problems, asked)]

    def _made(self, who: str, options: ChatOptions, evaluator_id: str = "") -> Asking:
        errors: list[str] = []
        requests: Requests | None = None
        callers: dict[str, ModelCaller] = {}
        chosen = choices(options, self._study.models)
        try:
            requests = Requests(who, options.model, chosen, self._endpoints.images)
        except ValidationError as error:
            errors += error.errors

        for name, each in chosen.items():
            try:
                callers[name] = self._caller(f"{who}: {name}", each, name, evaluator_id)
            except ValidationError as error:
                errors += [f"{who}: {said}" for said in error.errors]

        if requests is None or errors:
            raise ValidationError(errors)

        if self._elsewhere is not None:  # keys and addresses are known there
            return Asking(requests, callers)

        addresses = [self._endpoints.clients.locate(each, each.model) for each in chosen.values()]
        self._keyless += key_doubts(who, chosen.values(), addresses)
        return Asking(requests, callers)

    def _caller(
        self, known_as: str, options: ChatOptions, name: str, evaluator_id: str
    ) -> ModelCaller:
        """Make who calls a model; equal ones are known by equal names wherever they are made."""
        if self._elsewhere is not None:
            return CallerElsewhere(known_as, self._elsewhere)

        client = self._endpoints.clients.of(options)
        caller = Caller(self._endpoints, client, name, evaluator_id)
        self.callers[known_as] = caller
        return caller

    def _budget_errors(
        self, declared: _Declared, plan: Plan, problems: Mapping[str, Problem]
    ) -> Iterator[str]:
        """A bound on money or tokens can be kept only where a call's worst case is known."""
        budget, requests = self._study.budget, declared.requests
        bounds = [name for name in ("max_cost_usd", "max_tokens") if getattr(budget, name)]
        if bounds and not all(each.is_bounded for each in requests.templates.values()):
            yield (
                f"{requests.who}: budget.{bounds[0]} needs its max_tokens: without it nobody "
                "knows what an answer costs at most"
            )

        if budget.max_cost_usd is None:
            return

        names: dict[tuple[str, str], None] = {}
        for scope in _scopes(declared, plan, problems):
            try:
                template = requests.of(scope)
                model = template.model(scope)
            except PromptError:
                continue  # told already

            names[model, self._endpoints.clients.locate(template.options, model)] = None

        for name, address in names:
            if self._endpoints.prices.cost_usd(name, Usage(), address) is None:
                yield (
                    f"{requests.who}: budget.max_cost_usd needs the price of model {name!r}, "
                    f"which no price table knows at {address}; declare it under `prices:`"
                )

    def _limit_errors(self) -> list[str]:
        known = ", ".join(self._endpoints.clients.urls()) or "none"
        return [
            f"limits: {name!r} is not an endpoint of this study's agents and judges "
            f"(known: {known})"
            for name in self._endpoints.clients.unused_limits()
        ]


def _template_errors(
    declared: _Declared, plan: Plan, problems: Mapping[str, Problem]
) -> Iterator[str]:
    """Yield each fault once, with the first run that it shows in."""
    found: dict[tuple[str, str], list[str]] = {}
    for place, scope in _places(declared, plan, problems):
        for fault in declared.requests.faults(scope):
            found.setdefault(fault, []).append(place)

    for (field, said), places in found.items():
        more = f" and {len(places) - 1:,} more" if len(places) > 1 else ""
        yield f"{declared.requests.who}: {field}: {said} (in {places[0]}{more})"


def _scopes(
    declared: _Declared, plan: Plan, problems: Mapping[str, Problem]
) -> Iterator[Mapping[str, Any]]:
    return (scope for _, scope in _places(declared, plan, problems))


def _places(
    declared: _Declared, plan: Plan, problems: Mapping[str, Problem]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield a scope for every condition, and one for every problem, with its name."""
    cells = [
        (cell, start)
        for cell, start in zip(plan.cells, plan.starts, strict=False)
        if declared.agent_id is None or declared.agent_id in cell.agents
    ]
    for cell, start in _evenly(cells):
        spec = _first_run(plan, cell, start, declared.agent_id)
        if spec.problem_id in problems:
            scope = _scope(spec, problems[spec.problem_id], cell.condition, declared)
            yield f"condition {_in_words(cell.condition)}", scope

    for problem in _evenly(list(problems.values())):
        for cell, start in cells[:1]:
            spec = _first_run(plan, cell, start, declared.agent_id)
            yield f"problem {problem.problem_id!r}", _scope(spec, problem, cell.condition, declared)


def _first_run(plan: Plan, cell: Cell, start: int, agent_id: str | None) -> RunSpec:
    place = 0 if agent_id is None else cell.agents.index(agent_id)
    return plan.at(start + place * len(cell.problems))


def _scope(
    spec: RunSpec, problem: Problem, condition: Condition, declared: _Declared
) -> Mapping[str, Any]:
    return scope_of(spec, problem, condition, **declared.others)


def _evenly(items: list[Any]) -> Iterable[Any]:
    return items[:: -(-len(items) // _MOST_TRIALS) or 1]


def _in_words(condition: Condition) -> str:
    assignments = {**condition.factor_assignments, **condition.block_assignments}
    said = ", ".join(f"{name}={value}" for name, value in assignments.items())
    return f"{condition.condition_id} ({said})" if said else condition.condition_id
