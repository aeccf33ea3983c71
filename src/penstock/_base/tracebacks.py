"""Writing where an error was raised; of thousands that fail alike, it is written once.

To write a traceback takes longer than the rest of a run that fails: each line of it is read from
its file and parsed. The text follows from the classes, messages and places in the chain.
"""

from __future__ import annotations

import traceback

__all__ = ["traceback_of"]

_MOST_KEPT = 128
_LONGEST_CHAIN = 20
_OTHERWISE = (BaseExceptionGroup, SyntaxError, NameError, AttributeError, ImportError)
"""Their texts say more: errors inside, a line of a source, a name that was meant perhaps."""

_written: dict[object, str] = {}


def traceback_of(error: BaseException) -> str:
    """Write where an error was raised, also where Python cannot write the error itself."""
    try:
        key = _key_of(error)
        if key is None:
            return "".join(traceback.format_exception(error))

        if key not in _written:
            if len(_written) >= _MOST_KEPT:
                _written.clear()

            _written[key] = "".join(traceback.format_exception(error))

        return _written[key]
    except BaseException:  # noqa: BLE001 - anyone's error: its fields may be any, and it may raise
        return "".join(traceback.format_tb(error.__traceback__))


def _key_of(error: BaseException) -> object:
    """Return what the text of an error follows from; None where there is more to it."""
    found: list[object] = []
    each: BaseException | None = error
    while each is not None:
        if isinstance(each, _OTHERWISE) or len(found) == _LONGEST_CHAIN:
            return None

        places, at = [], each.__traceback__
        while at is not None:
            places.append((at.tb_frame.f_code, at.tb_lasti))
            at = at.tb_next

        notes = tuple(getattr(each, "__notes__", ()))
        is_cause = each.__cause__ is not None
        found.append((type(each), str(each), notes, is_cause, *places))
        context = None if each.__suppress_context__ else each.__context__
        each = each.__cause__ if is_cause else context

    return tuple(found)
