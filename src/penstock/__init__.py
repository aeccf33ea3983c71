"""penstock: run studies with language models; nothing paid for is lost, nothing is run twice."""

import lazy_loader

# The public names stand in __init__.pyi; each is imported when it is first used, so that
# `import penstock` and `penstock --help` take no longer than they must.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
