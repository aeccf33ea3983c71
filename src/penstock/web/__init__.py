"""The server of the live page: reads stores, asks studies that run, and answers browsers (floor 7).

application      the ASGI application: which address answers what
guarding         who may ask: a token, the name of the host, the origin of what acts
served_studies   the studies that are served, and their names
looking          where one study stands: from its store, and from the process that runs it
saved            what its store says, read again where it has changed
reaching         the process that runs it: this one, or one behind a socket
plan_matrix      which cell of conditions by problems a run belongs to
counting         counts of its runs, kept up to date by reading what was added
projections      how long it still takes, and what it will cost
paging           its runs, a page at a time, and one run
serving          a server of its own, for the command line
"""

from penstock._base.extras import load_extra

load_extra("starlette", extra="web", what="the live page")

from penstock.web.application import app  # noqa: E402 - its error names what to install

__all__ = ["app"]
