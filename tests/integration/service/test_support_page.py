"""The pages of the help desk, in a real browser: a visitor asks, asks for a person, and is answered."""

from __future__ import annotations

import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from llmasos.support import Conversations, Desk, Reply, make_app, make_server
from llmasos.support.app import page_of

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

# What a person would do: type, send, open the sources, ask for a person.
VISITS = """<script>
  field.value = "How long is the warranty?";
  form.requestSubmit();
  const seen = setInterval(() => {
    if (!person.hidden && !document.querySelector(".asked")) {
      person.classList.add("asked");
      person.click();
      clearInterval(seen);
    }
  }, 100);
</script></html>"""


class Documents:
    async def answer(self, question: str, said: str) -> Reply:
        return Reply(
            "Two years [1]. <img src=x onerror=alert(1)>", known=True, citations=("[1] a.md: “two years”",)
        )


class Served:
    """A desk on a port of its own, whose page can be visited by a script."""

    def __init__(self, folder: Path) -> None:
        self.conversations = Conversations(folder / "c.sqlite")
        desk = Desk("c", "Our shop")
        app = make_app(desk, Documents(), self.conversations, "key")

        async def visited(_request: Request) -> Response:
            page = page_of(desk, "page.html")
            policy = {"Content-Security-Policy": page.headers["Content-Security-Policy"]}
            return HTMLResponse(bytes(page.body).decode().replace("</html>", VISITS), headers=policy)

        app.router.routes.append(Route("/visited", visited))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.server = make_server(app)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    made = Served(tmp_path)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(made.server.serve, [made.listener])
        try:
            yield made
        finally:
            made.server.should_exit = True
    made.listener.close()


async def look(url: str, profile: Path) -> str:
    """Return the document that a browser makes of a page within some seconds of its own time."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "this needs Chromium: apt-get install chromium"
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--dump-dom"]
    done = await anyio.run_process([program, *options, "--virtual-time-budget=6000", url])
    return done.stdout.decode()


async def test_a_visitor_is_answered_and_handed_over(served: Served, tmp_path: Path) -> None:
    seen = (await look(f"{served.url}/visited", tmp_path / "visitor")).split("<script")[0]
    assert 'class="message visitor">How long is the warranty?' in seen
    assert "Two years [1]. &lt;img src=x" in seen, "what a model writes is text"
    assert "[1] a.md: “two years”" in seen
    assert "A person will answer here" in seen
    (waiting,) = served.conversations.waiting()
    desk = (await look(f"{served.url}/desk#key", tmp_path / "desk")).split("<script")[0]
    assert "How long is the warranty?" in desk and "Reply" in desk
    other = (await look(f"{served.url}/desk#wrong", tmp_path / "other")).split("<script")[0]
    assert "How long" not in other and "This is the desk's" in other
    async with httpx2.AsyncClient(base_url=served.url) as http:
        await http.post(
            f"/desk/{waiting.id}/reply",
            json={"text": "Hello, it is me."},
            headers={"Authorization": "Bearer key"},
        )
        read = (await http.get(f"/chat/{waiting.id}")).json()
    assert read["messages"][-1]["text"] == "Hello, it is me."
