"""A console on a kernel on fakes, with browsers that keep cookies, and a clock that a test turns."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp, Scope

from llmasos.agent import Session
from llmasos.api import KeyRequest, TurnRequest
from llmasos.config import ServiceSettings, Settings
from llmasos.kernel import Kernel
from llmasos.ledger import MemoryLedger
from llmasos.models import Engine, FakeEngine, Models
from llmasos.models.engines.port import LoadPlan
from llmasos.sandbox import FakeProvider
from llmasos.service.access import Keys, Logins, guarded
from llmasos.service.app import make_app
from llmasos.service.drain import Drain
from tests.federated.conftest import backends
from tests.service.access.test_events import Reader

__all__ = ["backends"]

ORIGIN = "http://127.0.0.1:7717"
HELLO = 'write_file(path="hello.txt")\n```\nhello\n```'
ASKS = 'write_file(path=".vscode/settings.json")\n```\n{}\n```'


@dataclass
class Console:
    """A kernel with its console, and the time there."""

    kernel: Kernel
    engine: FakeEngine
    folder: Path
    time: float = 1000.0

    def __post_init__(self) -> None:
        self.keys = Keys(self.kernel.store, self.kernel.ledger, {})
        self.logins = Logins(self.keys, self.kernel.settings.service.tcp_port, clock=lambda: self.time)
        self.drain = Drain(1.0)
        self.inner: Starlette = make_app(
            self.kernel, lambda: None, keys=self.keys, drain=self.drain, logins=self.logins
        )
        self.app: ASGIApp = guarded(self.inner, self.keys, names=(), logins=self.logins)

    def stranger(self, address: str = "192.0.2.7") -> Browser:
        """Return a browser that has not logged in."""
        return Browser(self.app, address)

    async def own(self) -> Browser:
        """Return a browser of the machine's own user."""
        browser = self.stranger()
        entered = await browser.send("/console/login", token=self.logins.link(None))
        assert entered.status_code == 303
        await browser.learn()
        return browser

    async def key(self, *scopes: str, **limits: int) -> Browser:
        """Return a browser that has logged in with a new key."""
        wanted = {"name": "a person", "scopes": scopes, **limits}
        made = await self.keys.create(KeyRequest.model_validate(wanted))
        self.last = made.key.id
        browser = self.stranger()
        assert (await browser.send("/console/login", key=made.secret)).status_code == 303
        await browser.learn()
        return browser

    async def session(self, *replies: str, text: str = "", approve: str = "deny") -> Session:
        """Return a session; with a text one whose turn has ended, or waits where approvals are asked for."""
        session = await self.kernel.sessions.create(self.folder)
        if text:
            self.engine.script(replies)
            await session.start(TurnRequest.model_validate({"text": text, "approve": approve}))
            if approve != "ask":
                await session.wait()
        return session


class Browser:
    """Asks for pages, and sends their forms.

    Args:
        app: The application.
        address: Where it is, for the application.
    """

    def __init__(self, app: ASGIApp, address: str = "192.0.2.7") -> None:
        transport = httpx2.ASGITransport(app=app, client=(address, 1234))
        self.http = httpx2.AsyncClient(transport=transport, base_url=ORIGIN)
        self.csrf = ""

    async def get(self, path: str, language: str = "en", **headers: str) -> httpx2.Response:
        return await self.http.get(path, headers={"accept-language": language, **headers})

    async def page(self, path: str, language: str = "en") -> str:
        """Return the text of a page, which is there."""
        answer = await self.get(path, language)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def send(self, path: str, **fields: str | list[str]) -> httpx2.Response:
        headers = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}
        given = {"csrf": self.csrf, **fields} if self.csrf else fields
        return await self.http.post(path, data=given, headers=headers)

    async def learn(self) -> None:
        """Read the token of this login's forms."""
        text = (await self.get("/console/nothing")).text
        found = re.search(r'name="csrf" value="([^"]+)"', text)
        assert found is not None
        self.csrf = found[1]


def texts(page: str) -> str:
    """Return what a page says, without its markup."""
    return " ".join(unescape(re.sub("<[^>]*>", " ", page.split("<main", 1)[1])).split())


@pytest.fixture
async def console(tmp_path: Path, folder: Path, backends: dict[str, str]) -> AsyncIterator[Console]:
    settings = Settings(
        data_dir=tmp_path / "data",
        cache_dir=tmp_path / "cache",
        runtime_dir=tmp_path,
        sandbox_pool=0,
        service=ServiceSettings(console=True),
    )
    engine = FakeEngine([])

    async def load(plan: LoadPlan) -> Engine:
        return engine

    models = Models(settings, loader=load)
    async with Kernel(
        settings, models=models, provider=FakeProvider(), ledger=MemoryLedger(), backends=backends
    ) as kernel:
        yield Console(kernel, engine, folder)


HIDES = re.compile("[\u202a-\u202e\u2066-\u2069\u200b\x1b\x07]")
_ADDRESSES = ("href", "src", "action", "formaction", "data-follow")


class _Markup(HTMLParser):
    """Notes the tags and attributes that a browser would find in a page, as far as none of them are ours."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        source = dict(attrs).get("src") or ""
        if tag != "img" or not re.fullmatch(r"/console/sessions/[\w%-]+/artifacts/\d+", source):
            self.tags.append(tag)
        # Links of a model's text lead elsewhere, and take nothing of the console along.
        leads = tag == "a" and dict(attrs).get("rel") == "noopener noreferrer nofollow"
        known = ("/console", "#", "http://", "https://", "mailto:") if leads else ("/console", "#")
        for name, value in attrs:
            elsewhere = name in _ADDRESSES and not (value or "").startswith(known)
            if name.startswith("on") or name == "style" or not name.replace("-", "").isalpha() or elsewhere:
                self.foreign.append(f"{name}={value}")


def harmless(page: str) -> bool:
    """Return whether nothing of a page is markup of somebody else's, or hides."""
    found = _Markup()
    found.feed(page)
    ours = not found.foreign and not {"img", "b", "style", "iframe"} & set(found.tags)
    return ours and found.tags.count("script") == 1 and HIDES.search(page) is None


async def followed(console: Console, browser: Browser, path: str, reader: Reader, until: str) -> str:
    """Return what those who follow a page are sent, up to a text."""
    route, _, query = path.partition("?")
    cookie = f"{console.logins.cookie}={browser.http.cookies[console.logins.cookie]}"
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": route,
        "query_string": query.encode(),
        "headers": [(b"host", b"127.0.0.1"), (b"cookie", cookie.encode())],
    }

    async def serve() -> None:
        await console.app(scope, reader.receive, reader.send)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await reader.until(until)
        reader.leave()
    return reader.text
