"""A federation, machines that train together: its certificates, and the keys of those who were invited."""

from __future__ import annotations

import json
import secrets
import tomllib
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from llmasos import paths
from llmasos.datasets import NAME
from llmasos.federated.deployment.certificates import (
    Issued,
    check,
    ends,
    host_name,
    make_authority,
    make_link,
    make_node_key,
    write_private,
)
from llmasos.federated.deployment.invitation import Invitation
from llmasos.federated.port import FederatedError

PORT = 9092
"""Where links listen unless said otherwise; the port of Flower's own."""

HOST = "127.0.0.1"
"""Where links are reached unless said otherwise: by this machine only."""


@dataclass(frozen=True)
class Federation:
    """A federation's folder on the machine that leads it.

    Args:
        path: The folder.
        name: What it is called.
        hosts: The names and addresses under which its link is reached; invitations say the first.
        port: The link's port.
        bind: The address that the link listens on.
    """

    path: Path
    name: str
    hosts: tuple[str, ...]
    port: int
    bind: str

    @classmethod
    def make(
        cls, root: Path, name: str, *, hosts: tuple[str, ...] = (HOST,), port: int = PORT, bind: str = ""
    ) -> Federation:
        """Make a federation, with an authority and a certificate of its own.

        Args:
            root: The folder of all federations.
            name: What it is called.
            hosts: The names and addresses under which machines reach this one; invitations say the first.
            port: The link's port.
            bind: The address that the link listens on; the first of the hosts that is one by default.

        Raises:
            FederatedError: There is one of that name, or a host, the port or the address is not possible.
        """
        named(name)
        if not 1 <= port <= 65_535:
            raise FederatedError(f"{port} is not a port.", hint="Name one from 1 to 65535.")
        if (root / name).exists():
            raise FederatedError(
                f"There is a federation {name} already.",
                hint=f"Choose another name, or remove {root / name}.",
            )
        for host in hosts:
            host_name(host)
        bind = _address(bind or next(filter(is_address, hosts), ""))
        authority = make_authority(name)
        link = make_link(authority, _once(*hosts, bind))
        folder = paths.private_dir(root) / f".{name}-{secrets.token_hex(4)}"
        paths.private_dir(folder)
        _write(folder, authority, link)
        paths.private_dir(folder / "nodes")
        settings = {"name": name, "hosts": hosts, "port": port, "bind": bind}
        # JSON's strings, numbers and lists are TOML's, too.
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
                root / name,
                str(told["name"]),
                tuple(map(str, told["hosts"])),
                int(told["port"]),
                str(told["bind"]),
            )
        except OSError:
            raise FederatedError(
                f"There is no federation {name}.",
                hint=f"Make it where the training is led: llmasos federated init {name} --host ADDRESS",
            ) from None
        except (KeyError, TypeError, ValueError) as error:
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
    def address(self) -> str:
        """The host and port at which other machines reach the link."""
        host = self.hosts[0]
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def until(self) -> datetime:
        """When the first of its certificates ends."""
        return min(ends(self.authority), ends(self.certificate.read_bytes()))

    @property
    def nodes(self) -> dict[str, str]:
        """The public keys (PEM) of those who were invited, by name."""
        return {path.stem: path.read_text() for path in sorted((self.path / "nodes").glob("*.pem"))}

    def check(self) -> None:
        """Look whether the certificates hold.

        Raises:
            FederatedError: One has expired, or does not hold yet.
        """
        anew = f"Make new ones: llmasos federated renew {self.name}"
        check(self.authority, f"The authority's certificate of the federation {self.name}", anew)
        check(self.certificate.read_bytes(), f"The link's certificate of the federation {self.name}", anew)

    def renew(self) -> None:
        """Make new certificates; all machines must be invited anew, for they trust the old authority only."""
        authority = make_authority(self.name)
        _write(self.path, authority, make_link(authority, _once(*self.hosts, self.bind)))

    def invite(self, name: str) -> Invitation:
        """Let a machine join, and return what it needs; an earlier invitation of that name ends.

        Raises:
            FederatedError: The name is not possible, or the certificates do not hold.
        """
        named(name)
        self.check()
        private, public = make_node_key()
        write_private(self.path / "nodes" / f"{name}.pem", public)
        return Invitation(
            federation=self.name,
            name=name,
            address=self.address,
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


class FederationInfo(BaseModel):
    """A federation as it is shown.

    Args:
        name: What it is called.
        address: The host and port at which other machines reach its link.
        until: When the first of its certificates ends.
        nodes: Who was invited.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    address: str
    until: datetime
    nodes: tuple[str, ...]

    @classmethod
    def of(cls, federation: Federation) -> FederationInfo:
        """Return what is shown of a federation."""
        return cls(
            name=federation.name,
            address=federation.address,
            until=federation.until,
            nodes=tuple(federation.nodes),
        )


def is_address(host: str) -> bool:
    """Return whether a host is an address, and no name that is to be looked up."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def named(name: str) -> None:
    """Look whether a federation or a machine can be called so.

    Raises:
        FederatedError: It cannot.
    """
    if not NAME.fullmatch(name):
        raise FederatedError(
            f"{name!a} is not a name.", hint="Use letters, digits, dots and dashes, as in hospital-1."
        )


def _address(bind: str) -> str:
    """Return an address to listen on: names would have to be looked up, and may lead elsewhere."""
    if not is_address(bind):
        raise FederatedError(
            f"{bind!a} is not an address." if bind else "No address to listen on is named.",
            hint="Name the one to listen on, or all: --bind 192.0.2.7, or --bind 0.0.0.0",
        )
    return bind


def _once(*hosts: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(hosts))


def _write(folder: Path, authority: Issued, link: Issued) -> None:
    write_private(folder / "authority.pem", authority.certificate)
    write_private(folder / "authority-key.pem", authority.key)
    write_private(folder / "link.pem", link.certificate)
    write_private(folder / "link-key.pem", link.key)
