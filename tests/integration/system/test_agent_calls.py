"""The agent over TCP, as a program in any language drives it: HTTP, a key, and connections that drop."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from tests.integration.system.conftest import Machine, call

pytestmark = pytest.mark.integration

WRITES = call("write_file", path="hello.txt", content="hello\n")
ASKS = call("write_file", path=".vscode/settings.json", content="{}\n")


class Reader:
    """Follows a session's events over connections that drop."""

    def __init__(self, http: httpx2.Client, session: str) -> None:
        self.events: list[dict[str, Any]] = []
        self.drops = 0
        self._http = http
        self._path = f"/v1/sessions/{session}/events"
        self._last = ""

    def until(self, kind: str) -> dict[str, Any]:
        """Read until an event of a kind; the connection drops after each few of them."""
        while True:
            headers = {"Last-Event-ID": self._last} if self._last else {}
            with self._http.stream("GET", self._path, params={"after": 0}, headers=headers) as reply:
                assert reply.headers["content-type"].startswith("text/event-stream")
                rest, taken = b"", 0
                for piece in reply.iter_raw():
                    *blocks, rest = (rest + piece).split(b"\n\n")
                    for block in blocks:
                        event = self._take(block)
                        if event is not None and event["type"] == kind:
                            return event
                        taken += event is not None
                    if taken >= 3:
                        break
            self.drops += 1

    def _take(self, block: bytes) -> dict[str, Any] | None:
        fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if not line.startswith(":"))
        if "id" not in fields:
            # What passes is not come back to.
            return None
        event: dict[str, Any] = json.loads(fields["data"])
        assert fields["id"] == str(event["seq"]) and fields["event"] == event["type"]
        self._last = fields["id"]
        self.events.append(event)
        return event


def program(machine: Machine, port: int, *scopes: str) -> httpx2.Client:
    """Return a program with a key of these scopes."""
    options = [part for scope in scopes for part in ("--scope", scope)]
    made = machine.run("keys", "create", "--name", "a program", *options)
    assert made.returncode == 0, made.stderr
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
    return httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60)


def number(http: httpx2.Client) -> str:
    """Return how records name a program's key."""
    return f"api:k-{http.headers['authorization'].split('-')[2]}"


def test_a_turn_is_followed_over_dropped_connections_and_approved_by_whoever_may(
    machine: Machine, port: int
) -> None:
    machine.endpoint.replies = [WRITES, ASKS, "Made it."]
    with (
        program(machine, port, "agent") as agent,
        program(machine, port, "agent", "approve") as stranger,
        program(machine, port, "admin") as person,
    ):
        made = agent.post("/v1/sessions", json={"folder": str(machine.folder)})
        assert made.status_code == 201
        session = made.json()["id"]
        place = f"/v1/sessions/{session}"
        turn = agent.post(f"{place}/turns", json={"text": "make hello.txt"})
        assert turn.status_code == 202

        reader = Reader(agent, session)
        asked = reader.until("approval_requested")
        answer = {"approve": True, "digest": asked["digest"]}
        where = f"{place}/approvals/{asked['action']}"
        # The program that runs the agent is not the one that decides, and neither is a stranger.
        assert agent.post(where, json=answer).status_code == 403
        assert stranger.post(where, json=answer).json()["code"] == "session"
        assert person.post(where, json={**answer, "digest": "0" * 64}).status_code == 409
        assert person.post(where, json=answer).status_code == 204

        end = reader.until("turn_finished")
        assert end["status"] == "done" and end["turn"] == turn.json()["turn"]
        assert [event["seq"] for event in reader.events] == list(range(1, len(reader.events) + 1))
        assert reader.drops >= 2
        stored = agent.get(f"{place}/events", params={"after": 0, "follow": "false"})
        kept = [line.removeprefix("id: ") for line in stored.text.split("\n") if line.startswith("id: ")]
        assert kept == [str(event["seq"]) for event in reader.events]

        changed = {change["path"] for change in agent.get(f"{place}/diff").json()["changes"]}
        assert {"hello.txt", ".vscode/settings.json"} <= changed
        assert stranger.get(f"{place}/diff").status_code == 409

        lines = machine.run("ledger", "log", "--session", session, "--json").stdout.splitlines()
        bodies = [json.loads(line)["body"] for line in lines]
        assert {body["asked_by"]["client"] for body in bodies} <= {number(agent), number(person)}
        (decided,) = [body["by"] for body in bodies if "by" in body]
        assert number(person) in decided
    assert machine.run("ledger", "verify").returncode == 0
