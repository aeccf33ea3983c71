"""The two global random generators, `random` and `numpy.random`: reading and writing their states.

Their own functions for it take 12 and 95 µs a swap, more than a run may cost. Both keep a Mersenne
Twister in one block of memory, which can be copied in 0.1 µs. Where that block lies is looked up
once and *proved*, on generators made for the purpose: what is read there must be the state that
the generator tells, and what is written there must change what it tells. Where the proof fails,
as on another interpreter, the generators' own functions are used: slower, and otherwise the same.
"""

from __future__ import annotations

import ctypes
import random
import struct
from _random import Random as Twister
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from penstock.agents.turn import Turn

__all__ = ["GlobalRandom", "Lent", "global_random"]

_BLOCK = 625 * 4  # 624 words of key and the position in it
_GAUSS = 16  # whether a second normal deviate is kept, and it

# The generators behind random.random(), numpy.random.random() and their siblings have no public
# names; that of numpy is looked up in _numpy_singleton, when numpy is there.
_inst: Any = random._inst  # noqa: SLF001


def _import_what_draws() -> None:
    """Import rich.style, which draws a number when it is imported, without the host noticing.

    Everything of ours that draws on rich, as structlog does too, is imported after this.
    """
    kept = random.getstate()
    import rich.style  # noqa: F401, PLC0415

    random.setstate(kept)


_import_what_draws()


class Lent(NamedTuple):
    """What is remembered while a run has the generators.

    Attributes:
        host: The states of the host.
        seeded: The state of numpy's as it was seeded, where the run has not drawn from it before.
    """

    host: Any
    seeded: Any = None


class GlobalRandom(NamedTuple):
    """The process's two global generators, and the right to change them.

    Attributes:
        save: Give the states of both.
        lend: Put the states of a run in place: those that ``take_back`` gave after its last step,
            or None before its first, when they are as ``random.seed`` and ``numpy.random.seed``
            make them of its seed. Gives what ``take_back`` must be told.
        take_back: Put the host's states back, and give those of the run.
        turn: Held while the generators are lent out, so that event loops in several threads take
            turns.
    """

    save: Callable[[], Any]
    lend: Callable[[int, Any], Lent]
    take_back: Callable[[Lent], Any]
    turn: Turn


@cache
def global_random() -> GlobalRandom:
    """Return the process's global generators.

    numpy is imported here: an agent that imports it in the middle of a step would otherwise draw
    from a generator that nobody has seeded.
    """
    gauss = _numpy_is_proved()
    if gauss is None or not _stdlib_is_proved():
        return GlobalRandom(_plain_save, _plain_lend, _plain_take_back, Turn())

    blocks = _Blocks(gauss)
    return GlobalRandom(blocks.save, blocks.lend, blocks.take_back, Turn())


def _numpy_singleton() -> Any:
    from numpy.random import mtrand  # noqa: PLC0415 - 80 ms that `--help` need not wait

    return mtrand._rand  # noqa: SLF001


def _plain_save() -> Any:
    from numpy.random import mtrand  # noqa: PLC0415 - as above

    told = _numpy_singleton().get_state(legacy=False)
    return random.getstate(), mtrand.get_bit_generator(), told


def _plain_load(state: Any) -> None:
    from numpy.random import mtrand  # noqa: PLC0415 - as above

    stdlib, bits, told = state
    random.setstate(stdlib)
    if mtrand.get_bit_generator() is not bits:
        mtrand.set_bit_generator(bits)

    _numpy_singleton().set_state(told)


def _plain_lend(seed: int, own: Any) -> Lent:
    host = _plain_save()
    if own is None:
        random.seed(seed)
        _numpy_seed()(seed)
    else:
        _plain_load(own)

    return Lent(host)


def _plain_take_back(lent: Lent) -> Any:
    own = _plain_save()
    _plain_load(lent.host)
    return own


@cache
def _numpy_seed() -> Callable[[int], None]:
    from numpy.random import MT19937, mtrand  # noqa: PLC0415 - as above

    singleton = _numpy_singleton()
    legacy_seed, set_bit_generator = singleton.seed, mtrand.set_bit_generator

    def seed(seed: int) -> None:
        if not isinstance(singleton._bit_generator, MT19937):  # noqa: SLF001 - see `save` below
            set_bit_generator(MT19937(0))  # the host's cannot be seeded

        legacy_seed(seed % 2**32)

    return seed


def _view(address: int, size: int) -> memoryview:
    return memoryview((ctypes.c_char * size).from_address(address)).cast("B")


class _Blocks:
    """Both generators by their blocks; this runs at every step of every run.

    Args:
        gauss_offset: Where a `RandomState` keeps its second normal deviate.
    """

    __slots__ = (
        "_block",
        "_gauss",
        "_kind",
        "_known",
        "_read_block",
        "_read_gauss",
        "_read_stdlib",
        "_seed_numpy",
        "_set_bits",
        "_singleton",
        "_stdlib",
    )

    def __init__(self, gauss_offset: int) -> None:
        from numpy.random import MT19937, mtrand  # noqa: PLC0415 - as above

        self._kind, self._set_bits = MT19937, mtrand.set_bit_generator
        self._singleton, self._seed_numpy = _numpy_singleton(), _numpy_seed()
        self._stdlib = _view(id(_inst) + object.__basicsize__, _BLOCK)
        self._read_stdlib = self._stdlib.tobytes
        self._gauss = _view(id(self._singleton) + gauss_offset, _GAUSS)
        self._read_gauss = self._gauss.tobytes
        self._known: Any = None  # the bit generator that was in use last time, and its block
        self._block, self._read_block = self._gauss, self._read_gauss

    def save(self) -> Any:
        return self._read_stdlib(), _inst.gauss_next, self._read_numpy()

    def lend(self, seed: int, own: Any) -> Lent:
        host = self.save()
        if own is None:
            Twister.seed(_inst, seed)  # what random.seed does with a whole number, 1 µs sooner
            _inst.gauss_next = None
        else:
            self._stdlib[:], _inst.gauss_next, of_numpy = own
            if of_numpy is not None:
                self._load_numpy(of_numpy)
                return Lent(host)

        self._seed_numpy(seed)
        return Lent(host, self._read_numpy())

    def take_back(self, lent: Lent) -> Any:
        host, seeded = lent
        of_numpy = self._read_numpy()
        # As long as nobody draws from numpy's it is not kept but seeded again, which takes 1 µs:
        # tens of thousands of runs may be in flight, and few draw from it.
        own = self._read_stdlib(), _inst.gauss_next, None if of_numpy == seeded else of_numpy
        self._stdlib[:], _inst.gauss_next, of_host = host
        self._load_numpy(of_host)
        return own

    def _read_numpy(self) -> Any:
        bits = self._singleton._bit_generator  # noqa: SLF001 - get_bit_generator(), sooner
        is_known = bits is self._known or self._find(bits)
        return bits, self._read_block() if is_known else bits.state, self._read_gauss()

    def _load_numpy(self, state: Any) -> None:
        bits, held, kept = state
        if self._singleton._bit_generator is not bits:  # noqa: SLF001
            self._set_bits(bits)

        if bits is self._known or self._find(bits):
            self._block[:] = held
        else:
            bits.state = held

        self._gauss[:] = kept

    def _find(self, bits: Any) -> bool:
        if type(bits) is self._kind and bits is not self._known:
            self._known, self._block = bits, _view(bits.ctypes.state_address, _BLOCK)
            self._read_block = self._block.tobytes

        return bits is self._known


def _stdlib_is_proved() -> bool:
    if not object.__basicsize__ + _BLOCK <= Twister.__basicsize__ <= _inst.__sizeof__():
        return False

    trial = random.Random(1)  # noqa: S311 - nothing is kept secret with it
    block = _view(id(trial) + object.__basicsize__, _BLOCK)
    before = block.tobytes()
    for _ in range(1000):
        trial.random()

    after = trial.getstate()
    told = struct.pack("=i624I", after[1][-1], *after[1][:-1])
    if block.tobytes() != told or not hasattr(trial, "gauss_next"):
        return False

    block[:] = before
    return trial.getstate() == random.Random(1).getstate()  # noqa: S311


def _numpy_is_proved() -> int | None:
    """Return where a `RandomState` keeps its deviate, or None where that is not proved."""
    from numpy.random import MT19937, RandomState  # noqa: PLC0415 - as above

    bits = MT19937(1)
    trial = RandomState(bits)
    block = _view(bits.ctypes.state_address, _BLOCK)
    before = block.tobytes()
    trial.standard_normal(1001)
    told: Any = trial.get_state(legacy=False)
    held = told["state"]
    if block.tobytes() != struct.pack("=624Ii", *held["key"].tolist(), held["pos"]):
        return None

    whole = _view(id(trial), type(trial).__basicsize__)
    raw, kept = whole.tobytes(), struct.pack("=d", told["gauss"])
    offset = raw.find(kept) - 8
    if told["has_gauss"] != 1 or raw.count(kept) != 1 or offset < object.__basicsize__:
        return None

    gauss = whole[offset : offset + _GAUSS]
    block[:], gauss[:] = before, bytes(_GAUSS)
    fresh: Any = RandomState(MT19937(1)).get_state(legacy=False)
    told = trial.get_state(legacy=False)
    same_key = bool((told["state"]["key"] == fresh["state"]["key"]).all())
    same_rest = told["state"]["pos"] == fresh["state"]["pos"] and told["has_gauss"] == 0
    return offset if same_key and same_rest and raw[offset] == 1 else None
