"""Texts that one reader or another takes for something else."""

from __future__ import annotations

LOOK_ALIKES = [
    *("no", "NO", "n", "y", "yes", "on", "off", "true", "null", "~", "", "NA", "nan", ".nan"),
    *("1e-3", "1E5", "0x10", "0o17", "0b1", "017", "089", "1_000", "12:30", "1.5", "-3", ".inf"),
    *("2020-01-01", "2020-01-01T00:00:00Z", "=", "<<", "-", "- a", "a: b", "# c", "&a", "*a", "!t"),
    *(" a", "a ", "a\n", "\na", "a\n\n b", "a\tb", "\x00", "\x85", "\u2028", "\ufeff", "é", "'"),
]
