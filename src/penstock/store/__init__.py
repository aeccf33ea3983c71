"""The store: one ``study.sqlite`` per study; checkpoint, log and result in one (floor 5).

`schema` has its tables, `views` what is meant for reading, `migration` both of older layouts.
`writer` saves attempts in groups, each durable when `save` returns; `reader` reads at any time and
holds nobody up. `rows` turns facts into rows, and `facts` back. `ledger` is the one account of what
a study came to, and `starts` what a process that was killed had begun.

    files/       where a study's files are, whose they are, and who may write them
    continuing/  what earlier sessions left, and what of it still holds
    scores/      which scores count, and what is to be scored
    calls/       calls of chat models, kept and given again
    told_again/  what was announced, told again in its order
"""

__all__ = ["STORE_FILE"]

STORE_FILE = "study.sqlite"
"""The store of a study, in its output directory."""
