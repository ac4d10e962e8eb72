"""Federated training over HTTP: what keys may do and see, and how its events are followed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from llmasos.config import Settings
from llmasos.federated.folder import RunFolder
from llmasos.federated.results import Results
from llmasos.federated.runs import Runs, installed_runs
from llmasos.kernel import Kernel
from llmasos.ledger import Entry
from llmasos.secrets import Redactor
from llmasos.service.access import guarded
from llmasos.service.app import make_app
from tests.federated.conftest import backends
from tests.service.access.conftest import Desk, caller

__all__ = ["backends"]

pytestmark = pytest.mark.anyio
RUNS = "/v1/federated/runs"


class Served:
    """Trainings that are played, behind TCP."""

    def __init__(self, runs: Runs, desk: Desk) -> None:
        self.runs = runs
        self.desk = desk
        self.app = application(desk, runs)

    async def key(self, *scopes: str) -> httpx2.AsyncClient:
        made = await self.desk.make(scopes=scopes)
        return caller(guarded(self.app, self.desk.keys, clock=self.desk.clock), made.secret)


def application(desk: Desk, runs: Runs | None) -> Starlette:
    class Fake(SimpleNamespace):
        @property
        def runs(self) -> Runs:
            return installed_runs(runs)

    kernel = Fake(
        settings=Settings(),
        started=datetime.now(UTC),
        store=desk.store,
        ledger=desk.ledger,
        books=None,
        models=None,
        administration=None,
        sessions=None,
        redactor=Redactor(),
    )
    return make_app(cast(Kernel, kernel), lambda: None, keys=desk.keys)


@pytest.fixture
async def served(tmp_path: Path, desk: Desk, backends: dict[str, str]) -> AsyncIterator[Served]:
    async def record(_event: object) -> None:
        return

    async with anyio.create_task_group() as tasks:
        runs = Runs(tmp_path / "runs", tasks, record, backends)
        yield Served(runs, desk)
        await runs.close()


def told(text: str) -> list[tuple[int, str]]:
    """Return the numbers and types of server-sent events, whose data agrees with them."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in fields:
            data = json.loads(fields["data"])
            assert (str(data["number"]), data["type"]) == (fields["id"], fields["event"])
            found.append((data["number"], data["type"]))
    return found


async def test_a_training_is_planned_started_followed_and_read_again(served: Served) -> None:
    client = await served.key("agent", "approve")
    wanted = {"data": ["/d/north.csv", "/d/south.csv"], "rounds": 2, "strategy": "FedProx", "target": "90%"}
    planned = await client.post(RUNS, json={**wanted, "options": {"reject": "south.csv"}})
    assert planned.status_code == 201, planned.text
    plan = planned.json()
    assert plan["plan"]["strategy"]["name"] == "fedprox" and plan["plan"]["target"] == 0.9
    assert plan["rows"] == {"north.csv": 10, "south.csv": 10} and plan["forecast"]["seconds"] == 65
    assert "batch 32" in plan["defaulted"] and len(plan["plan_sha256"]) == 64
    place = f"{RUNS}/{plan['id']}"
    assert (await client.get(place)).json()["state"] == "planned"
    begun = await client.post(f"{place}/start")
    assert begun.status_code == 202 and begun.json()["state"] in ("planned", "running")
    events = told((await client.get(f"{place}/events")).text)
    assert [number for number, _ in events] == list(range(1, len(events) + 1))
    assert events[0][1] == "run_started" and events[-1][1] == "run_ended"
    last = events[-2][0]
    rest = await client.get(f"{place}/events", headers={"last-event-id": str(last)})
    assert told(rest.text) == events[last:]
    stored = await client.get(f"{place}/events", params={"after": "1", "follow": "false"})
    assert told(stored.text) == events[1:]
    assert (await client.get(place)).json()["accuracy"] == 0.75
    assert [info["id"] for info in (await client.get(RUNS)).json()] == [plan["id"]]


async def test_keys_see_their_own_trainings_only(served: Served) -> None:
    mine, other, admin = await served.key("agent"), await served.key("agent"), await served.key("admin")
    name = (await mine.post(RUNS, json={"data": ["digits"], "options": {"hang": True}})).json()["id"]
    assert (await mine.post(f"{RUNS}/{name}/start")).status_code == 202
    async for event in served.runs.get(name).events():
        if event.type == "round_ended":
            break
    for call in (
        other.get(f"{RUNS}/{name}"),
        other.post(f"{RUNS}/{name}/stop"),
        other.get(f"{RUNS}/{name}/events"),
        other.delete(f"{RUNS}/{name}"),
        other.get(f"{RUNS}/f-none"),
    ):
        refused = await call
        assert refused.status_code == 404 and "There is no run" in refused.json()["message"]
    assert (await other.get(RUNS)).json() == []
    assert len((await admin.get(RUNS)).json()) == 1
    assert (await mine.post(f"{RUNS}/{name}/stop")).json()["state"] == "stopped"


@pytest.mark.parametrize(
    "given",
    [
        {"data": ["/d/north.csv", "/d/south.csv"]},
        {"data": ["@region/north"]},
        {"data": ["digits"], "recipe": "lora", "options": {"model": "/root/model"}},
        {"data": ["digits"], "recipe": "mine", "options": {"of": [{"model": "/root/model"}]}},
        {"data": ["digits"], "recipe": "lora", "options": {"model": ".."}},
    ],
)
async def test_reading_a_persons_data_needs_a_persons_scope(served: Served, given: dict[str, object]) -> None:
    client = await served.key("agent")
    refused = await client.post(RUNS, json=given)
    assert refused.status_code == 403 and "'approve'" in refused.json()["message"]
    assert not served.runs.all()


async def test_a_run_that_is_over_is_removed_and_one_that_goes_on_is_not(served: Served) -> None:
    client = await served.key("agent")
    name = (await client.post(RUNS, json={"data": ["digits"], "options": {"hang": True}})).json()["id"]
    await served.runs.start(name)
    async for event in served.runs.get(name).events():
        if event.type == "round_ended":
            break
    removed = await client.delete(f"{RUNS}/{name}")
    assert removed.status_code == 422 and f"federated stop {name}" in removed.json()["hint"]
    verified = await client.post(f"{RUNS}/{name}/verify")
    assert verified.status_code == 422 and "is under way" in verified.json()["message"]
    await client.post(f"{RUNS}/{name}/stop")
    (RunFolder(served.runs.get(name).folder).path / "plan.json").write_text("{")
    damaged = await client.get(f"{RUNS}/{name}")
    assert damaged.status_code == 422 and f"federated remove {name}" in damaged.json()["hint"]
    assert (await client.delete(f"{RUNS}/{name}")).status_code == 204
    assert (await client.get(f"{RUNS}/{name}")).status_code == 404


async def test_a_model_is_compared_with_the_newest_end_and_not_with_rounds_that_were_cut_off(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await served.key("agent")
    name = (await client.post(RUNS, json={"data": ["digits"], "rounds": 1})).json()["id"]

    async def found(_results: Results) -> str:
        return "b" * 64

    monkeypatch.setattr(Results, "weigh", found)
    verify = f"{RUNS}/{name}/verify"
    assert "does not say" in (await client.post(verify)).json()["message"]
    facts = [("round", "a"), ("ended", "a"), ("started", ""), ("round", "b"), ("ended", "b"), ("round", "c")]
    numbers = []
    for event, letter in facts:
        body = {"event": event, "weights_sha256": 64 * letter}
        record = await served.desk.ledger.record(Entry(session=name, kind="round", body=body))
        numbers.append(record.number)
    verified = (await client.post(verify)).json()
    assert verified["ok"] and verified["record"] == numbers[4]


async def test_what_was_planned_for_who_has_gone_is_dropped(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(_: Request) -> bool:
        return True

    monkeypatch.setattr(Request, "is_disconnected", gone)
    await (await served.key("agent")).post(RUNS, json={"data": ["digits"]})
    assert not served.runs.all()


async def test_writing_to_a_folder_needs_a_persons_scope(served: Served, tmp_path: Path) -> None:
    client = await served.key("agent")
    name = (await client.post(RUNS, json={"data": ["digits"], "rounds": 1})).json()["id"]
    async for _ in (await served.runs.start(name)).events():
        pass
    asked = {"folder": str(tmp_path / "out")}
    assert (await client.post(f"{RUNS}/{name}/export", json=asked)).status_code == 403
    both = await served.key("admin", "approve")
    assert (await both.post(f"{RUNS}/{name}/export", json={"folder": "out"})).status_code == 422
    files = (await both.post(f"{RUNS}/{name}/export", json=asked)).json()["files"]
    assert sorted(Path(file).name for file in files) == ["events.jsonl", "model.safetensors", "plan.json"]


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        ({"data": ["rows.csv"]}, 422, "no data set 'rows.csv'"),
        ({"data": ["../digits"]}, 422, "no data set"),
        ({"data": []}, 400, "malformed"),
        ({"data": ["digits"], "round": 3}, 422, "round: Extra inputs"),
        ({"data": ["digits"], "rounds": 0}, 422, "rounds"),
        ({"data": ["digits"], "options": {"refuse": "One class."}}, 422, "One class."),
    ],
)
async def test_what_is_impossible_is_refused_and_leaves_nothing(
    served: Served, given: dict[str, object], status: int, said: str
) -> None:
    client = await served.key("agent")
    refused = await client.post(RUNS, json=given)
    assert (refused.status_code, said in refused.json()["message"]) == (status, True), refused.text
    assert (await client.get(RUNS)).json() == []


async def test_without_the_extra_it_is_said(desk: Desk) -> None:
    made = await desk.make(scopes=("agent",))
    client = caller(guarded(application(desk, None), desk.keys, clock=desk.clock), made.secret)
    refused = await client.get(RUNS)
    assert refused.status_code == 422 and "pip install" in refused.json()["hint"]
    assert (await client.get("/openapi.json")).json()["paths"][RUNS]["post"]["x-scope"] == "agent"
