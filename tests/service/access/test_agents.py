"""What keys may do with the agent: whose turns they are, which models they name, who writes to folders."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import anyio
import httpx2
import pytest
from starlette.applications import Starlette

from llmasos.agent.explain import Explainer
from llmasos.api import TurnRequest
from llmasos.kernel import Kernel
from llmasos.models.engines.port import CompletionRequest
from llmasos.secrets import Redactor
from llmasos.service.access import guarded
from llmasos.service.app import make_app
from tests.agent.conftest import MakeStage, Stage, stage
from tests.service.access.conftest import Desk, caller

__all__ = ["stage"]

pytestmark = pytest.mark.anyio
AGENT = ("agent",)
ADMIN = ("admin",)
# It is in the catalog, and its file is not here.
FAR = "qwen2.5-coder-0.5b"


@dataclass
class Service:
    """A kernel on fakes behind TCP."""

    stage: Stage
    desk: Desk
    app: Starlette

    async def key(self, *scopes: str, **options: object) -> httpx2.AsyncClient:
        made = await self.desk.make(scopes=scopes, **options)
        self.last = made.key.id
        return caller(guarded(self.app, self.desk.keys, clock=self.desk.clock), made.secret)

    async def session(self, client: httpx2.AsyncClient, **options: object) -> str:
        answer = await client.post("/v1/sessions", json={"folder": str(self.stage.folder), **options})
        assert answer.status_code == 201, answer.text
        found: str = answer.json()["id"]
        return f"/v1/sessions/{found}"

    async def turn(self, client: httpx2.AsyncClient, place: str) -> CompletionRequest:
        """Run a turn to its end and return what the engine was asked last."""
        answer = await client.post(f"{place}/turns", json={"text": "hello", "approve": "deny"})
        assert answer.status_code == 202, answer.text
        await (await self.stage.sessions.get(place.rpartition("/")[2])).wait()
        return self.stage.engine.requests[-1]


@asynccontextmanager
async def serving(make: MakeStage, *replies: str, **settings: object) -> AsyncIterator[Service]:
    async with make(*replies, cache_dir="/nowhere", **settings) as it:
        desk = Desk(it.store, it.ledger)
        kernel = SimpleNamespace(
            settings=it.settings,
            store=it.store,
            ledger=it.ledger,
            models=it.models,
            sessions=it.sessions,
            books=None,
            administration=None,
            explainer=Explainer(it.store, it.ledger),
            started=datetime.now(UTC),
            redactor=Redactor(),
        )
        yield Service(it, desk, make_app(cast(Kernel, kernel), lambda: None, keys=desk.keys))


@pytest.fixture
def replies() -> list[str]:
    return ["Answer: hello."] * 6


async def test_turns_share_computed_prompts_within_their_sessions_key_only(
    stage: MakeStage, replies: list[str]
) -> None:
    async with serving(stage, *replies) as it, await it.key(*AGENT) as one:
        mine = it.last
        place = await it.session(one)
        assert (await it.turn(one, place)).tenant == mine
        async with await it.key(*ADMIN) as root:
            # The session is its key's, whoever asks.
            assert (await it.turn(root, place)).tenant == mine
            own = await it.session(root)
            assert (await it.turn(root, own)).tenant == it.last != mine
        async with caller(it.app) as local:
            assert (await it.turn(local, place)).tenant == mine
            assert (await it.turn(local, await it.session(local))).tenant == ""


async def test_turns_have_the_priority_of_their_key_at_most(stage: MakeStage, replies: list[str]) -> None:
    bands = []
    async with serving(stage, *replies) as it:
        resolve = it.stage.models.resolve

        async def noting(*args: Any, **options: Any) -> Any:
            bands.append(args[3].band)
            return await resolve(*args, **options)

        it.stage.models.resolve = noting  # type: ignore[method-assign]
        for priority in ("interactive", "normal", "batch"):
            async with await it.key(*AGENT, priority=priority) as client:
                place = await it.session(client)
                await client.post(f"{place}/turns", json={"text": "hello"})
                await (await it.stage.sessions.get(place.rpartition("/")[2])).wait()
    assert bands == ["interactive", "normal", "batch"]


@pytest.mark.parametrize("name", ["/etc/passwd", FAR, "hf:somebody/something", "../x.gguf", "x" * 5000])
async def test_keys_cannot_have_models_opened_or_fetched(stage: MakeStage, name: str) -> None:
    async with serving(stage) as it, await it.key(*AGENT) as client:
        place = await it.session(client)
        folder = str(it.stage.folder)
        asked = [
            await client.post("/v1/sessions", json={"folder": folder, "model": name}),
            await client.post(f"{place}/model", json={"model": name}),
            await client.post("/v1/kernel/models/warm", json={"model": name}),
        ]
        assert [answer.status_code for answer in asked] == [403] * 3
        assert all("is not here" in answer.json()["message"] for answer in asked)
        assert all(len(answer.text) < 1000 for answer in asked)
        # A session that got such a model in another way is not gone on with.
        session = await it.stage.sessions.get(place.rpartition("/")[2])
        await session._update(model=name)
        assert (await client.post(f"{place}/turns", json={"text": "hello"})).status_code == 403
    assert it.stage.engine.requests == []


async def test_the_user_and_administrators_may_name_any_model(stage: MakeStage) -> None:
    async with serving(stage) as it, await it.key(*ADMIN) as root, caller(it.app) as local:
        for client in (root, local):
            place = await it.session(client, model=FAR)
            assert (await client.get(place)).json()["model"] == FAR
            assert (await client.post("/v1/kernel/models/warm", json={"model": FAR})).status_code == 204


async def test_the_list_of_a_key_counts_for_warming_as_well(stage: MakeStage) -> None:
    async with serving(stage) as it, await it.key(*AGENT, models=("other",)) as client:
        for name in ("", it.stage.models.status()[0].name):
            refusal = await client.post("/v1/kernel/models/warm", json={"model": name})
            assert refusal.status_code == 403 and "may not ask the model" in refusal.json()["message"]
    async with serving(stage) as it, await it.key(*AGENT) as client:
        assert (await client.post("/v1/kernel/models/warm", json={"model": ""})).status_code == 204


async def test_only_keys_that_decide_for_a_person_write_to_the_folder(stage: MakeStage) -> None:
    write = 'write_file(path="new.txt")\n```\nnew\n```'
    async with serving(stage, write, "Answer: done.") as it, await it.key(*AGENT) as client:
        place = await it.session(client)
        await it.turn(client, place)
        assert (await client.get(f"{place}/diff")).json()["changes"]
        for what in ("commit", "undo", "redo"):
            refusal = await client.post(f"{place}/{what}", json={})
            assert refusal.status_code == 403 and "'approve'" in refusal.json()["message"]
        assert not (it.stage.folder / "new.txt").exists()
        assert (await client.post(f"{place}/discard", json={})).status_code == 204
    async with (
        serving(stage, write, "Answer: done.") as it,
        await it.key("agent", "approve") as client,
    ):
        place = await it.session(client)
        await it.turn(client, place)
        assert (await client.post(f"{place}/commit", json={})).status_code == 200
        assert (it.stage.folder / "new.txt").exists()


async def test_a_key_has_only_its_own_turns_explained(stage: MakeStage) -> None:
    async with (
        serving(stage, 'read_file(path="x")', "Answer: none.", "Answer: hello.") as it,
        await it.key(*AGENT) as mine,
        await it.key(*AGENT) as other,
        await it.key("models") as neither,
        await it.key(*ADMIN) as admin,
    ):
        place = await it.session(mine)
        await it.turn(mine, place)
        whole = (await mine.get("/v1/explanations/last")).json()
        action = whole["actions"][0]["action"]
        assert (await mine.get(f"/v1/explanations/{action}")).json()["id"] == action
        assert (await admin.get(f"/v1/explanations/{action}")).json()["turn"] == whole["turn"]
        for id in (action, whole["turn"], whole["session"], "last"):
            answer = await other.get(f"/v1/explanations/{id}")
            unknown = await other.get("/v1/explanations/a-nothere")
            assert answer.status_code == unknown.status_code == 404
            assert whole["turn"] not in answer.json()["hint"]
            assert (await neither.get(f"/v1/explanations/{id}")).status_code == 403
        await it.turn(other, await it.session(other))
        theirs = (await other.get("/v1/explanations/last")).json()
        assert theirs["turn"] != whole["turn"]
        assert (await mine.get("/v1/explanations/last")).json()["turn"] == whole["turn"]


async def test_where_all_sessions_work_in_place_a_person_has_to_allow_them(stage: MakeStage) -> None:
    async with serving(stage, in_place=True) as it:
        async with await it.key(*AGENT) as client:
            refusal = await client.post("/v1/sessions", json={"folder": str(it.stage.folder)})
            assert refusal.status_code == 403 and "'approve'" in refusal.json()["message"]
        async with await it.key("agent", "approve") as client:
            await it.session(client)


async def test_a_turn_that_is_cancelled_is_paid_for(stage: MakeStage) -> None:
    reading = anyio.Event()
    async with serving(stage, "Answer: never.") as it, await it.key(*AGENT) as client:
        key = it.last

        async def hangs(request: CompletionRequest) -> AsyncIterator[Any]:
            reading.set()
            await anyio.sleep_forever()
            yield

        it.stage.engine.stream = hangs  # type: ignore[method-assign,assignment]
        place = await it.session(client)
        assert (await client.post(f"{place}/turns", json={"text": "hello"})).status_code == 202
        await reading.wait()
        assert (await client.post(f"{place}/cancel")).status_code == 204
        total = (await it.desk.keys.get(key)).total
        assert total.calls == 1 and total.input_tokens > 0 and total.output_tokens == 0


async def test_a_turn_that_waits_for_its_model_is_free_when_it_is_cancelled(stage: MakeStage) -> None:
    loading = anyio.Event()
    async with serving(stage) as it, await it.key(*AGENT) as client:
        key = it.last

        async def waits(*_args: Any, **_options: Any) -> Any:
            loading.set()
            await anyio.sleep_forever()

        it.stage.models.resolve = waits  # type: ignore[method-assign]
        session = await it.stage.sessions.get((await it.session(client)).rpartition("/")[2])
        await session.start(TurnRequest(text="hello"))
        await loading.wait()
        await session.cancel()
        assert (await it.desk.keys.get(key)).total.calls == 0


async def test_steering_without_a_turn_says_so(stage: MakeStage, replies: list[str]) -> None:
    async with serving(stage, *replies) as it, await it.key(*AGENT) as one, await it.key(*AGENT) as other:
        place = await it.session(one)
        refused = await one.post(f"{place}/steer", json={"text": "hurry"})
        assert refused.status_code == 409 and refused.json()["code"] == "idle"
        assert (await one.post(f"{place}/steer", json={"text": " "})).status_code == 409
        assert (await one.post(f"{place}/steer", json={})).status_code == 400
        hidden = await other.post(f"{place}/steer", json={"text": "hurry"})
        assert "There is no session" in hidden.json()["message"]
        await one.post(f"{place}/turns", json={"text": "hello", "approve": "deny"})
        told = await one.post(f"{place}/steer", json={"text": "hurry"})
        assert told.status_code == 202 and told.json()["turn"].startswith("t-")


@pytest.mark.parametrize("beforehand", [{"approve": "all"}, {"approve": "deny", "approved": ["0" * 64]}])
async def test_who_may_not_approve_does_not_steer_what_was_approved_beforehand(
    stage: MakeStage, replies: list[str], beforehand: dict[str, object]
) -> None:
    async with serving(stage, *replies) as it, await it.key(*AGENT) as one, await it.key(*ADMIN) as root:
        place = await it.session(one)
        begun = await root.post(f"{place}/turns", json={"text": "hello", **beforehand})
        assert begun.status_code == 202, begun.text
        refused = await one.post(f"{place}/steer", json={"text": "remove all"})
        assert refused.status_code == 403 and "'approve'" in refused.json()["message"]
        assert (await root.post(f"{place}/steer", json={"text": "hurry"})).status_code == 202
        await (await it.stage.sessions.get(place.rpartition("/")[2])).wait()
        assert (await one.post(f"{place}/steer", json={"text": "hurry"})).status_code == 409


async def test_a_fork_is_its_keys_and_needs_what_a_new_session_would(
    stage: MakeStage, replies: list[str]
) -> None:
    async with serving(stage, *replies) as it, await it.key(*AGENT) as one, await it.key(*AGENT) as other:
        place = await it.session(one)
        assert (await one.post(f"{place}/fork", json={})).status_code == 409
        await it.turn(one, place)
        made = await one.post(f"{place}/fork", json={"turn": "1"})
        assert made.status_code == 201 and made.json()["parent"] == place.rpartition("/")[2]
        fork = f"/v1/sessions/{made.json()['id']}"
        assert (await one.get(fork)).json()["turns"] == 1
        for path in (f"{place}/fork", f"{place}/title", f"{fork}/fork"):
            refused = await other.post(path, json={"title": "mine"})
            assert "There is no session" in refused.json()["message"]
        assert (await one.post(f"{fork}/title", json={"title": "Plan B"})).json()["title"] == "Plan B"
        session = await it.stage.sessions.get(place.rpartition("/")[2])
        await session._update(granted=(".env",))
        assert (await one.post(f"{place}/fork", json={})).status_code == 403


async def test_a_key_searches_its_own_sessions(stage: MakeStage, replies: list[str]) -> None:
    async with serving(stage, *replies) as it, await it.key(*AGENT) as one, await it.key(*AGENT) as other:
        place = await it.session(one)
        await it.turn(one, place)
        for client, number in ((one, 1), (other, 0), (caller(it.app), 1), (await it.key(*ADMIN), 1)):
            answer = await client.get("/v1/search", params={"query": "hello"})
            assert (answer.status_code, len(answer.json())) == (200, number)
        for wrong in ({}, {"query": "hello", "limit": "0"}, {"query": "hello", "limit": "x"}):
            assert (await one.get("/v1/search", params=wrong)).status_code == 400
        refused = await one.get("/v1/search", params={"query": '"'})
        assert refused.status_code == 409 and "no word" in refused.json()["message"]


async def test_the_events_of_the_last_turns_are_read_alone(stage: MakeStage, replies: list[str]) -> None:
    async with serving(stage, *replies) as it, await it.key(*AGENT) as one:
        place = await it.session(one)
        for _ in range(3):
            await it.turn(one, place)

        async def begun(**query: str) -> int:
            answer = await one.get(f"{place}/events", params={"follow": "false", **query})
            assert answer.status_code == 200
            return answer.text.count("event: turn_started")

        assert [await begun(last=str(number)) for number in (1, 2, 3, 9)] == [1, 2, 3, 3]
        assert await begun() == 3 and await begun(last="2", after="6") == 1
        for wrong in ("0", "-1", "x", "1e3"):
            refused = await one.get(f"{place}/events", params={"follow": "false", "last": wrong})
            assert refused.status_code == 400 and "number of turns" in refused.json()["message"]


async def test_each_key_has_a_memory_of_its_own(stage: MakeStage, replies: list[str]) -> None:
    async with serving(stage, *replies) as it, await it.key(*AGENT) as one, await it.key(*AGENT) as other:
        made = await one.post("/v1/memory", json={"text": "Be brief."})
        assert made.status_code == 201 and made.json()["folder"] == ""
        place = f"/v1/memory/{made.json()['id']}"
        assert (await other.get("/v1/memory")).json() == [] == (await caller(it.app).get("/v1/memory")).json()
        assert (await other.patch(place, json={"text": "Be long."})).status_code == 404
        assert (await other.delete(place)).status_code == 404
        assert (await one.patch(place, json={"text": "Be very brief."})).json()["text"] == "Be very brief."
        assert (await one.post("/v1/memory", json={"text": ""})).status_code == 422
        request = await it.turn(one, await it.session(one))
        assert any("- Be very brief." in turn.content for turn in request.turns)
        assert (await one.delete(place)).status_code == 204 and (await one.get("/v1/memory")).json() == []
        async with await it.key("models") as models:
            assert (await models.get("/v1/memory")).status_code == 403


async def test_a_session_is_compacted_by_its_key(stage: MakeStage, replies: list[str]) -> None:
    async with serving(stage, *replies) as it, await it.key(*AGENT) as one, await it.key(*AGENT) as other:
        place = await it.session(one)
        for _ in range(3):
            await it.turn(one, place)
        assert (await other.post(f"{place}/compact", json={})).status_code == 409
        done = await one.post(f"{place}/compact", json={})
        assert (done.status_code, done.json()["turns"]) == (200, 1)
        assert (await one.post(f"{place}/compact", json={"keep": -1})).status_code == 400
        request = await it.turn(one, place)
        assert any("1. Person: hello" in turn.content for turn in request.turns)
