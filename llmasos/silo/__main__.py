"""The command `llmasos knowledge join`: `python -m llmasos.silo INVITATION COLLECTION`."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio

from llmasos import paths
from llmasos.client import AsyncClient
from llmasos.config import load_settings
from llmasos.display import display
from llmasos.federated.deployment.commands import reported
from llmasos.federated.deployment.invitation import Invitation
from llmasos.federated.deployment.site import Site
from llmasos.language import translated
from llmasos.silo.node import SiloSettings
from llmasos.streams import exit_code


def main(arguments: list[str] | None = None) -> int:
    """Offer documents until the person interrupts it; the exit code is 1 when that is not possible."""
    asked = _parser().parse_args(arguments)
    return reported(lambda: _offer(asked))


def _offer(asked: argparse.Namespace) -> int:
    site = Site(asked.invitation, asked.name, root=load_settings().data_dir / "federated" / "joined")
    socket, documents = anyio.run(_look, asked.collection)
    settings = SiloSettings(
        **site.line.model_dump(),
        socket=socket,
        collection=asked.collection,
        folder=paths.private_dir(site.folder / "empty"),
        per_minute=asked.per_minute,
        quotes=asked.quotes,
    )

    def offer(invitation: Invitation, _told: dict[str, Any]) -> str:
        held = "1 document" if documents == 1 else f"{documents:d} documents"
        left = "answers and the passages they cite" if asked.quotes else "answers and the places they cite"
        return translated(
            f"{invitation.name} answers the federation {invitation.federation} from {asked.collection} "
            f"({held}). Only {left} leave this machine; Ctrl-C ends it."
        )

    with closing(site.stay("llmasos.silo.node", settings, offer)) as lines:
        for line in lines:
            print(display(line), flush=True)
    return 0


async def _look(collection: str) -> tuple[Path, int]:
    """Return the kernel's socket, and how many documents there are."""
    async with AsyncClient(name="silo") as client:
        return client.socket, len(await client.documents(collection))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llmasos knowledge join")
    parser.add_argument("--name", default="")
    parser.add_argument("--per-minute", type=int, default=10)
    parser.add_argument("--no-quotes", dest="quotes", action="store_false")
    parser.add_argument("invitation", type=Path)
    parser.add_argument("collection")
    return parser


if __name__ == "__main__":
    sys.exit(exit_code(main))
