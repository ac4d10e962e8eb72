"""What Ray reads from the environment: its token, and nothing that is secret beside it."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from llmasos.cluster._environment import own_environment
from llmasos.paths import data_dir
from llmasos.secrets import forget_secrets

# What a worker has started ends with it.
NODE_VARIABLES = {"RAY_process_group_cleanup_enabled": "1"}


def token_variables() -> dict[str, str]:
    """Return what makes Ray show the token of a cluster that was started or joined here, if there is one."""
    if "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        return {"RAY_AUTH_MODE": "token"}
    file = token_file()
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)} if file.exists() else {}


def token_file() -> Path:
    """Return where the token of this user's cluster is kept."""
    return data_dir() / "cluster" / "token"


@functools.cache
def token() -> str:
    """Return the token of this process's private clusters; Ray reads it once in the life of a process."""
    return os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(32)


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables, and hide secrets, for what is started here and for nothing that is started later."""
    before = dict(os.environ)
    forget_secrets(os.environ, kept=("RAY_",))
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def node_environment() -> dict[str, str]:
    """Return the environment of a node: with the cluster's token, and no other secrets."""
    variables = own_environment(kept=("RAY_",))
    variables.pop("RAY_AUTH_TOKEN", None)
    return {
        **variables,
        **NODE_VARIABLES,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file()),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
