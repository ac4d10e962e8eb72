"""Models behind an OpenAI-compatible endpoint, with errors a person can act on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from llmasos.errors import ModelError

if TYPE_CHECKING:
    from pydantic_ai.models import Model

_TIMEOUT = 10.0


async def remote_model(url: str, *, key: str = "", name: str = "") -> Model[Any]:
    """Return the model behind the endpoint; without a name, the first one that it lists.

    Raises:
        ModelError: The endpoint cannot be reached, refuses the key, or lists no model.
    """
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.models.wrapper import WrapperModel
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.openai import OpenAIProvider

    name = name or await _first_model(url, key)
    # The client insists on a key; endpoints without one ignore it.
    inner = OpenAIChatModel(
        name,
        provider=OpenAIProvider(base_url=url, api_key=key or "none"),
        # A stream that ends without saying so was cut; it must not pass for an answer.
        profile=OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True),
    )

    class RemoteModel(WrapperModel):
        """Translates the endpoint's errors."""

        async def request(self, *args: Any, **kwargs: Any) -> Any:
            with _translated(url, name):
                return await super().request(*args, **kwargs)

        @asynccontextmanager
        async def request_stream(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
            with _translated(url, name):
                async with super().request_stream(*args, **kwargs) as stream:
                    yield stream

    return RemoteModel(inner)


async def _first_model(url: str, key: str) -> str:
    import httpx2

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with httpx2.AsyncClient(timeout=_TIMEOUT) as client:
            response = await client.get(f"{url.rstrip('/')}/models", headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _unreachable(url) from error
    if response.is_error:
        raise _refused(url, response.status_code, "")
    try:
        return str(response.json()["data"][0]["id"])
    except (ValueError, LookupError, TypeError) as error:
        raise ModelError(
            f"The endpoint {url} lists no model.",
            hint="Check LLMASOS_MODEL_URL, or name one with LLMASOS_MODEL.",
        ) from error


@contextmanager
def _translated(url: str, name: str) -> Iterator[None]:
    from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError, UnexpectedModelBehavior

    try:
        yield
    except ModelHTTPError as error:
        raise _refused(url, error.status_code, name) from error
    except ModelAPIError as error:
        if "finish_reason" in error.message:
            raise ModelError(
                f"The endpoint {url} cut the reply of {name} short.", hint="Try again."
            ) from error
        raise _unreachable(url) from error
    except UnexpectedModelBehavior as error:
        raise ModelError(
            f"The endpoint {url} sent something that is no reply: {error.message}.", hint="Try again."
        ) from error


def _unreachable(url: str) -> ModelError:
    return ModelError(
        f"The model endpoint {url} cannot be reached.",
        hint="Check that it runs and that LLMASOS_MODEL_URL is right.",
    )


def _refused(url: str, status: int, name: str) -> ModelError:
    if status in (401, 403):
        return ModelError(f"The model endpoint {url} refuses the key.", hint="Set LLMASOS_MODEL_KEY.")
    if status == 404:
        what = f"has no model {name!r}" if name else "does not exist"
        return ModelError(
            f"The model endpoint {url} {what}.",
            hint="Check LLMASOS_MODEL_URL (it usually ends in /v1) and LLMASOS_MODEL.",
        )
    return ModelError(f"The model endpoint {url} answered with HTTP {status}.", hint="Try again later.")
