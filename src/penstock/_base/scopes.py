"""Cancel scopes for what is done in every run."""

from __future__ import annotations

from functools import cache

import anyio

__all__ = ["new_scope"]


def new_scope() -> anyio.CancelScope:
    """Make a cancel scope, in an event loop.

    To find out each time whose loop it is, as anyio does, costs twice as much as the scope.
    """
    return _scope_class()()


@cache
def _scope_class() -> type[anyio.CancelScope]:
    return type(anyio.CancelScope())
