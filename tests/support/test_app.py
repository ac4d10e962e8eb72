"""The help desk: what visitors may do, and how a person takes over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from llmasos.errors import LLMasOSError
from llmasos.support import Conversation, Conversations, Desk, Reply, make_app
from llmasos.support.limits import Limiter

pytestmark = pytest.mark.anyio
KEY = "the-key"
ADMITTED = {"Authorization": f"Bearer {KEY}"}


class Documents:
    """Answers every question but some."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.held: anyio.Event | None = None

    async def answer(self, question: str, said: str) -> Reply:
        self.asked.append((question, said))
        if self.held is not None:
            await self.held.wait()
        if question == "fail":
            raise LLMasOSError("The disk /srv/secret is full.")
        if question == "unknown":
            return Reply("Not in the documents.", known=False)
        return Reply(f"It is so: {question} [1].", known=True, citations=("[1] a.md: “<b>so</b>”",))


class Bench:
    """A desk with everything around it."""

    def __init__(self, folder: Path, **desk: Any) -> None:
        self.documents = Documents()
        self.path = folder / "conversations.sqlite"
        self.told: list[Conversation] = []
        desk = {"collection": "c", "title": "Our <shop>", **desk}
        app = make_app(Desk(**desk), self.documents, Conversations(self.path), KEY, self.told.append)
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://desk")

    async def ask(self, question: str, conversation: str = "") -> httpx2.Response:
        return await self.http.post("/chat", json={"question": question, "conversation": conversation})


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    await made.http.aclose()


async def test_a_question_is_answered_with_its_sources(bench: Bench) -> None:
    answer = (await bench.ask("warranty?")).json()
    assert answer["answer"] == "It is so: warranty? [1]."
    assert answer["known"] and answer["citations"] == ["[1] a.md: “<b>so</b>”"]
    again = (await bench.ask("and bags?", answer["conversation"])).json()
    assert again["conversation"] == answer["conversation"]
    assert bench.documents.asked[1] == ("and bags?", "warranty?\nIt is so: warranty? [1].")
    assert not (await bench.ask("unknown")).json()["known"]


async def test_a_person_takes_over_and_gives_back(bench: Bench) -> None:
    key = (await bench.ask("unknown")).json()["conversation"]
    handed = await bench.http.post(f"/chat/{key}/person", json={})
    assert handed.json()["state"] == "waiting"
    await bench.http.post(f"/chat/{key}/person", json={})
    assert [each.id for each in bench.told] == [key], "the owner is told once"
    asked = len(bench.documents.asked)
    assert "answer" not in (await bench.ask("are you there?", key)).json()
    assert len(bench.documents.asked) == asked, "no model answers while a person is waited for"
    assert (await bench.http.get("/desk/waiting")).status_code == 401
    assert (await bench.http.get("/desk/waiting", headers={"Authorization": "Bearer no"})).status_code == 401
    (waiting,) = (await bench.http.get("/desk/waiting", headers=ADMITTED)).json()["waiting"]
    assert [one["text"] for one in waiting["messages"]][-1] == "are you there?"
    refused = await bench.http.post(f"/desk/{key}/reply", json={"text": "Hello!"})
    assert refused.status_code == 401
    await bench.http.post(f"/desk/{key}/reply", json={"text": "Hello!"}, headers=ADMITTED)
    read = (await bench.http.get(f"/chat/{key}", params={"after": waiting["messages"][-1]["number"]})).json()
    assert [(one["author"], one["text"]) for one in read["messages"]] == [("person", "Hello!")]
    await bench.http.post(f"/desk/{key}/close", json={}, headers=ADMITTED)
    assert (await bench.ask("again?", key)).json()["answer"] == "It is so: again? [1]."


async def test_conversations_outlive_the_desk(bench: Bench) -> None:
    key = (await bench.ask("warranty?")).json()["conversation"]
    await bench.http.post(f"/chat/{key}/person", json={})
    again = Conversations(bench.path)
    assert [each.id for each in again.waiting()] == [key]
    found = again.get(key)
    assert found is not None and [one.author for one in found.messages] == ["visitor", "documents", "desk"]


async def test_visitors_are_held_to_their_limits(tmp_path: Path) -> None:
    bench = Bench(tmp_path, per_minute=3)
    answers = [await bench.ask(f"q{number}") for number in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert len(bench.documents.asked) == 3
    crowded = Bench(tmp_path, waiting=1)
    crowded.documents.held = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crowded.ask, "first")
        while not crowded.documents.asked:
            await anyio.sleep(0)
        assert (await crowded.ask("second")).status_code == 503
        crowded.documents.held.set()
    short = Bench(tmp_path, messages=2)
    key = (await short.ask("one")).json()["conversation"]
    assert (await short.ask("two", key)).status_code == 409


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"question": "x"}', "text/plain", 415),
        (b"question=x", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"question": " "}', "application/json", 400),
        (b'{"question": 5}', "application/json", 400),
        (b'{"question": "' + b"x" * 1001 + b'"}', "application/json", 413),
        (b"x" * 30_000, "application/json", 413),
        (b'{"question": "x", "conversation": "nobody knows"}', "application/json", 404),
        (b'{"question": "x", "conversation": ["a"]}', "application/json", 404),
    ],
)
async def test_bad_requests_are_named(bench: Bench, content: bytes, kind: str, status: int) -> None:
    answer = await bench.http.post("/chat", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.json()["error"]
    assert not bench.documents.asked


async def test_what_fails_inside_is_not_told_to_visitors(bench: Bench) -> None:
    answer = await bench.ask("fail")
    assert answer.status_code == 503
    assert "secret" not in answer.text


async def test_the_pages_are_whole_and_let_nothing_else_in(bench: Bench) -> None:
    for path in ("/", "/desk"):
        page = await bench.http.get(path)
        assert "Our &lt;shop&gt;" in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert "$" not in page.text
    answer = await bench.http.options(
        "/chat", headers={"Origin": "https://else.example", "Access-Control-Request-Method": "POST"}
    )
    assert "access-control-allow-origin" not in answer.headers


async def test_an_origin_that_the_owner_names_may_ask(tmp_path: Path) -> None:
    bench = Bench(tmp_path, origins=("https://shop.example",))
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    answer = await bench.http.options("/chat", headers=asked)
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"


def test_a_bucket_fills_up_again() -> None:
    now = 0.0
    limiter = Limiter(2, 60.0, lambda: now)
    assert [limiter.take("a"), limiter.take("a"), limiter.take("b")] == [0, 0, 0]
    assert limiter.take("a") == 30
    now = 30.0
    assert limiter.take("a") == 0
    assert limiter.take("a") == 30
