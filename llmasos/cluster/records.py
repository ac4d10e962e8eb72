"""The nodes that were started on this machine, as they are written down."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
from collections.abc import Container
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from llmasos.cluster._ray_environment import token_file
from llmasos.cluster._tree import began
from llmasos.cluster.port import ClusterError
from llmasos.paths import private_dir

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Node(BaseModel, frozen=True):
    """A node that was started on this machine.

    Args:
        name: Its name, in the cluster and here.
        role: Whether it holds the cluster together.
        address: The cluster's address.
        host: The address that it listens on.
        pid: Its first process.
        began: When that began, in ticks since the machine did, so that no other is taken for it.
        folder: Where Ray keeps what it needs.
    """

    name: str
    role: Literal["head", "worker"]
    address: str
    host: str
    pid: int
    began: int
    folder: Path

    @property
    def alive(self) -> bool:
        """Whether its first process runs."""
        return began(self.pid) == self.began != 0


def nodes() -> list[Node]:
    """Return the nodes of this machine that run, and forget those that ended."""
    found: list[Node] = []
    folder = _records()
    for file in sorted(folder.glob("*.json")) if folder.exists() else ():
        try:
            node = Node.model_validate_json(file.read_bytes())
        except (OSError, ValidationError):
            file.unlink(missing_ok=True)
            continue
        if node.alive:
            found.append(node)
        else:
            forget(node)
    return found


def record(node: Node) -> None:
    """Write a node down."""
    private_dir(_records())
    (_records() / f"{node.name}.json").write_text(node.model_dump_json())


def forget(node: Node) -> None:
    """Remove what is left of a node that has ended."""
    # It may be a child of this process, or of one that is gone.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(node.pid, os.WNOHANG)
    shutil.rmtree(node.folder, ignore_errors=True)
    (_records() / f"{node.name}.json").unlink(missing_ok=True)


def named(name: str) -> str:
    """Return a node's name, this machine's when none is given.

    Raises:
        ClusterError: It cannot be one, or another node of this machine has it.
    """
    taken = {node.name for node in nodes()}
    if name and not _NAME.fullmatch(name):
        raise ClusterError(f"{name!a} is no name.", hint="Use letters, digits, dots and dashes.")
    if name in taken:
        raise ClusterError(
            f"A node {name} runs here.", hint=f"Choose another name, or end it: llmasos cluster down {name}"
        )
    return name or _own_name(taken)


def _own_name(taken: Container[str]) -> str:
    name, number = socket.gethostname(), 1
    while (tried := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    return tried


def _records() -> Path:
    return token_file().parent / "nodes"
