"""The names that the runner before this one had, for scripts that move over (floor 7).

``from penstock.compat import ...`` gives every one of them. Most are penstock's own; those that
penstock calls otherwise, or that did what it does elsewhere, are made here. The page "Moving over"
tells what differs. No other room imports this one.
"""

import lazy_loader

# The names stand in __init__.pyi. The command line and the resolver of the sibling packages, which
# are found through entry points, import this room too, and need none of them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
