"""The clients of a deployed run: its SuperLink, and its SuperNodes here or elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from llmasos import paths
from llmasos.federated.data import Deal
from llmasos.federated.deployment.certificates import make_authority, make_link, make_node_key, write_private
from llmasos.federated.deployment.federation import Federation
from llmasos.federated.deployment.leading import MODULE, Lead, link_of
from llmasos.federated.deployment.link import LinkSettings
from llmasos.federated.deployment.node import NodeSettings
from llmasos.federated.deployment.programs import Program, end_all
from llmasos.federated.folder import RunFolder
from llmasos.federated.joined import joined_sources
from llmasos.federated.plan import FIRST_NODE, Plan, names_of
from llmasos.federated.port import FederatedError

_HOST = "127.0.0.1"
_LATEST = 2
"""Days that the certificates of a run on one machine last; they are made anew when it goes on."""


class Deployed:
    """A plan's clients, behind a SuperLink of the run's own.

    Sources such as `@hospitals/north` are data sets of machines that joined a federation; all others are on
    this machine, where each gets a SuperNode. Either way all that is said is encrypted, and nodes sign it.

    Args:
        plan: The plan.
        folder: The run's folder; federations are in the folder `federations` beside it.

    Raises:
        FederatedError: A certificate does not hold, a port is taken, or clients are missing.
        DataError: A data set of this machine cannot be trained on.
    """

    start_seconds = 8.0
    message_seconds = 0.1

    def __init__(self, plan: Plan, folder: RunFolder) -> None:
        self._plan = plan
        self._home = paths.private_dir(folder.path / "deployment")
        self._log = folder.log_file
        self.names: Mapping[int, str] = {
            FIRST_NODE + place: name for place, name in enumerate(names_of(plan))
        }
        self._nodes: dict[int, Program] = {}
        self._programs: list[Program] = []
        joined = joined_sources(plan.data.sources)
        try:
            if joined:
                self.deal = None
                self.at_once = plan.sampled
                federation = Federation.open(folder.path.parent / "federations", joined[0][0])
                called = [name for _, name in joined]
                self._lead(
                    link_of(federation, dict(zip(self.names, called, strict=True))), federation.authority
                )
            else:
                self.deal = Deal(plan.data, plan.clients, plan.seed)
                self.at_once = min(len(os.sched_getaffinity(0)), plan.sampled)
                self._alone()
            self._wait()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the link and the nodes of this machine."""
        end_all(self._programs)
        self._programs.clear()

    @property
    def link(self) -> Program:
        """The SuperLink."""
        return self.lead.program

    @property
    def nodes(self) -> Mapping[int, Program]:
        """The SuperNodes of this machine."""
        return self._nodes

    def _alone(self) -> None:
        authority = make_authority("this machine", days=_LATEST)
        issued = make_link(authority, (_HOST,), days=_LATEST)
        write_private(self._home / "link.pem", issued.certificate)
        write_private(self._home / "link-key.pem", issued.key)
        keys = {node: make_node_key() for node in self.names}
        address = self._lead(
            LinkSettings(
                host=_HOST,
                port=0,
                certificate=str(self._home / "link.pem"),
                key=str(self._home / "link-key.pem"),
                nodes={node: public.decode() for node, (_, public) in keys.items()},
            ),
            authority.certificate,
        )
        data = self._plan.data
        several = len(data.sources) > 1
        for place, (node, name) in enumerate(self.names.items()):
            settings = NodeSettings(
                address=address,
                authority=authority.certificate.decode(),
                key=keys[node][0].decode(),
                name=name,
                data=data.model_copy(update={"sources": (data.sources[place],)}) if several else data,
                clients=0 if several else self._plan.clients,
                place=place,
                seed=self._plan.seed,
            )
            file = self._home / f"node-{node}.json"
            write_private(file, settings.model_dump_json().encode())
            self._nodes[node] = self._start("node", file, f"The node of {name}")
        for program in self._nodes.values():
            program.told(self._plan.guard.join_seconds)

    def _lead(self, settings: LinkSettings, authority: bytes) -> str:
        self.lead = Lead(
            settings,
            authority,
            self._home,
            self._log,
            seconds=self._plan.guard.reply_seconds,
            dead=lambda: {node: how for node, one in self._nodes.items() if (how := one.death)},
        )
        self._programs.insert(0, self.lead.program)
        self.grid = self.lead.grid
        return self.lead.address

    def _start(self, which: str, settings: Path, what: str) -> Program:
        program = Program(f"{MODULE}.{which}", settings, what, self._log)
        self._programs.append(program)
        return program

    def _wait(self) -> None:
        """Wait until all clients are there."""

        def look(missing: set[int]) -> None:
            for node in missing & self._nodes.keys():
                self._nodes[node].complain()

        seconds = self._plan.guard.join_seconds
        if missing := self.lead.missing(self.names, seconds, look):
            absent = ", ".join(self.names[node] for node in sorted(missing))
            raise FederatedError(
                f"{len(self.names) - len(missing)} of {len(self.names)} clients are there after "
                f"{seconds:g} seconds; missing: {absent}.",
                hint="Start them there: llmasos federated join INVITATION --data PATH",
            )
