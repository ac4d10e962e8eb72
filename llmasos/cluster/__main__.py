"""The commands `up`, `join`, `status` and `down`, which need Ray but no kernel."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import anyio

from llmasos.cluster._ray_environment import token_file
from llmasos.cluster.nodes import PORT, Offer, down, join, up
from llmasos.cluster.port import ClusterError, Machine
from llmasos.cluster.ray import RayCluster
from llmasos.cluster.records import Node, nodes
from llmasos.display import display, display_json
from llmasos.errors import LLMasOSError
from llmasos.language import translated, translated_error
from llmasos.streams import exit_code

_TOKEN = "LLMASOS_CLUSTER_TOKEN"  # noqa: S105


def show(node: Node) -> None:
    """Print a node of this machine."""
    line = f"at {node.address}, process {node.pid}"
    print(display(f"{node.role:<6} {node.name}  {translated(line)}"), flush=True)


def tell(machines: list[Machine]) -> None:
    """Print the machines of a cluster: what they have, and what is free."""
    for machine in machines:
        state = translated("alive" if machine.alive else "ended")
        parts = [_part(name, machine.free.get(name, 0), has) for name, has in machine.has.items()]
        text = ", ".join(part for part in parts if part)
        print(display(f"{machine.name}  {machine.address}  {state}  {text}".rstrip()))


async def machines(address: str) -> list[Machine]:
    """Return the machines of a cluster.

    Args:
        address: Its address.

    Raises:
        ClusterError: It cannot be reached.
    """
    cluster = RayCluster(address)
    try:
        return await cluster.machines()
    finally:
        await cluster.close()


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code is 1 when it failed."""
    asked = _parser().parse_args(arguments)
    try:
        if asked.command == "up":
            return start(up(asked.host, asked.port, _offer(asked), asked.name))
        if asked.command == "join":
            token = _token(asked.token_file)
            show(join(asked.address, token=token, host=asked.host, offer=_offer(asked), name=asked.name))
            return 0
        if asked.command == "down":
            ended = down(asked.names)
            for node in ended:
                print(display(translated(f"ended  {node.name}")))
            if not ended:
                print(translated("No node runs here."))
            return 0
        return status(asked.address, as_json=asked.json)
    except LLMasOSError as error:
        print(display(translated_error(error.message, error.hint), keep_newlines=True), file=sys.stderr)
        return 1


def start(node: Node) -> int:
    """Print a head that was started, and how others join it."""
    show(node)
    print(display(translated(f"token  {token_file()}; whoever has it can run anything here")))
    print(display(translated(f"join   llmasos cluster join {node.address} --token-file FILE")))
    print(display(translated(f"use    LLMASOS_MODELS__CLUSTER={node.address}")))
    return 0


def status(address: str, *, as_json: bool) -> int:
    """Print the nodes of this machine, and the machines of the cluster; 1 when there is none.

    Args:
        address: The cluster's address; empty is the one that this machine is in.
        as_json: Print one object of JSON for each machine.
    """
    running = nodes()
    if not address and not running:
        print(translated("This machine is in no cluster."), file=sys.stderr)
        return 1
    if not as_json:
        for node in running:
            show(node)
    found = anyio.run(machines, address or running[0].address)
    if as_json:
        for machine in found:
            print(display_json(machine.model_dump_json()))
    else:
        tell(found)
    return 0


def _part(name: str, free: float, has: float) -> str:
    if name in ("memory", "object_store_memory"):
        return f"{free / 2**30:.1f} of {has / 2**30:.1f} GiB {name.replace('_', ' ')} free"
    return f"{free:g} of {has:g} {name} free"


def _offer(asked: argparse.Namespace) -> Offer:
    given = {"cpus": asked.cpus, "gpus": asked.gpus, "memory": asked.memory, "store": asked.store}
    return Offer(
        **{name: value for name, value in given.items() if value is not None}, custom=_custom(asked.has)
    )


def _custom(words: list[str]) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for word in words:
        name, _, amount = word.partition("=")
        try:
            found[name] = float(amount or 1)
        except ValueError:
            raise ClusterError(f"{word} is no amount of anything.", hint="Write --has docker=2.") from None
    return found


def _token(file: Path | None) -> str:
    if file is None:
        return os.environ.get(_TOKEN) or os.environ.get("RAY_AUTH_TOKEN", "")
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ClusterError(
            f"The token's file {file} cannot be read: {why}.", hint="Copy it from the head's machine."
        ) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llmasos cluster")
    commands = parser.add_subparsers(dest="command", required=True)
    begin = commands.add_parser("up")
    begin.add_argument("--host", default="127.0.0.1")
    begin.add_argument("--port", type=int, default=PORT)
    joining = commands.add_parser("join")
    joining.add_argument("address")
    joining.add_argument("--token-file", type=Path)
    joining.add_argument("--host", default="")
    for command in (begin, joining):
        command.add_argument("--name", default="")
        for option in ("--cpus", "--gpus", "--memory", "--store"):
            command.add_argument(option, type=int)
        command.add_argument("--has", action="append", default=[])
    shown = commands.add_parser("status")
    shown.add_argument("--address", default="")
    shown.add_argument("--json", action="store_true")
    commands.add_parser("down").add_argument("names", nargs="*")
    return parser


if __name__ == "__main__":
    sys.exit(exit_code(main))
