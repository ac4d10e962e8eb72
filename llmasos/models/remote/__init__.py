"""Models behind OpenAI-compatible endpoints."""

from llmasos.models.remote.chat import RemoteChat
from llmasos.models.remote.endpoint import Endpoint, Patience
from llmasos.models.remote.model import listed_models, remote_model
from llmasos.models.remote.spend import Expense, Spend
from llmasos.models.remote.upstreams import Upstreams, UpstreamStatus

__all__ = [
    "Endpoint",
    "Expense",
    "Patience",
    "RemoteChat",
    "Spend",
    "UpstreamStatus",
    "Upstreams",
    "listed_models",
    "remote_model",
]
