"""A machine's own part in a federation: it offers a data set, and answers whoever leads until it is ended."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

from llmasos import paths
from llmasos.federated.deployment.certificates import write_private
from llmasos.federated.deployment.invitation import Invitation, read_invitation
from llmasos.federated.deployment.node import NodeSettings
from llmasos.federated.deployment.programs import Program
from llmasos.federated.folder import RunFolder
from llmasos.federated.plan import DataPlan
from llmasos.federated.port import FederatedError
from llmasos.federated.run import environment_of
from llmasos.federated.schema import Kind

_START_SECONDS = 600.0
_ROWS: dict[Kind, str] = {"table": "rows", "images": "images", "texts": "texts"}
_STANDS = {
    "absent": "No training is under way at {address}; waiting for work.",
    "joined": "Taking part in a training that {address} leads.",
    "refused": "{address} does not let {name} take part: the training under way there is without it, or "
    "there is a newer invitation; trying again.",
    "untrusted": "{address} shows a certificate that this invitation does not trust: it is another's, has "
    "expired, or was renewed and needs a new invitation; trying again.",
}


class Site:
    """A node that offers a data set of this machine: the model's weights leave it, and never its rows.

    Args:
        invitation: The file of the invitation.
        data: The data set: a file, a folder or the name of a built-in one.
        name: What it is called; must be what the invitation says, where it is given.
        label: The column that is learnt; the last one when empty.
        root: Where the nodes of this machine keep their settings, and all else that they write.

    Raises:
        FederatedError: The invitation is no good, or is for another name.
    """

    def __init__(self, invitation: Path, data: str, name: str = "", *, label: str = "", root: Path) -> None:
        self._told = told = read_invitation(invitation)
        if name and name != told.name:
            raise FederatedError(
                f"The invitation is for {told.name}, not for {name}.",
                hint=f"Join as {told.name}, or ask for an invitation for {name}.",
            )
        self._folder = paths.private_dir(root / told.federation / told.name)
        self._settings = self._folder / "node.json"
        settings = NodeSettings(
            address=told.address,
            authority=told.authority,
            key=told.key,
            name=told.name,
            data=DataPlan(sources=(_from_root(data),), label=label),
        )
        write_private(self._settings, settings.model_dump_json().encode())

    def stay(self) -> Generator[str]:
        """Offer the data set, and yield what there is to say, until the caller has had enough.

        Raises:
            DataError: The data set cannot be trained on.
            FederatedError: The node has ended.
        """
        folder = RunFolder(self._folder)
        folder.log_file.unlink(missing_ok=True)
        program = Program(
            "llmasos.federated.deployment.node",
            self._settings,
            f"The node {self._told.name}",
            folder.log_file,
            environment_of(folder),
        )
        try:
            yield _offer(self._told, program.told(_START_SECONDS))
            while True:
                stands = program.told()
                yield _STANDS[stands["link"]].format(address=self._told.address, name=self._told.name)
        finally:
            program.end()


def _offer(invitation: Invitation, told: dict[str, Any]) -> str:
    columns = f" with the columns {', '.join(told['columns'])}" if told["columns"] else ""
    return (
        f"{invitation.name} offers {told['rows']:,} {_ROWS[told['kind']]}{columns} to the federation "
        f"{invitation.federation}. They stay here; Ctrl-C ends it."
    )


def _from_root(data: str) -> str:
    """Return a data set as the node finds it, wherever it works."""
    path, at, size = data.rpartition("@")
    for named, rest in ((data, ""), (path, at + size)):
        if named and Path(named).expanduser().exists():
            return f"{Path(named).expanduser().resolve()}{rest}"
    return data
