"""The program that asks machines of a federation: `python -m …deployment.asking SETTINGS PARENT`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmasos.federated.deployment.federation import Federation
from llmasos.federated.deployment.leading import Lead, link_of
from llmasos.federated.deployment.programs import begin
from llmasos.federated.plan import FIRST_NODE
from llmasos.federated.port import FederatedError
from llmasos.federated.questions import asking, told_by
from llmasos.federated.silos import Asking, Told

_ABSENT = Told.none("it is not there")


def serve(settings: Path, tell: Callable[[dict[str, Any]], None]) -> None:
    """Ask the machines that are there, and tell what each of them told.

    Raises:
        FederatedError: There is no such federation, or none of its machines is there.
    """
    asked = Asking.model_validate_json(settings.read_text())
    federation = Federation.open(asked.root, asked.federation)
    names = dict(enumerate(asked.names or federation.nodes, FIRST_NODE))
    if not names:
        raise FederatedError(
            f"Nobody was invited to the federation {federation.name}.",
            hint=f"Invite who has documents: llmasos federated invite {federation.name} NAME",
        )
    home = settings.parent
    lead = Lead(
        link_of(federation, names),
        federation.authority,
        home,
        home / "link.log",
        seconds=asked.seconds,
        again="Ask again.",
    )
    try:
        absent = lead.missing(names, asked.join_seconds)
        there = [node for node in names if node not in absent]
        if not there:
            raise FederatedError(
                f"Nobody is there to ask: {', '.join(names.values())}.",
                hint="Have them offer their documents: llmasos knowledge join INVITATION NAME",
            )
        replies = lead.grid.send_and_receive([asking(asked.question, node) for node in there])
        told = {node: told_by(reply) for node, reply in zip(there, replies, strict=True)}
    finally:
        lead.program.end()
    tell({"told": {name: told.get(node, _ABSENT).model_dump() for node, name in names.items()}})


if __name__ == "__main__":
    sys.exit(begin(serve, sys.argv[1:]))
