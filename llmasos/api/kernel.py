"""The kernel on the wire: how it is, and what it offers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from llmasos.api.ledger import LedgerInfo
from llmasos.api.wire import Wire

CLIENT_HEADER = "llmasos-client"
"""The header in which a client says what it is, in lower case; the ledger holds it."""


class ModelInfo(Wire):
    """A model that can be chosen.

    Args:
        size: Bytes of its files; 0 when that is not known.
        licence: SPDX identifier, or what its makers say.
        default: Whether it is asked where none is named.
    """

    name: str
    title: str = ""
    size: int = 0
    state: Literal["remote", "resident", "cached", "absent"] = "absent"
    licence: str = ""
    default: bool = False


class ToolInfo(Wire):
    """A tool as the model sees it.

    Args:
        origin: Where it comes from when it is not ours, such as `plugin:greeter`.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    capabilities: tuple[str, ...] = ()
    origin: str = ""


class Health(Wire):
    """Whether the kernel lives, and whether it takes work."""

    status: Literal["ok", "ready", "draining", "unready"]
    model: str = ""
    model_state: str = ""
    sandbox: str = ""
    ledger: str = ""


class KernelInfo(Wire):
    """The kernel as `llmasos status` shows it."""

    version: str
    pid: int
    started: datetime
    data_dir: str
    model: str
    model_resident: bool
    model_state: Literal["absent", "cached", "resident", "remote"] | None = None
    sandbox: str
    sandbox_reason: str = ""
    service: str = Field("", description="Where other programs reach it; empty without a port.")
    sessions: int
    ledger: LedgerInfo
    spent: float | None = Field(
        None, description="What models elsewhere have cost since the start, by the prices of the settings."
    )
    keys: Literal["emacs", "vi"] = Field("emacs", description="The keys that edit a line in the shell.")
    language: Literal["auto", "en", "zh"] = Field("auto", description="The language of the shell.")


class Fingerprints(Wire):
    """Keyed digests of the settings that the kernel was started with, by name; they tell no value."""

    key: str
    settings: dict[str, str]


class Check(Wire):
    """One line of the doctor's report."""

    part: str
    ok: bool
    message: str
    fix: str = ""
