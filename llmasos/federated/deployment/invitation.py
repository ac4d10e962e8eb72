"""An invitation to a federation: the file that another machine needs to join."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from llmasos.datasets import NAME
from llmasos.federated.deployment.certificates import check, public_of
from llmasos.federated.port import FederatedError

_VERSION = 1


class Invitation(BaseModel):
    """What another machine needs to join: whoever has it can answer in that name.

    Args:
        version: Of this form.
        federation: What the federation is called.
        name: What the machine will be called.
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


def read_invitation(path: Path) -> Invitation:
    """Return an invitation from its file.

    Raises:
        FederatedError: The file cannot be read or is no invitation, or its certificate has expired.
    """
    again = "Ask for a new one, which `llmasos federated invite` makes."
    try:
        found = Invitation.model_validate_json(path.read_text())
        public_of(found.key.encode())
        parted = urlsplit(f"//{found.address}")
        whole = bool(parted.hostname and parted.port)
        if not (NAME.fullmatch(found.federation) and NAME.fullmatch(found.name)):
            raise ValueError("names become folders")
    except OSError as error:
        raise FederatedError(f"{path} cannot be read: {error.strerror}.", hint="Check its name.") from None
    except (TypeError, ValueError):  # what validation and decoding raise, too
        raise FederatedError(f"{path} is not an invitation to a federation.", hint=again) from None
    if not whole:
        raise FederatedError(f"The invitation {path} names no host and port.", hint=again)
    check(
        found.authority.encode(), f"The authority's certificate of the federation {found.federation}", again
    )
    return found
