"""Models: the catalog, fetching, engines, and the pydantic-ai models over them."""

from llmasos.models.administration import Administration
from llmasos.models.calls.model import CallSyntaxModel
from llmasos.models.catalog.fetch import Progress, fetch
from llmasos.models.catalog.profile import Drive, Profile
from llmasos.models.catalog.source import HubSource, Source, WheelSource
from llmasos.models.catalog.spec import Catalog, ModelSpec
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
    "fetch",
    "remote_model",
]
