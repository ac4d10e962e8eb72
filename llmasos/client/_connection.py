"""What the parts of the asynchronous client need of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import BaseModel

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")
Query = Mapping[str, str | list[str]]


class Connection(Protocol):
    """Sends requests to the kernel."""

    async def request(
        self,
        method: str,
        path: str,
        answer: type[T],
        body: BaseModel | None = None,
        query: Query | None = None,
    ) -> T:
        """Send a request and return its answer."""

    async def post(self, path: str, body: BaseModel | None = None) -> None:
        """Send a request that has no answer but its success."""

    async def delete(self, path: str) -> None:
        """Have something deleted."""

    def stream(
        self, method: str, path: str, *, body: BaseModel | None = None, query: Query | None = None
    ) -> AbstractAsyncContextManager[httpx2.Response]:
        """Send a request whose answer comes piece by piece."""
