"""Models: the catalog, fetching, engines, and the pydantic-ai models over them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmasos.models.administration import Administration
    from llmasos.models.calls.conversation import EARLIER
    from llmasos.models.calls.model import CallSyntaxModel
    from llmasos.models.calls.prefix import LOOK_BELOW
    from llmasos.models.catalog.fetch import Progress, fetch
    from llmasos.models.catalog.profile import Drive, Profile
    from llmasos.models.catalog.source import HubSource, Source, WheelSource
    from llmasos.models.catalog.spec import Catalog, ModelSpec
    from llmasos.models.choice import choice_of
    from llmasos.models.engines.fake import FakeEngine
    from llmasos.models.engines.llama import LlamaEngine
    from llmasos.models.engines.placed import Place
    from llmasos.models.engines.port import (
        Chunk,
        CompletionRequest,
        ContextExceeded,
        Engine,
        LoadPlan,
        TokenUsage,
        Turn,
    )
    from llmasos.models.models import Models
    from llmasos.models.remote import remote_model
    from llmasos.models.scheduler.top import Top
    from llmasos.models.scheduler.types import Client, Refused
    from llmasos.models.status import ModelStatus, Origin

__all__ = [
    "EARLIER",
    "LOOK_BELOW",
    "Administration",
    "CallSyntaxModel",
    "Catalog",
    "Chunk",
    "Client",
    "CompletionRequest",
    "ContextExceeded",
    "Drive",
    "Engine",
    "FakeEngine",
    "HubSource",
    "LlamaEngine",
    "LoadPlan",
    "ModelSpec",
    "ModelStatus",
    "Models",
    "Origin",
    "Place",
    "Profile",
    "Progress",
    "Refused",
    "Source",
    "TokenUsage",
    "Top",
    "Turn",
    "WheelSource",
    "choice_of",
    "fetch",
    "remote_model",
]

_HOMES = {
    "Administration": "llmasos.models.administration",
    "CallSyntaxModel": "llmasos.models.calls.model",
    "EARLIER": "llmasos.models.calls.conversation",
    "LOOK_BELOW": "llmasos.models.calls.prefix",
    "Catalog": "llmasos.models.catalog.spec",
    "Chunk": "llmasos.models.engines.port",
    "Client": "llmasos.models.scheduler.types",
    "CompletionRequest": "llmasos.models.engines.port",
    "ContextExceeded": "llmasos.models.engines.port",
    "Drive": "llmasos.models.catalog.profile",
    "Engine": "llmasos.models.engines.port",
    "FakeEngine": "llmasos.models.engines.fake",
    "HubSource": "llmasos.models.catalog.source",
    "LlamaEngine": "llmasos.models.engines.llama",
    "LoadPlan": "llmasos.models.engines.port",
    "ModelSpec": "llmasos.models.catalog.spec",
    "ModelStatus": "llmasos.models.status",
    "Models": "llmasos.models.models",
    "Origin": "llmasos.models.status",
    "Place": "llmasos.models.engines.placed",
    "Profile": "llmasos.models.catalog.profile",
    "Progress": "llmasos.models.catalog.fetch",
    "Refused": "llmasos.models.scheduler.types",
    "Source": "llmasos.models.catalog.source",
    "TokenUsage": "llmasos.models.engines.port",
    "Top": "llmasos.models.scheduler.top",
    "Turn": "llmasos.models.engines.port",
    "WheelSource": "llmasos.models.catalog.source",
    "choice_of": "llmasos.models.choice",
    "fetch": "llmasos.models.catalog.fetch",
    "remote_model": "llmasos.models.remote",
}


def __getattr__(name: str) -> Any:
    # Imported when asked for, so that the process of an engine does not pay for what the kernel needs.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
