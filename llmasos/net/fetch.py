"""Fetching pages of the web whose addresses may come from anybody."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import anyio

from llmasos.errors import LLMasOSError
from llmasos.net.hosts import HostError, as_ascii, parse_host
from llmasos.net.reach import PORTS, OutOfReach, Reach, Resolver

if TYPE_CHECKING:
    import httpcore2
    import httpx2

_URL = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.DOTALL)
_NEVER = re.compile(r"[\x00-\x20\x7f-\xa0\\\ud800-\udfff]")
_LONGEST_URL = 8192
_ENCODINGS = {"", "identity", "gzip", "deflate"}
# Others are slow to read, or no text encodings at all.
_CHARSETS = re.compile(
    r"(us-)?ascii|utf-?(8|16|16le|16be|16-le|16-be)|iso-?8859-?\d{1,2}|latin-?1|windows-?\d{3,4}|cp\d{3,4}"
    r"|koi8-[ru]|(shift|x)[-_]s?jis|euc-?(jp|kr)|iso-2022-jp|gb2312|gbk|gb18030|big5(-?hkscs)?|macintosh"
)
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}")


class FetchError(LLMasOSError):
    """A page that cannot be fetched."""

    code = "network"


@dataclass(frozen=True)
class Caps:
    """What one page may cost.

    Args:
        bytes: Of its content as it travels, and again when it is unpacked; what is over it is left out.
        seconds: For all of it, redirects included.
        redirects: That are followed.
    """

    bytes: int = 4 * 2**20
    seconds: float = 30.0
    redirects: int = 5


@dataclass(frozen=True)
class Page:
    """What a URL led to.

    Args:
        url: What was asked for.
        final_url: What answered, after redirects.
        status: Of HTTP; pages of errors are pages, too.
        media_type: Such as `text/html`, in lower case; empty if it was not told.
        charset: Of text, as it was told; empty if it was not.
        content: The first bytes, unpacked.
        truncated: Whether there were more.
    """

    url: str
    final_url: str
    status: int
    media_type: str
    charset: str
    content: bytes
    truncated: bool

    @property
    def text(self) -> str:
        """The content as text; what cannot be read becomes U+FFFD."""
        name = self.charset if _CHARSETS.fullmatch(self.charset) else "utf-8"
        try:
            return self.content.decode(name, "replace")
        except LookupError:
            return self.content.decode("utf-8", "replace")


class Fetcher:
    """Fetches pages over connections to checked addresses; use it as an async context.

    Args:
        named: URLs or `host:port` that a person named, which may lie anywhere.
        caps: What one page may cost.
        ports: The ports that others may be asked at.
        agent: What it calls itself.
        resolver: Returns the addresses of a name.
        backend: Connects to an address.
    """

    def __init__(
        self,
        *,
        named: Iterable[str] = (),
        caps: Caps | None = None,
        ports: Iterable[int] = PORTS,
        agent: str = "llmasos",
        resolver: Resolver | None = None,
        backend: httpcore2.AsyncNetworkBackend | None = None,
    ) -> None:
        self._reach = Reach(named, ports=ports)
        self._caps = caps or Caps()
        self._agent = agent
        self._resolver, self._backend = resolver, backend
        self._client: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; the next page opens others."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def get(self, url: str, *, accept: str = "*/*") -> Page:
        """Fetch what a URL leads to.

        Args:
            url: An http:// or https:// address.
            accept: Media types that are wanted.

        Raises:
            OutOfReach: It, or something that it redirects to, may not be fetched from.
            FetchError: It does not answer in time, or not as HTTP has it.
        """
        import httpx2

        from llmasos.net.transport import check_redirect

        plain = self.checked_url(url)
        headers = {"Accept": accept, "Accept-Encoding": "gzip, deflate", "User-Agent": self._agent}
        try:
            with anyio.fail_after(self._caps.seconds):
                target = httpx2.URL(plain)
                for _ in range(self._caps.redirects + 1):
                    request = self._connected().build_request("GET", target, headers=headers)
                    response = await self._connected().send(request, stream=True)
                    try:
                        if not response.has_redirect_location:
                            return await self._page(url, response)
                        check_redirect(self._reach, response)
                        target = httpx2.URL(self.checked_url(str(target.join(response.headers["location"]))))
                    finally:
                        with anyio.CancelScope(shield=True):
                            await response.aclose()
        except TimeoutError:
            raise _failed(url, f"it took more than {self._caps.seconds:g} seconds") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise _failed(url, str(error) or type(error).__name__) from error
        raise _failed(url, f"it redirects more than {self._caps.redirects} times")

    def checked_url(self, url: str) -> str:
        """Return a URL in the spelling that is sent, without its fragment.

        Raises:
            OutOfReach: It is no plain address of the web, or names a host that may not be asked.
        """
        try:
            return self._checked(url)
        except HostError as error:
            raise OutOfReach(url[:200], str(error)) from None

    def _checked(self, url: str) -> str:
        if len(url) > _LONGEST_URL:
            raise HostError(f"it is longer than {_LONGEST_URL} characters")
        if _NEVER.search(url):
            raise HostError("it holds characters that no address has")
        found = _URL.fullmatch(url)
        scheme = found["scheme"].lower() if found else ""
        if found is None or scheme not in ("http", "https"):
            raise HostError("it is no http:// or https:// address")
        authority, default = found["authority"], 443 if scheme == "https" else 80
        if "@" in authority:
            raise HostError("it names a user")
        host = parse_host(authority if authority.isascii() else _ascii(authority), default)
        if host.address is not None and not authority.isascii():
            raise HostError("it is an address in an unusual notation")
        if not self._reach.names(host.name, host.port):
            host = self._reach.foreign(host.name, host.port)
        name = f"[{host.name}]" if ":" in host.name else host.name
        port = "" if host.port == default else f":{host.port}"
        return f"{scheme}://{name}{port}{found['rest'].partition('#')[0]}"

    def _connected(self) -> httpx2.AsyncClient:
        if self._client is None:
            import httpx2

            from llmasos.net.transport import CheckedTransport, no_cookies

            self._client = httpx2.AsyncClient(
                transport=CheckedTransport(self._reach, resolver=self._resolver, backend=self._backend),
                cookies=no_cookies(),
                timeout=self._caps.seconds,
            )
        return self._client

    async def _page(self, url: str, response: httpx2.Response) -> Page:
        encoding = response.headers.get("content-encoding", "").strip().lower()
        if encoding not in _ENCODINGS:
            raise _failed(url, f"it is packed as {ascii(encoding)[:50]}, which was not asked for")
        content, most = bytearray(), self._caps.bytes
        async for part in response.aiter_bytes():
            content += part
            if len(content) > most or response.num_bytes_downloaded > most:
                break
        kind, _, rest = response.headers.get("content-type", "").lower().partition(";")
        charset = re.search(r"charset\s*=\s*\"?([a-z0-9_-]{1,40})", rest)
        return Page(
            url=url,
            final_url=str(response.url),
            status=response.status_code,
            media_type=kind.strip() if _MEDIA_TYPE.fullmatch(kind.strip()) else "",
            charset=charset[1] if charset else "",
            content=bytes(content[:most]),
            truncated=len(content) > most or response.num_bytes_downloaded > most,
        )


def _ascii(authority: str) -> str:
    name, colon, port = authority.rpartition(":")
    return as_ascii(name) + colon + port if colon else as_ascii(port)


def _failed(url: str, reason: str) -> FetchError:
    return FetchError(
        f"{ascii(url)[1:-1][:200]} cannot be fetched: {ascii(reason)[1:-1][:300]}.",
        hint="Check the address, or try again later.",
    )
