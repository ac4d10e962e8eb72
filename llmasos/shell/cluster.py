"""`llmasos cluster`: this machine's part in a cluster of machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmasos.shell.modules import run_module

cluster_app = typer.Typer(
    help="Start, join, show and leave a cluster of machines.", rich_markup_mode=None, no_args_is_help=True
)

Name = Annotated[str, typer.Option("--name", help="The node's name; this machine's by default.")]
Cpus = Annotated[int | None, typer.Option("--cpus", min=0, help="Cores to give; all by default.")]
Gpus = Annotated[int | None, typer.Option("--gpus", min=0, help="GPUs to give; all by default.")]
Memory = Annotated[int | None, typer.Option("--memory", min=0, help="Bytes of memory to give.")]
Store = Annotated[
    int | None, typer.Option("--store", min=80_000_000, help="Bytes of the object store; 256 MiB by default.")
]
Has = Annotated[
    list[str] | None,
    typer.Option("--has", metavar="NAME[=AMOUNT]", help="What else tasks may ask for; repeatable."),
]


@cluster_app.command()
def up(
    host: Annotated[
        str, typer.Option("--host", help="The address of this machine that others reach.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port to be joined at; 0 is any.")
    ] = 6379,
    name: Name = "",
    cpus: Cpus = None,
    gpus: Gpus = None,
    memory: Memory = None,
    store: Store = None,
    has: Has = None,
) -> None:
    """Start a cluster with a token of its own; this machine is its head."""
    _run("up", "--host", host, "--port", str(port), *_node(name, cpus, gpus, memory, store, has))


@cluster_app.command()
def join(
    address: Annotated[str, typer.Argument(help="The cluster's HOST:PORT, as `up` says it.")],
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="The cluster's token; or set LLMASOS_CLUSTER_TOKEN."),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="The address of this machine that others reach.")] = "",
    name: Name = "",
    cpus: Cpus = None,
    gpus: Gpus = None,
    memory: Memory = None,
    store: Store = None,
    has: Has = None,
) -> None:
    """Give this machine to a cluster that is up."""
    token = [] if token_file is None else ["--token-file", str(token_file)]
    rest = _node(name, cpus, gpus, memory, store, has)
    _run("join", *token, *(["--host", host] if host else []), *rest, "--", address)


@cluster_app.command()
def status(
    address: Annotated[
        str, typer.Option("--address", help="The cluster's HOST:PORT; this machine's by default.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the machines of a cluster, and what of them is free."""
    _run("status", *(["--address", address] if address else []), *(["--json"] if as_json else []))


@cluster_app.command()
def down(
    names: Annotated[list[str] | None, typer.Argument(help="Nodes of this machine; all by default.")] = None,
) -> None:
    """Leave the cluster, and end what was started here for it."""
    _run("down", "--", *(names or ()))


def _node(
    name: str,
    cpus: int | None,
    gpus: int | None,
    memory: int | None,
    store: int | None,
    has: list[str] | None,
) -> list[str]:
    given = {"--cpus": cpus, "--gpus": gpus, "--memory": memory, "--store": store, "--name": name or None}
    words = [word for option, value in given.items() if value is not None for word in (option, str(value))]
    return words + [word for one in has or () for word in ("--has", one)]


def _run(*arguments: str) -> None:
    raise typer.Exit(run_module("llmasos.cluster", *arguments))
