"""LLMasOS: an operating-system layer for language models.

`Client` and `AsyncClient` talk to the user's kernel; `Kernel` runs one in-process.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmasos.client import AsyncClient, Client
    from llmasos.config import Settings
    from llmasos.errors import LLMasOSError
    from llmasos.kernel import Kernel

__version__ = "0.1.0"

__all__ = ["AsyncClient", "Client", "Kernel", "LLMasOSError", "Settings", "__version__"]

_HOMES = {
    "AsyncClient": "llmasos.client",
    "Client": "llmasos.client",
    "Kernel": "llmasos.kernel",
    "LLMasOSError": "llmasos.errors",
    "Settings": "llmasos.config",
}


def __getattr__(name: str) -> Any:
    # Imported when asked for, so that the terminal does not pay for the kernel.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
