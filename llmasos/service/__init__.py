"""The service: the kernel behind HTTP."""

from llmasos.service.app import make_app
from llmasos.service.server import main, serve

__all__ = ["main", "make_app", "serve"]
