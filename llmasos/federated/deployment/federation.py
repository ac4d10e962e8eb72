"""A federation, machines that train together: its certificates, keys and invitations."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from llmasos import paths
from llmasos.federated.deployment.certificates import (
    Issued,
    check,
    make_authority,
    make_link,
    make_node_key,
    write_private,
)
from llmasos.federated.port import FederatedError

PORT = 9092
"""Where links listen unless said otherwise; the port of Flower's own."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_VERSION = 1


class Invitation(BaseModel):
    """What another machine needs to join: whoever has it can answer in that name.

    Args:
        version: Of this form.
        federation: What the federation is called.
        name: What the machine's data set will be called.
        address: The link's host and port.
        authority: The certificate (PEM) that the link's own is signed with.
        key: The machine's private key (PEM).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = _VERSION
    federation: str
    name: str
    address: str
    authority: str
    key: str


@dataclass(frozen=True)
class Federation:
    """A federation's folder on the machine that leads it.

    Args:
        path: The folder.
        name: What it is called.
        host: The name or address under which its link is reached.
        port: The link's port.
        bind: The address that the link listens on.
    """

    path: Path
    name: str
    host: str
    port: int
    bind: str

    @classmethod
    def make(cls, root: Path, name: str, *, host: str, port: int = PORT, bind: str = "") -> Federation:
        """Make a federation, with an authority and a certificate of its own.

        Args:
            root: The folder of all federations.
            name: What it is called.
            host: The name or address under which other machines reach this one.
            port: The link's port.
            bind: The address that the link listens on, where that is not the host.

        Raises:
            FederatedError: There is one of that name, or the host or port is not possible.
        """
        named(name)
        if not 1 <= port <= 65_535:
            raise FederatedError(f"{port} is not a port.", hint="Name one from 1 to 65535.")
        if (root / name).exists():
            raise FederatedError(
                f"There is a federation {name} already.",
                hint=f"Choose another name, or remove {root / name}.",
            )
        authority = make_authority(name)
        link = make_link(authority, (host, bind) if bind and bind != host else (host,))
        folder = paths.private_dir(root) / f".{name}-{secrets.token_hex(4)}"
        paths.private_dir(folder)
        _write(folder, authority, link)
        paths.private_dir(folder / "nodes")
        settings = {"name": name, "host": host, "port": port, "bind": bind or host}
        # JSON's strings and numbers are TOML's, too.
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
        write_private(folder / "federation.toml", "\n".join([*lines, ""]).encode())
        folder.rename(root / name)
        return cls.open(root, name)

    @classmethod
    def open(cls, root: Path, name: str) -> Federation:
        """Return a federation that was made.

        Raises:
            FederatedError: There is none of that name, or its settings are damaged.
        """
        named(name)
        try:
            told = tomllib.loads((root / name / "federation.toml").read_text())
            return cls(
                root / name, str(told["name"]), str(told["host"]), int(told["port"]), str(told["bind"])
            )
        except OSError:
            raise FederatedError(
                f"There is no federation {name}.",
                hint=f"Make it: llmasos federated init {name} --host ADDRESS",
            ) from None
        except (KeyError, ValueError) as error:
            raise FederatedError(
                f"{root / name / 'federation.toml'} is damaged: {error}.", hint="Make the federation anew."
            ) from None

    @classmethod
    def all(cls, root: Path) -> list[Federation]:
        """Return all federations, by name."""
        return [cls.open(root, path.parent.name) for path in sorted(root.glob("[!.]*/federation.toml"))]

    @property
    def certificate(self) -> Path:
        """The file of the link's certificate."""
        return self.path / "link.pem"

    @property
    def key(self) -> Path:
        """The file of the link's private key."""
        return self.path / "link-key.pem"

    @property
    def authority(self) -> bytes:
        """The authority's certificate (PEM)."""
        return (self.path / "authority.pem").read_bytes()

    @property
    def nodes(self) -> dict[str, str]:
        """The public keys (PEM) of those who were invited, by name."""
        return {path.stem: path.read_text() for path in sorted((self.path / "nodes").glob("*.pem"))}

    def check(self) -> None:
        """Look whether the certificates hold.

        Raises:
            FederatedError: One has expired, or does not hold yet.
        """
        anew = f"Make new ones: llmasos federated init {self.name} --renew"
        check(self.authority, f"The authority's certificate of the federation {self.name}", anew)
        check(self.certificate.read_bytes(), f"The link's certificate of the federation {self.name}", anew)

    def renew(self) -> None:
        """Make new certificates; all machines must be invited anew, for they trust the old authority only."""
        authority = make_authority(self.name)
        hosts = (self.host, self.bind) if self.bind != self.host else (self.host,)
        _write(self.path, authority, make_link(authority, hosts))

    def invite(self, name: str) -> Invitation:
        """Let a machine join, and return what it needs; an earlier invitation of that name ends.

        Raises:
            FederatedError: The name is not possible, or the certificates do not hold.
        """
        named(name)
        self.check()
        private, public = make_node_key()
        write_private(self.path / "nodes" / f"{name}.pem", public)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return Invitation(
            federation=self.name,
            name=name,
            address=f"{host}:{self.port}",
            authority=self.authority.decode(),
            key=private.decode(),
        )

    def dismiss(self, name: str) -> None:
        """End an invitation; its machine takes part in no run that starts afterwards.

        Raises:
            FederatedError: Nobody of that name was invited.
        """
        named(name)
        try:
            (self.path / "nodes" / f"{name}.pem").unlink()
        except FileNotFoundError:
            raise FederatedError(f"{name} is not in the federation {self.name}.") from None


def read_invitation(path: Path) -> Invitation:
    """Return an invitation from its file.

    Raises:
        FederatedError: The file cannot be read or is no invitation, or its certificate has expired.
    """
    again = "Ask for a new one: llmasos federated init NAME --invite SITE"
    try:
        found = Invitation.model_validate_json(path.read_text())
    except OSError as error:
        raise FederatedError(f"{path} cannot be read: {error.strerror}.", hint=again) from None
    except (ValidationError, UnicodeDecodeError):
        raise FederatedError(f"{path} is not an invitation to a federation.", hint=again) from None
    check(
        found.authority.encode(), f"The authority's certificate of the federation {found.federation}", again
    )
    return found


def join(bundle: Path, data: str, name: str = "", *, label: str = "", folder: Path) -> list[str]:
    """Return the command of a node that offers a data set of this machine, never its rows, until it is ended.

    Args:
        bundle: The file of the invitation.
        data: The data set: a file, a folder or the name of a built-in one.
        name: What it is called; must be what the invitation says, where it is given.
        label: The column that is learnt; the last one when empty.
        folder: Where the node keeps its settings, and all else that it writes.

    Raises:
        FederatedError: The invitation is no good, or is for another name.
    """
    from llmasos.federated.deployment.node import NodeSettings
    from llmasos.federated.plan import DataPlan

    told = read_invitation(bundle)
    if name and name != told.name:
        raise FederatedError(
            f"The invitation is for {told.name}, not for {name}.",
            hint=f"Join as {told.name}, or ask for an invitation for {name}.",
        )
    path = Path(data)
    settings = NodeSettings(
        address=told.address,
        authority=told.authority,
        key=told.key,
        name=told.name,
        data=DataPlan(sources=(str(path.resolve()) if path.exists() else data,), label=label),
    )
    file = paths.private_dir(folder) / "node.json"
    write_private(file, settings.model_dump_json().encode())
    return [sys.executable, "-m", "llmasos.federated.deployment.node", str(file), str(os.getpid())]


def named(name: str) -> None:
    """Look whether a federation or a machine can be called so.

    Raises:
        FederatedError: It cannot.
    """
    if not _NAME.fullmatch(name):
        raise FederatedError(
            f"{name!a} is not a name.", hint="Use letters, digits, dots and dashes, as in hospital-1."
        )


def _write(folder: Path, authority: Issued, link: Issued) -> None:
    write_private(folder / "authority.pem", authority.certificate)
    write_private(folder / "authority-key.pem", authority.key)
    write_private(folder / "link.pem", link.certificate)
    write_private(folder / "link-key.pem", link.key)
