"""Fields of a declared model that are templates, and those in which a template cannot stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from penstock._base.fact import Number, PositiveWhole, Text
from penstock._base.secrets import looks_like_key, names_secret

__all__ = [
    "NumberOrTemplate",
    "WholeOrTemplate",
    "http_address",
    "is_template",
    "refuse_keys",
    "refuse_templates",
    "texts_in",
]

_NUMBER = re.compile(r"\s*[-+]?[\d.]+([eE][-+]?\d+)?\s*")


def _number_or_template(value: Any) -> Any:
    if isinstance(value, str):
        is_right = is_template(value) or _NUMBER.fullmatch(value) is not None
    else:
        is_right = type(value) in {int, float}

    if not is_right:  # said here, or it is said for each type
        raise ValueError(f"must be a number, or a template that gives one (got {value!r})")

    return value


def _whole_or_template(value: Any) -> Any:
    is_right = is_template(value) if isinstance(value, str) else type(value) is int and value > 0
    if not is_right:
        said = f"must be a whole number above 0, or a template that gives one (got {value!r})"
        raise ValueError(said)

    return value


NumberOrTemplate = Annotated[Number | Text, BeforeValidator(_number_or_template)]
WholeOrTemplate = Annotated[PositiveWhole | Text, BeforeValidator(_whole_or_template)]


def http_address(url: str) -> str:
    """Return the address of an endpoint as it is kept: without what a client adds to it.

    Raises:
        ValueError: it is not one, or may hold a key.
    """
    if looks_like_key(url):
        raise ValueError("it holds a key; put it in the environment and write ${NAME} in its place")

    if "@" in url or not re.fullmatch(r"(?i:https?)://[^/?#\s]+(/[^?#\s]*)?", url):
        # What is refused is not repeated: it may hold a key.
        said = "write it as http://host:port/v1; a query belongs in `query`, a key in api_key_env"
        raise ValueError(said)

    scheme, _, rest = url.partition("://")
    path = rest.rstrip("/").removesuffix("/chat/completions").removesuffix("/messages")
    return f"{scheme.lower()}://{path}"


def is_template(text: str) -> bool:
    """Return whether a text has places that are filled in for each run."""
    return any(mark in text for mark in ("{{", "{%", "{#"))


def refuse_keys(fields: Mapping[str, Any]) -> None:
    """Refuse fields, at any depth, that are named as secrets are or look like a key.

    Raises:
        ValueError: one is; what it holds is not repeated.
    """
    for name, value in fields.items():
        refuse_templates(name, "name the field itself")
        is_secret = names_secret(name) and not _MARK.fullmatch(name)
        if is_secret or any(map(looks_like_key, texts_in(value))):
            raise ValueError(f"{name!r} looks like a key; name its variable in api_key_env")

        for each in _mappings_in(value):
            refuse_keys(each)


_MARK = re.compile(
    r"(?!(?:access|api|auth|bearer|id|refresh|session)[-_])\w+[-_]token", re.IGNORECASE
)
"""`eos_token` and its like, which are not secrets."""


def _mappings_in(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _mappings_in(each)


def refuse_templates(text: str, instead: str) -> None:
    """Refuse a template where it would not be filled in.

    Args:
        text: What stands there.
        instead: What to do instead.

    Raises:
        ValueError: it is one.
    """
    if is_template(text):
        raise ValueError(f"a template cannot stand here, it would be sent as it is; {instead}")


def texts_in(value: Any) -> Iterator[str]:
    """Yield the texts in a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from texts_in(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from texts_in(each)
