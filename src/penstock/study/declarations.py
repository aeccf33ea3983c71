"""What a study names beside its design: its agents and its evaluators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, ValidationInfo, field_validator, model_serializer, model_validator

from penstock._base.entry_points import entry_point_names
from penstock._base.fact import Declaration
from penstock.study.chat import ChatOptions, JudgeOptions
from penstock.study.policies import KEPT
from penstock.study.references import is_reference, reference_to
from penstock.study.scoring import (
    ChoiceOptions,
    ContainsOptions,
    ExactOptions,
    JsonOptions,
    LabelsOptions,
    NumberOptions,
    RegexOptions,
)

__all__ = ["EVALUATOR_GROUP", "AgentDeclaration", "EvaluatorDeclaration", "declared_chats"]

EVALUATOR_GROUP = "penstock.evaluators"
"""Where installed packages register evaluators: name -> the function."""


class _OneOf(Declaration):
    """Exactly one of the fields is set; ``call`` is code, and code alone is short for it."""

    _BESIDE: ClassVar[frozenset[str]] = frozenset()
    """Fields that say something else beside the one."""

    @model_validator(mode="before")
    @classmethod
    def _from_code(cls, data: Any) -> Any:
        if _is_code(data):
            return {"call": data}

        if not isinstance(data, (_OneOf, Mapping, str)):
            kinds = ", ".join(f"`{name}`" for name in cls._names().values())
            raise ValueError(f"{data!r} is neither code nor a mapping with one of {kinds}")  # noqa: TRY004

        return data

    @field_validator("call", check_fields=False)
    @classmethod
    def _names_code(cls, code: Any, info: ValidationInfo) -> Any:
        if code is None or _is_code(code):
            return code

        if not isinstance(code, str) or not (is_reference(code) or cls._is_registered(code, info)):
            raise ValueError(f"{code!r} is not a reference; write `module:name` or `file.py:name`")

        return code

    @classmethod
    def _is_registered(cls, name: str, info: ValidationInfo) -> bool:  # noqa: ARG003
        """Return whether an installed package registers code under a name."""
        return False

    @property
    def kind(self) -> str:
        """Which of its kinds it is, as a study file names it."""
        return next(iter(self._said()))

    @property
    def options(self) -> Any:
        """What is declared of that kind."""
        return next(iter(self._said().values()))

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self._said()) != 1:
            kinds = ", ".join(f"`{name}`" for name in self._names().values())
            raise ValueError(f"say exactly one of {kinds}")

        return self

    @model_serializer
    def _only_what_is_set(self) -> dict[str, Any]:
        said = self._said()
        code = said.get("call")
        if code is not None and not isinstance(code, str):
            said = {**said, "call": reference_to(code)}

        beside = {name: getattr(self, name) for name in self._BESIDE}
        return said | {name: value for name, value in beside.items() if value is not None}

    def _said(self) -> dict[str, Any]:
        names = self._names()
        return {names[name]: value for name, value in self if name in names and value is not None}

    @classmethod
    def _names(cls) -> dict[str, str]:
        return {
            name: field.alias or name
            for name, field in cls.model_fields.items()
            if name not in cls._BESIDE
        }


def _is_code(data: Any) -> bool:
    """Return an agent or evaluator in Python from what a study file may hold."""
    if isinstance(data, (_OneOf, Mapping, str)):
        return False

    return callable(data) or callable(getattr(data, "run", None))


class AgentDeclaration(_OneOf):
    """What an agent is: a chat model, or code.

    Plain text, or in Python the agent itself, is short for ``{call: ...}``.

    Args:
        call: What ``module:attr`` or ``file.py:attr`` names. In Python it may be the agent
            itself; where the study is written out, its reference stands for it.
        chat: A chat model behind an endpoint.
    """

    call: Any = None
    chat: ChatOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        return {"call": data} if isinstance(data, str) else data


class EvaluatorDeclaration(_OneOf):
    """How answers are scored: a built-in evaluator with its options, a judge, or code.

    ``exact`` is short for ``{exact: {}}``; ``module:attr``, a name that an installed package
    registers (``penstock.evaluators``), or in Python the function itself, for ``{call: ...}``.

    Args:
        free: Whether scoring costs nothing, so that kept answers are scored again without being
            told to where the evaluator has changed. Where not given, a judge is not free, nor is
            a function that is async, holds a model, recorded a cost or takes over a second.
    """

    _BESIDE: ClassVar[frozenset[str]] = frozenset({"free"})

    exact: ExactOptions | None = None
    contains: ContainsOptions | None = None
    regex: RegexOptions | None = None
    number: NumberOptions | None = None
    choice: ChoiceOptions | None = None
    json_fields: JsonOptions | None = Field(default=None, alias="json")
    labels: LabelsOptions | None = None
    judge: JudgeOptions | None = None
    call: Any = None
    free: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, data: Any) -> Any:
        if isinstance(data, str) and data not in cls._names().values():
            is_code = ":" in data or data in entry_point_names(EVALUATOR_GROUP)
            return {"call": data} if is_code else {data: {}}

        if isinstance(data, str):
            return {data: {}}

        if isinstance(data, Mapping):  # in YAML, `exact:` alone is `exact: null`
            built_in = {*cls._names().values()} - {"call"}
            return {
                kind: {} if options is None and kind in built_in else options
                for kind, options in data.items()
            }

        return data

    def metric_of(self, name: str) -> str:
        """Return what a single score of this evaluator is called, itself being called ``name``."""
        return (self.judge and self.judge.metric_name) or name

    @classmethod
    def _is_registered(cls, name: str, info: ValidationInfo) -> bool:
        # What is read back was registered once; the package that brought it may be gone since.
        return name in entry_point_names(EVALUATOR_GROUP) or info.context == KEPT


def declared_chats(
    agents: Mapping[str, AgentDeclaration], evaluators: Mapping[str, EvaluatorDeclaration]
) -> Iterator[tuple[tuple[str, ...], ChatOptions]]:
    """Yield the chat agents and judges that are declared, each with its place in the study."""
    for name, agent in agents.items():
        if agent.chat is not None:
            yield ("agents", name, "chat"), agent.chat

    for name, evaluator in evaluators.items():
        if evaluator.judge is not None:
            yield ("evaluators", name, "judge"), evaluator.judge
