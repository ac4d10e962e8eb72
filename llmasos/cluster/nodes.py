"""This machine's part in a cluster: nodes are started, join, are listed, and end."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from llmasos.cluster._ray_environment import node_environment, token_file
from llmasos.cluster._tree import began, descendants, end_tree
from llmasos.cluster.addresses import bracketed, free_port, unreachable, way_to
from llmasos.cluster.port import ClusterError
from llmasos.cluster.records import Node, forget, named, nodes, record
from llmasos.paths import private_dir

PORT = 6379
_STORE_BYTES = 256 << 20
_READY = "Ray runtime started."
_START_SECONDS = 90.0
_GRACE_SECONDS = 2.5
_KILL_SECONDS = 2.0
_POLL_SECONDS = 0.05
# Ray's sockets lie 65 characters deeper, and a socket's path may have 107.
_LONGEST_FOLDER = 40


class Offer(BaseModel, frozen=True):
    """What a node gives to the cluster.

    Args:
        cpus: Cores; None is all.
        gpus: GPUs; None is all.
        memory: Bytes for tasks that ask for some; None is most of what is free.
        store: Bytes of the object store.
        custom: What else there is, such as `docker`, and how much of it.
    """

    cpus: int | None = None
    gpus: int | None = None
    memory: int | None = None
    store: int = _STORE_BYTES
    custom: dict[str, float] = {}


def up(host: str = "127.0.0.1", port: int = PORT, offer: Offer | None = None, name: str = "") -> Node:
    """Start a cluster, with this machine as its head and a new token.

    Args:
        host: The address of this machine that others reach it by.
        port: The port to be joined at; 0 is any that is free.
        offer: What this machine gives.
        name: The node's name; empty is this machine's.

    Raises:
        ClusterError: It cannot start, or this machine is in a cluster.
    """
    if running := nodes():
        raise ClusterError(
            f"This machine is in the cluster at {running[0].address}.", hint="Leave it: llmasos cluster down"
        )
    _check_ray()
    name = named(name)
    port = free_port(host, port)
    arguments = ["--head", "--port", str(port), "--include-dashboard", "false", "--no-monitor"]
    with _kept_token(secrets.token_hex(32)):
        return _start("head", f"{bracketed(host)}:{port}", host, arguments, offer or Offer(), name)


def join(
    address: str, *, token: str = "", host: str = "", offer: Offer | None = None, name: str = ""
) -> Node:
    """Start a node that belongs to a cluster.

    Args:
        address: The cluster's address, with its port.
        token: The cluster's token; empty is the one that is kept on this machine.
        host: The address of this machine that the others reach it by; empty is the one that leads there.
        offer: What this machine gives.
        name: The node's name; empty is this machine's.

    Raises:
        ClusterError: Nobody listens there, there is no token, or this machine is in another cluster.
    """
    _check_ray()
    name = named(name)
    there = address.rpartition(":")[0].strip("[]")
    if not there:
        raise ClusterError(f"{address} has no port.", hint=f"Write it as HOST:PORT, such as 10.0.0.1:{PORT}.")
    if reason := unreachable(address):
        raise ClusterError(
            f"The Ray cluster at {address} cannot be reached: {reason}.",
            hint="Check the address, and that `llmasos cluster up --host` named one that leads there.",
        )
    file = token_file()
    kept = file.read_text().strip() if file.exists() else ""
    token = token.strip() or kept
    if not token:
        raise ClusterError(
            "There is no token for the cluster.",
            hint=f"Copy {file} from the machine that is up, and give it with --token-file.",
        )
    if token != kept and (running := nodes()):
        raise ClusterError(
            f"This machine is in the cluster at {running[0].address}, which has another token.",
            hint="Leave it: llmasos cluster down",
        )
    host = host or way_to(there)
    with _kept_token(token):
        return _start("worker", address, host, ["--address", address], offer or Offer(), name)


def down(names: Sequence[str] = ()) -> list[Node]:
    """End nodes of this machine, workers first, and return those that were ended.

    Args:
        names: Which; none is all.

    Raises:
        ClusterError: There is no such node.
    """
    running = nodes()
    known = {node.name for node in running}
    for name in names:
        if name not in known:
            raise ClusterError(f"No node {name} runs here.", hint=f"There is {', '.join(known) or 'none'}.")
    chosen = sorted((node for node in running if not names or node.name in names), key=_is_head)
    # What they consist of is known only while their first processes live.
    processes = {node.pid: node.began for node in chosen}
    processes |= {pid: began(pid) for pid in descendants(processes)}
    for node in chosen:
        os.kill(node.pid, signal.SIGTERM)
    _wait(processes, _GRACE_SECONDS)
    left = {pid for pid, since in processes.items() if since and began(pid) == since}
    end_tree(left)
    _wait({pid: processes[pid] for pid in left}, _KILL_SECONDS)
    for node in chosen:
        forget(node)
    return chosen


def _start(
    role: Literal["head", "worker"], address: str, host: str, arguments: list[str], offer: Offer, name: str
) -> Node:
    folder = Path(tempfile.mkdtemp(prefix="llmasos-ray-", dir=_short_folder()))
    log = folder / "node.log"
    command = [sys.executable, "-P", "-m", "llmasos.cluster._node", "start", "--block", *arguments]
    command += ["--node-ip-address", host, "--node-name", name, "--temp-dir", str(folder)]
    command += ["--object-store-memory", str(offer.store), "--disable-usage-stats"]
    # Any free ports will do: those that Ray would take may be taken.
    command += ["--min-worker-port", "0", "--max-worker-port", "0", "--dashboard-agent-listen-port", "0"]
    command += ["--include-log-monitor", "false"]
    for option, value in (("cpus", offer.cpus), ("gpus", offer.gpus)):
        command += [] if value is None else [f"--num-{option}", str(value)]
    command += [] if offer.memory is None else ["--memory", str(offer.memory)]
    command += ["--resources", json.dumps(offer.custom)] if offer.custom else []
    output = os.open(log, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        # It outlives this process, so nothing here is to hold on to it.
        pid = os.posix_spawn(
            sys.executable,
            command,
            node_environment(),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
            setsid=True,
        )
    finally:
        os.close(output)
    node = Node(
        name=name,
        role=role,
        address=address,
        host=host,
        pid=pid,
        began=began(pid),
        folder=folder,
    )
    try:
        record(node)
        _await_ready(node, log)
    except BaseException:
        end_tree([pid])
        forget(node)
        raise
    return node


def _await_ready(node: Node, log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while _READY not in (text := log.read_text(errors="replace")):
        if not node.alive or time.monotonic() > until:
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            why = lines[-1] if lines else "it said nothing"
            raise ClusterError(
                f"The node does not start: {why}",
                hint="Check the address and the token, and that all machines have the same version of Ray.",
            )
        time.sleep(_POLL_SECONDS)


def _check_ray() -> None:
    if find_spec("ray") is None:
        raise ClusterError("Ray is not installed.", hint="Install it with: pip install 'llmasos[cluster]'.")


def _short_folder() -> str | None:
    return None if len(tempfile.gettempdir()) + len("/llmasos-ray-12345678") <= _LONGEST_FOLDER else "/tmp"  # noqa: S108


def _wait(processes: Mapping[int, int], seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and any(began(pid) == since for pid, since in processes.items() if since):
        time.sleep(_POLL_SECONDS)


def _write_private(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)


@contextlib.contextmanager
def _kept_token(token: str) -> Iterator[None]:
    """Keep a token on this machine, or what was kept before when what needs it fails."""
    file = token_file()
    private_dir(file.parent)
    before = file.read_text() if file.exists() else ""
    _write_private(file, token)
    try:
        yield
    except BaseException:
        if before:
            _write_private(file, before)
        else:
            file.unlink()
        raise


def _is_head(node: Node) -> bool:
    return node.role == "head"
