"""Takes out of texts what looks like a key, before they are stored: errors, tracebacks, metadata.

Providers repeat keys in their errors, and people note them beside a study. What an agent returns,
observes or measures is its own and is stored as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

__all__ = ["REDACTED", "redacted", "without_secrets"]

REDACTED = "[redacted]"
"""What stands where a secret stood."""

_NAME = (
    r"(?:api|access|private|secret|auth)[-_ ]?(?:key|token)|authorization|password|passwd|secret"
)
_SECRET_NAME = re.compile(rf"(?:.*[-_.])?(?:{_NAME}|token|credentials?)", re.IGNORECASE)
_KEY_LIKE = re.compile(
    r"(?<![\w-])(?:sk|pk|rk|gsk|xai)-[\w*.-]{6,}"
    r"|\b(?:gh[oprsu]_|github_pat_|hf_|xox[abp]-|AKIA|AIza)[\w-]{12,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
)
_AFTER_A_NAME = re.compile(
    rf"((?<![a-z])(?:{_NAME})\b[\"']?\s*[=:]\s*[\"']?(?:bearer\s+|basic\s+)?|\bbearer\s+)"
    r"[^\s\"'&,;)}\]]{4,}",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """Replace what looks like a key, and what follows the name of one."""
    return _KEY_LIKE.sub(REDACTED, _AFTER_A_NAME.sub(rf"\1{REDACTED}", text))


def without_secrets(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Replace texts that are named as secrets are, or look like a key, at any depth."""
    return {
        name: REDACTED if value and isinstance(value, str) and _is_secret(name) else _plain(value)
        for name, value in metadata.items()
    }


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.fullmatch(name) is not None


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _KEY_LIKE.sub(REDACTED, value)

    if isinstance(value, Mapping):
        return without_secrets(value)

    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
