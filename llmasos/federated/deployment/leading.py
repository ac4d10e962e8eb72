"""Leading a federation: a SuperLink of this process's own, and the way to the nodes behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from llmasos.federated._flower import link_grid
from llmasos.federated.deployment.certificates import write_private
from llmasos.federated.deployment.federation import Federation
from llmasos.federated.deployment.grid import LinkedGrid
from llmasos.federated.deployment.link import LinkSettings
from llmasos.federated.deployment.programs import Program
from llmasos.federated.port import FederatedError

MODULE = "llmasos.federated.deployment"
_LINK_SECONDS = 30.0
_POLL = 0.1


class Lead:
    """A SuperLink that has started.

    Args:
        settings: The link's.
        authority: The certificate (PEM) that the link's own is signed with.
        home: Where its settings are kept.
        log: Where what it says goes.
        seconds: How long a client may take when a message does not say.
        again: What to do when the link ends.
        dead: Returns how nodes ended that are known to have, by node.

    Raises:
        FederatedError: The port is taken, or the link does not start.
    """

    def __init__(
        self,
        settings: LinkSettings,
        authority: bytes,
        home: Path,
        log: Path,
        *,
        seconds: float,
        again: str = "Go on where it was: llmasos federated resume RUN",
        dead: Callable[[], Mapping[int, str]] = dict,
    ) -> None:
        self._again = again
        file = home / "link.json"
        write_private(file, settings.model_dump_json().encode())
        self.program = Program(f"{MODULE}.link", file, "The SuperLink", log)
        try:
            told = self.program.told(_LINK_SECONDS)
        except BaseException:
            self.program.end()
            raise
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.address = f"{host}:{told['port']}"
        self.grid = LinkedGrid(
            link_grid(self.address, authority, told["token"], told["run"]),
            seconds=seconds,
            check=self._check,
            again=again,
            dead=dead,
        )

    def missing(
        self, nodes: Collection[int], seconds: float, look: Callable[[set[int]], None] = lambda missing: None
    ) -> set[int]:
        """Wait until nodes are there, and return those that are not in the end.

        Args:
            nodes: Their numbers.
            seconds: How long is waited.
            look: Given those that are missing, again and again; may raise.
        """
        deadline = time.monotonic() + seconds
        while missing := set(nodes) - set(self.grid.get_node_ids()):
            look(missing)
            if time.monotonic() >= deadline:
                break
            time.sleep(_POLL)
        return missing

    def _check(self) -> None:
        if how := self.program.death:
            raise FederatedError(f"The SuperLink has ended ({how}).", hint=self._again)


def link_of(federation: Federation, names: Mapping[int, str]) -> LinkSettings:
    """Return the settings of the link that leads some machines of a federation.

    Args:
        federation: The federation.
        names: What the machines are called, by the numbers that their nodes will have.

    Raises:
        FederatedError: One was not invited, or a certificate does not hold.
    """
    federation.check()
    known = federation.nodes
    for name in names.values():
        if name not in known:
            raise FederatedError(
                f"{name} was not invited to the federation {federation.name}.",
                hint=f"Invite it: llmasos federated invite {federation.name} {name}",
            )
    return LinkSettings(
        host=federation.bind,
        port=federation.port,
        certificate=str(federation.certificate),
        key=str(federation.key),
        nodes={node: known[name] for node, name in names.items()},
    )
