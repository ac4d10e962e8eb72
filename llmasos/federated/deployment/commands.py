"""The commands `init`, `invite`, `dismiss`, `renew`, `nodes` and `join`, which need no kernel."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from llmasos.config import load_settings
from llmasos.display import display, display_json
from llmasos.errors import LLMasOSError
from llmasos.federated.deployment.certificates import write_private
from llmasos.federated.deployment.federation import HOST, PORT, Federation, FederationInfo, named
from llmasos.federated.port import FederatedError
from llmasos.language import translated, translated_error
from llmasos.streams import exit_code


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code is 1 when it failed, and 130 when it was interrupted."""
    asked = _parser().parse_args(arguments)
    return reported(lambda: _COMMANDS[asked.command](asked, load_settings().data_dir / "federated"))


def reported(work: Callable[[], int]) -> int:
    """Return a command's exit code: 1 when it failed, which is said, and 130 when it was interrupted."""
    try:
        return work()
    except LLMasOSError as error:
        print(display(translated_error(error.message, error.hint), keep_newlines=True), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def init(asked: argparse.Namespace, home: Path) -> int:
    """Make a federation."""
    made = Federation.make(
        _root(home), asked.name, hosts=tuple(asked.host or [HOST]), port=asked.port, bind=asked.bind
    )
    _say(f"The federation {made.name} is led from here; its machines reach it at {made.address}.")
    if not asked.host:
        _say("That is this machine only: name others' way to it with --host, as in --host 192.0.2.7")
    _say(f"While they train or are asked, it listens on {made.bind}, TCP port {made.port}: let them through.")
    _say(f"Its certificates hold until {made.until:%d %B %Y}; keys and all are in {made.path}.")
    _say(f"Next: llmasos federated invite {made.name} NODE")
    return 0


def invite(asked: argparse.Namespace, home: Path) -> int:
    """Write an invitation."""
    federation = Federation.open(_root(home), asked.name)
    named(asked.node)
    file = asked.out or Path(f"{asked.name}-{asked.node}.invitation")
    if file.exists():
        raise FederatedError(f"There is a file {file} already.", hint="Name another: --out FILE")
    if not file.parent.is_dir():
        raise FederatedError(
            f"There is no folder {file.parent}.", hint="Make it, or name another: --out FILE"
        )
    invitation = federation.invite(asked.node)
    try:
        write_private(file, invitation.model_dump_json().encode())
    except OSError as error:
        federation.dismiss(asked.node)
        raise FederatedError(
            f"{file} cannot be written: {error.strerror}.", hint="Name another: --out FILE"
        ) from None
    _say(f"{file} lets {asked.node} join; an earlier invitation of that name ends.")
    _say("Whoever has it can answer as that machine: hand it over where nobody else reads it.")
    _say(f"There: llmasos federated join {file.name} --data PATH")
    _say(f"Or, to answer from documents: llmasos knowledge join {file.name} COLLECTION")
    return 0


def dismiss(asked: argparse.Namespace, home: Path) -> int:
    """End an invitation."""
    Federation.open(_root(home), asked.name).dismiss(asked.node)
    _say(f"{asked.node} takes part in nothing of {asked.name} that starts from now on.")
    return 0


def renew(asked: argparse.Namespace, home: Path) -> int:
    """Make new certificates."""
    federation = Federation.open(_root(home), asked.name)
    federation.renew()
    _say(f"The certificates of {federation.name} hold until {federation.until:%d %B %Y}.")
    for node in federation.nodes:
        _say(f"Invite anew: llmasos federated invite {federation.name} {node}")
    return 0


def nodes(asked: argparse.Namespace, home: Path) -> int:
    """Show federations and who was invited to them."""
    root = _root(home)
    found = [Federation.open(root, asked.name)] if asked.name else Federation.all(root)
    for one in found:
        info = FederationInfo.of(one)
        if asked.json:
            print(display_json(info.model_dump_json()))
            continue
        _say(f"{info.name}  at {info.address}, certificates until {info.until:%d %B %Y}")
        for node in info.nodes:
            _say(f"  @{info.name}/{node}")
    if not found and not asked.json:
        print(translated("No federation is led from here."), file=sys.stderr)
    return 0


def join(asked: argparse.Namespace, home: Path) -> int:
    """Offer a data set until the person interrupts it."""
    from llmasos.federated.deployment.site import Site, offer_data

    site = Site(asked.invitation, asked.name, root=home / "joined")
    with closing(offer_data(site, asked.data, label=asked.label)) as lines:
        for line in lines:
            _say(line)
    return 0


_COMMANDS = {
    "init": init,
    "invite": invite,
    "dismiss": dismiss,
    "renew": renew,
    "nodes": nodes,
    "join": join,
}


def _root(home: Path) -> Path:
    return home / "federations"


def _say(line: str) -> None:
    print(display(translated(line)), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llmasos federated")
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("init")
    making.add_argument("--host", action="append")
    making.add_argument("--port", type=int, default=PORT)
    making.add_argument("--bind", default="")
    inviting = commands.add_parser("invite")
    inviting.add_argument("--out", type=Path)
    ending = commands.add_parser("dismiss")
    renewing = commands.add_parser("renew")
    for command in (making, inviting, ending, renewing):
        command.add_argument("name")
    for command in (inviting, ending):
        command.add_argument("node")
    showing = commands.add_parser("nodes")
    showing.add_argument("--json", action="store_true")
    showing.add_argument("name", nargs="?", default="")
    joining = commands.add_parser("join")
    joining.add_argument("--data", required=True)
    joining.add_argument("--label", default="")
    joining.add_argument("--name", default="")
    joining.add_argument("invitation", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(exit_code(main))
