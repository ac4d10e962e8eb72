"""A machine's own part in a federation: it offers something, and answers whoever leads until it is ended."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from llmasos import paths
from llmasos.federated.deployment.certificates import write_private
from llmasos.federated.deployment.invitation import Invitation, read_invitation
from llmasos.federated.deployment.node import LineSettings, NodeSettings
from llmasos.federated.deployment.programs import Program
from llmasos.federated.folder import RunFolder
from llmasos.federated.plan import DataPlan
from llmasos.federated.port import FederatedError
from llmasos.federated.run import environment_of
from llmasos.federated.schema import Kind
from llmasos.language import translated

_START_SECONDS = 600.0
_ROWS: dict[Kind, str] = {"table": "rows", "images": "images", "texts": "texts"}
_STANDS = {
    "absent": "Nobody leads at {address} now; waiting for work.",
    "joined": "Taking part in what {address} leads.",
    "refused": "{address} does not let {name} take part: what is under way there is without it, or "
    "there is a newer invitation; trying again.",
    "untrusted": "{address} shows a certificate that this invitation does not trust: it is another's, has "
    "expired, or was renewed and needs a new invitation; trying again.",
}


class Site:
    """A node of this machine, in a folder of its own.

    Args:
        invitation: The file of the invitation.
        name: What it is called; must be what the invitation says, where it is given.
        root: Where the nodes of this machine keep their settings, and all else that they write.

    Raises:
        FederatedError: The invitation is no good, or is for another name.
    """

    def __init__(self, invitation: Path, name: str = "", *, root: Path) -> None:
        self.invitation = told = read_invitation(invitation)
        if name and name != told.name:
            raise FederatedError(
                f"The invitation is for {told.name}, not for {name}.",
                hint=f"Join as {told.name}, or ask for an invitation for {name}.",
            )
        self.line = LineSettings(address=told.address, authority=told.authority, key=told.key, name=told.name)
        self.folder = paths.private_dir(root / told.federation / told.name)

    def stay(
        self,
        module: str,
        settings: BaseModel,
        offer: Callable[[Invitation, dict[str, Any]], str],
    ) -> Generator[str]:
        """Run the node's program, and yield what there is to say, until the caller has had enough.

        Args:
            module: The program.
            settings: What it is told.
            offer: Says what is offered, by what the program tells when it is ready.

        Raises:
            DataError: What it offers cannot be used.
            FederatedError: The node has ended.
        """
        file = self.folder / "node.json"
        write_private(file, settings.model_dump_json().encode())
        return self._run(module, file, offer)

    def _run(
        self, module: str, settings: Path, offer: Callable[[Invitation, dict[str, Any]], str]
    ) -> Generator[str]:
        folder = RunFolder(self.folder)
        folder.log_file.unlink(missing_ok=True)
        program = Program(
            module,
            settings,
            f"The node {self.line.name}",
            folder.log_file,
            environment_of(self.folder),
        )
        try:
            yield offer(self.invitation, program.told(_START_SECONDS))
            while True:
                stands = program.told()
                yield _STANDS[stands["link"]].format(address=self.line.address, name=self.line.name)
        finally:
            program.end()


def offer_data(site: Site, data: str, *, label: str = "") -> Generator[str]:
    """Offer a data set of this machine: the model's weights leave it, and never its rows.

    Args:
        site: The machine's part in the federation.
        data: The data set: a file, a folder or the name of a built-in one.
        label: The column that is learnt; the last one when empty.

    Raises:
        DataError: The data set cannot be trained on.
        FederatedError: The node has ended.
    """
    plan = DataPlan(sources=(_from_root(data),), label=label)
    settings = NodeSettings(**site.line.model_dump(), data=plan)
    return site.stay("llmasos.federated.deployment.node", settings, _data_offer)


def _data_offer(invitation: Invitation, told: dict[str, Any]) -> str:
    rows = f"{told['rows']:,} {translated(_ROWS[told['kind']])}"
    columns = f" with the columns {', '.join(told['columns'])}" if told["columns"] else ""
    return translated(
        f"{invitation.name} offers {rows}{columns} to the federation {invitation.federation}. "
        "They stay here; Ctrl-C ends it."
    )


def _from_root(data: str) -> str:
    """Return a data set as the node finds it, wherever it works."""
    path, at, size = data.rpartition("@")
    for named, rest in ((data, ""), (path, at + size)):
        if named and Path(named).expanduser().exists():
            return f"{Path(named).expanduser().resolve()}{rest}"
    return data
