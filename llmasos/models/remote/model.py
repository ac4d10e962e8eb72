"""The model behind `LLMASOS_MODEL_URL`, as agents ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmasos.errors import ModelError
from llmasos.models.remote.endpoint import Endpoint, Patience
from llmasos.models.remote.errors import shown

if TYPE_CHECKING:
    from llmasos.models.chat.model import ChatModel


async def remote_model(
    url: str, *, key: str = "", name: str = "", patience: Patience | None = None
) -> ChatModel:
    """Return the model behind the endpoint; without a name, the first one that it lists.

    Raises:
        ModelError: The endpoint cannot be reached, refuses the key, or lists no model.
    """
    from llmasos.models.chat.model import ChatModel
    from llmasos.models.remote.chat import RemoteChat

    endpoint = Endpoint(url, key, patience or Patience())
    return ChatModel(RemoteChat(endpoint, name or await _first_model(endpoint)))


async def _first_model(endpoint: Endpoint) -> str:
    listed = await endpoint.get("models")
    try:
        return str(listed["data"][0]["id"])
    except (LookupError, TypeError) as error:
        raise ModelError(
            f"The endpoint {shown(endpoint.url)} lists no model.",
            hint="Check LLMASOS_MODEL_URL, or name one with LLMASOS_MODEL.",
        ) from error
