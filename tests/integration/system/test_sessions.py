"""Sessions on a user's machine: steered while they run, found again, gone on with, taken along."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmasos.client import Client, RequestRefused, Session
from tests.integration.system.conftest import Machine, call

pytestmark = pytest.mark.integration
LOOK = call("list_files", pattern="*")


@pytest.fixture
def client(machine: Machine) -> Iterator[Client]:
    """A client of the machine's kernel."""
    machine.endpoint.replies = ["Hello."]
    assert machine.ask("hello")[0] == 0
    machine.endpoint.requests.clear()
    with Client(Path(machine.env["LLMASOS_RUNTIME_DIR"]) / "kernel.sock", start=False) as client:
        yield client


def test_a_running_turn_is_steered(machine: Machine, client: Client) -> None:
    session = client.session(machine.folder)
    machine.endpoint.replies = [LOOK, "Es sind zwei."]
    _speak(machine, session, "answer in German", during=1)
    done = session.run("how many files are there?")
    assert (done.status, done.answer, done.steered) == ("done", "Es sind zwei.", ("answer in German",))
    roles = [message["role"] for message in machine.endpoint.requests[1]["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "user"]
    assert machine.endpoint.requests[1]["messages"][-1]["content"] == "answer in German"
    first, second = (request["messages"][0]["content"] for request in machine.endpoint.requests)
    assert first == second and "person's requests" in first
    explained = machine.run("explain", session.id)
    assert 'and then      "answer in German"' in explained.stdout

    machine.endpoint.replies = ["Two.", "Zwei."]
    _speak(machine, session, "in German, I said", during=3)
    assert session.run("how many?").answer == "Zwei."
    with pytest.raises(RequestRefused) as caught:
        session.steer("too late")
    assert caught.value.code == "idle" and "request of its own" in caught.value.hint


def _speak(machine: Machine, session: Session, text: str, *, during: int) -> None:
    """Have a person steer while the endpoint works on a request."""
    chunks = machine.endpoint.chunks

    def steered(reply: str | dict[str, Any]) -> Iterator[bytes]:
        if len(machine.endpoint.requests) == during:
            session.steer(text)
        return chunks(reply)

    machine.endpoint.chunks = steered  # type: ignore[method-assign]
