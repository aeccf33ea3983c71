"""Gates that several studies share, where all of them are given one `Endpoints`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from anyio.lowlevel import current_token

from penstock._base.aimd import OnChanged
from penstock.errors import PenstockError
from penstock.models.gate.gate import Gate
from penstock.study.spending import EndpointLimits

__all__ = ["Account", "Endpoints"]


class Account(NamedTuple):
    """Whom an endpoint knows: its calls share one gate.

    Args:
        base_url: The endpoint.
        key: What tells its key from others; None where none is sent.
        model: The model, where it has limits of its own.
    """

    base_url: str
    key: str | None
    model: str | None = None


class _Shared:
    """A gate, and those who use it: the limits that each asks for, and whom it tells of changes."""

    def __init__(self, make: Callable[..., Gate], name: str, limits: EndpointLimits) -> None:
        self.token = current_token()  # of the event loop that the gate belongs to
        self.users: list[tuple[EndpointLimits, OnChanged]] = []
        self.gate = make(name, limits, on_limit_changed=self._tell)

    def _tell(self, limit: int, reason: str) -> None:
        for _, tell in self.users:
            tell(limit, reason)


class Endpoints:
    """What studies share that ask the same endpoints: give one object to each of them.

    ``shared = ps.Endpoints()``, then ``StudyRunner(study, endpoints=shared)`` for each study. Their
    calls to one address with one key pass one gate, in turn between all their conditions, at the
    lowest of the limits that the studies under way declare. Each study keeps its own budget. All
    that share belong to one event loop; a study that runs after another one may use it again.
    """

    def __init__(self) -> None:
        self._gates: dict[Account, _Shared] = {}

    @contextmanager
    def gate(
        self,
        account: Account,
        limits: EndpointLimits,
        make: Callable[..., Gate],
        on_limit_changed: OnChanged,
    ) -> Iterator[Gate]:
        """Use an account's gate inside ``with``, made by the first who does.

        Args:
            account: Whose.
            limits: What is declared of it.
            make: Makes a gate: takes its name, limits, and whom to tell of changes.
            on_limit_changed: Is told the new limit of calls in flight and why it changed.

        Raises:
            PenstockError: a study of another event loop uses it.
        """
        shared, user = self._gates.get(account), (limits, on_limit_changed)
        if shared is None:
            shared = self._gates[account] = _Shared(make, account.base_url, limits)

        if shared.token != current_token():
            raise PenstockError(
                f"{account.base_url}: a study of another event loop uses these Endpoints; share "
                "them between studies of one loop (`arun_study`, `StudyRunner`)"
            )

        shared.users.append(user)
        shared.gate.keep_to(_lowest(shared.users))
        try:
            with _told_of(account.base_url, self):
                yield shared.gate
        finally:
            shared.users.remove(user)
            if shared.users:
                shared.gate.keep_to(_lowest(shared.users))
            else:
                del self._gates[account]


def _lowest(users: list[tuple[EndpointLimits, OnChanged]]) -> EndpointLimits:
    lowest: dict[str, Any] = {}
    for name in EndpointLimits.model_fields:
        given = [getattr(limits, name) for limits, _ in users]
        lowest[name] = min((each for each in given if each is not None), default=None)

    return EndpointLimits(**lowest)


_USED: dict[str, Counter[int]] = {}
"""Which `Endpoints` of this process use an address now: for a warning, and nothing else."""

_WARNED: set[str] = set()


@contextmanager
def _told_of(address: str, endpoints: Endpoints) -> Iterator[None]:
    """Warn once where two studies use an address and do not share it."""
    users = _USED.setdefault(address, Counter())
    if users.keys() - {id(endpoints)} and address not in _WARNED:
        import structlog  # noqa: PLC0415 - 90 ms that who only plans need not wait

        _WARNED.add(address)
        structlog.get_logger("penstock.models").warning(
            "endpoint.used_twice",
            endpoint=address,
            what_to_do="two studies of this process ask it, each up to its own limits; give both "
            "one penstock.Endpoints() to share them",
        )

    users[id(endpoints)] += 1
    try:
        yield
    finally:
        users[id(endpoints)] -= 1
        if not users[id(endpoints)]:
            del users[id(endpoints)]

        if not users:
            _USED.pop(address, None)
            _WARNED.discard(address)
