"""The routes of the OpenAI-compatible API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.routing import Route

from llmasos.kernel import Kernel
from llmasos.service.drain import Drain
from llmasos.service.openai.chat import ChatCompletions
from llmasos.service.openai.chat_body import ChatBody
from llmasos.service.openai.completions import CompletionBody, Completions
from llmasos.service.openai.embeddings import EmbeddingBody, EmbeddingsEndpoint
from llmasos.service.openai.endpoint import Call, Empty, Endpoint
from llmasos.service.openai.gateway import Gateway
from llmasos.service.openai.models import ModelList
from llmasos.service.openai.responses.body import ResponseBody
from llmasos.service.openai.responses.responses import Responses
from llmasos.service.openai.responses.store import ResponseStore
from llmasos.service.openai.wire import B


def openai_routes(kernel: Kernel, drain: Drain | None = None) -> list[Route]:
    """Return the routes; each one's endpoint has the model of its body.

    Args:
        kernel: The running kernel.
        drain: Ends the replies that are left at a stop.
    """
    drain = drain or Drain(kernel.settings.service.drain_seconds)
    settings = kernel.settings
    gateway = Gateway(kernel.models, kernel.ledger, settings.model_context, settings.models.adapters)
    models = ModelList(gateway, kernel.started)
    responses = Responses(gateway, ResponseStore(kernel.store, settings.service.responses))

    def route(path: str, method: str, work: Callable[[Call[B]], Awaitable[None]], body: type[B]) -> Route:
        return Route(path, Endpoint(work, body, drain), methods=[method])

    return [
        route("/v1/chat/completions", "POST", ChatCompletions(gateway).create, ChatBody),
        route("/v1/completions", "POST", Completions(gateway).create, CompletionBody),
        route("/v1/embeddings", "POST", EmbeddingsEndpoint(gateway).create, EmbeddingBody),
        route("/v1/responses", "POST", responses.create, ResponseBody),
        route("/v1/responses/{response}", "GET", responses.show, Empty),
        route("/v1/responses/{response}", "DELETE", responses.delete, Empty),
        route("/v1/responses/{response}/input_items", "GET", responses.items, Empty),
        route("/v1/models", "GET", models.list, Empty),
        route("/v1/models/{model:path}", "GET", models.show, Empty),
    ]
