"""The model behind `LLMASOS_MODEL_URL`, as agents ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

import anyio

from llmasos.errors import ModelError
from llmasos.models.remote.endpoint import Endpoint, Patience
from llmasos.models.remote.errors import shown
from llmasos.models.remote.spend import Spend

if TYPE_CHECKING:
    from llmasos.models.chat.model import ChatModel

_LONGEST_NAME = 200
_QUICK = Patience(connect=5.0, check=5.0, attempts=1)


async def remote_model(
    url: str, *, key: str = "", name: str = "", patience: Patience | None = None, spend: Spend | None = None
) -> ChatModel:
    """Return the model behind the endpoint; without a name, the first one that it lists.

    Raises:
        ModelError: The endpoint cannot be reached, refuses the key, or lists no model.
    """
    from llmasos.models.chat.model import ChatModel
    from llmasos.models.remote.chat import RemoteChat

    endpoint = Endpoint(url, key, patience or Patience())
    try:
        chosen = name or await _first_model(endpoint)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await endpoint.close()
        raise
    return ChatModel(RemoteChat(endpoint, chosen, spend=spend))


async def listed_models(url: str, *, key: str = "") -> tuple[str, ...]:
    """Return the models that the endpoint lists; none where it does not say which it has."""
    endpoint = Endpoint(url, key, _QUICK)
    try:
        listed = await endpoint.get("models")
    except ModelError:
        return ()
    finally:
        with anyio.CancelScope(shield=True):
            await endpoint.close()
    rows = listed.get("data") if isinstance(listed, dict) else None
    names = [row.get("id") if isinstance(row, dict) else None for row in rows or ()]
    return tuple(name for name in names if _is_name(name))


async def _first_model(endpoint: Endpoint) -> str:
    listed = await endpoint.get("models")
    try:
        name = listed["data"][0]["id"]
    except (LookupError, TypeError):
        name = None
    if _is_name(name):
        return name
    raise ModelError(
        f"The endpoint {shown(endpoint.url)} lists no model.",
        hint="Check LLMASOS_MODEL_URL, or name one with LLMASOS_MODEL.",
    )


def _is_name(name: Any) -> TypeGuard[str]:
    return isinstance(name, str) and name.isprintable() and 0 < len(name) <= _LONGEST_NAME
