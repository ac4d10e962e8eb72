"""Environments without secrets: for the processes that the kernel starts, and for itself."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from llmasos.secrets.known import secrets_of_environment

_NAMES = frozenset(
    ("PATH", "HOME", "LANG", "TMPDIR", "TZ", "USER", "PYTHONPATH", "LD_LIBRARY_PATH", "XDG_CACHE_HOME")
)
# What is read later on: by exporters of traces, the model hub, Ray, pip, git.
KEPT = ("OTEL_", "HF_", "RAY_", "PIP_", "UV_", "GIT_", "SSH_")
_PROXY = "_PROXY"


def bare_environment(*prefixes: str) -> dict[str, str]:
    """Return what any program needs to run, of this process's environment, and what begins in given ways."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _NAMES or name.startswith(("LC_", *prefixes))
    }


def forget_secrets(environment: MutableMapping[str, str], kept: tuple[str, ...] = KEPT) -> None:
    """Remove the variables that hold secrets.

    Args:
        environment: The environment.
        kept: How variables begin that stay.
    """
    for name, value in list(environment.items()):
        if name.startswith(kept) or name.upper().endswith(_PROXY):
            continue
        if any(secrets_of_environment({name: value})):
            del environment[name]
