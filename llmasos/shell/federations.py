"""`llmasos federated init|invite|dismiss|renew|nodes|join`: machines that train together."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from llmasos.errors import LLMasOSError

_MODULE = "llmasos.federated.deployment.commands"

Name = Annotated[str, typer.Argument(metavar="NAME", help="The federation's name.")]
Node = Annotated[str, typer.Argument(metavar="NODE", help="What the machine's data set is called.")]


def init(
    name: Name,
    host: Annotated[
        list[str] | None,
        typer.Option(
            "--host", metavar="HOST", help="A name or address at which others reach this machine; repeatable."
        ),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The port they reach.")] = 9092,
    bind: Annotated[
        str, typer.Option("--bind", metavar="ADDRESS", help="What to listen on; the first address named.")
    ] = "",
) -> None:
    """Make a federation that is led from this machine."""
    hosts = [word for one in host or () for word in ("--host", one)]
    run_federated(
        _MODULE, "init", *hosts, "--port", str(port), *(["--bind", bind] if bind else []), "--", name
    )


def invite(
    name: Name,
    node: Node,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to write it; here by default.")
    ] = None,
) -> None:
    """Write the invitation with which another machine joins one."""
    run_federated(_MODULE, "invite", *(["--out", str(out)] if out else []), "--", name, node)


def dismiss(name: Name, node: Node) -> None:
    """End an invitation."""
    run_federated(_MODULE, "dismiss", "--", name, node)


def renew(name: Name) -> None:
    """Make a federation's certificates anew.

    Its machines need new invitations.
    """
    run_federated(_MODULE, "renew", "--", name)


def nodes(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A federation; all by default.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the federations that are led from here, and who was invited."""
    run_federated(_MODULE, "nodes", *(["--json"] if as_json else []), "--", *([name] if name else []))


def join(
    invitation: Annotated[Path, typer.Argument(metavar="INVITATION", help="Its file.")],
    data: Annotated[
        str, typer.Option("--data", metavar="PATH", help="The data set to offer: a file or a folder.")
    ],
    label: Annotated[
        str, typer.Option("--label", metavar="COLUMN", help="What to learn; else the last.")
    ] = "",
    name: Annotated[
        str, typer.Option("--name", metavar="NODE", help="What the invitation is expected to be for.")
    ] = "",
) -> None:
    """Offer a data set to a federation; its rows stay here.

    It goes on until Ctrl-C.
    """
    given = {"--label": label, "--name": name}
    rest = [word for option, value in given.items() if value for word in (option, value)]
    run_federated(_MODULE, "join", "--data", data, *rest, "--", str(invitation))


COMMANDS = (init, invite, dismiss, renew, nodes, join)


def run_federated(module: str, *arguments: str) -> None:
    """Become a program that knows federations: a signal reaches it, and nothing is left between.

    Raises:
        LLMasOSError: The extra is not installed.
    """
    if find_spec("flwr") is None:
        raise LLMasOSError(
            "Federated training is not installed.", hint="Install it with `pip install 'llmasos[federated]'`."
        )
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])  # noqa: S606
