"""Sessions on a user's machine: steered while they run, found again, gone on with, taken along."""

from __future__ import annotations

import json
import signal
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


def test_a_session_is_named_and_forked(machine: Machine, client: Client) -> None:
    session = client.session(machine.folder)
    machine.endpoint.replies = [
        "Hello.",
        call("run_shell", command="echo new > new.txt; rm notes.txt"),
        "Done.",
    ]
    session.run("say hello")
    assert {change.path for change in session.run("write new.txt", approve="all").changes} == {
        "new.txt",
        "notes.txt",
    }
    assert machine.run("rename", session.id, "The plan").stdout == f"{session.id}  The plan\n"
    made = machine.run("fork", session.id).stdout.partition(":")[0]
    early = machine.run("fork", session.id, "--turn", "1").stdout.partition(":")[0]
    assert machine.run("diff", early).stdout == ""
    listed = {line.split()[0]: line for line in machine.run("sessions").stdout.splitlines()}
    assert all("The plan" in listed[one] for one in (session.id, made, early))
    assert "2 turns" in listed[made] and "1 turn " in listed[early]

    fork = client.resume(made)
    machine.endpoint.replies = [call("run_shell", command="cat new.txt; ls"), "It says new."]
    said = fork.run("what is there?", approve="all")
    assert said.actions[0].outcome.startswith("new\n") and "notes.txt" not in said.actions[0].outcome
    asked = [message["content"] for message in machine.endpoint.requests[-1]["messages"]]
    assert "say hello" in asked and "write new.txt" in asked
    fork.commit()
    assert (machine.folder / "new.txt").read_text() == "new\n" and not (machine.folder / "notes.txt").exists()
    refused = machine.run("fork", session.id, "--turn", "9")
    assert refused.returncode == 1 and "has no turn '9'" in refused.stderr
    verified = machine.run("ledger", "verify")
    assert verified.returncode == 0, verified.stdout


def test_past_sessions_are_searched(machine: Machine, client: Client) -> None:
    session = client.session(machine.folder)
    machine.endpoint.replies = [call("run_shell", command="cat notes.txt"), "A walrus."]
    session.run("what do the notes say?", approve="all")
    found = machine.run("search", "walrus")
    assert found.stdout.splitlines()[0].startswith(f"{session.id}  turn 1  ")
    assert found.stdout.splitlines()[1] == "    answer: A walrus."
    [line] = machine.run("search", "天气", "--json").stdout.splitlines()
    hit = json.loads(line)
    assert (hit["session"], hit["kind"]) == (session.id, "result")
    assert machine.run("search", "gnu").stdout == "Nothing was found.\n"
    refused = machine.run("search", '"')
    assert refused.returncode == 1 and "no word to search for" in refused.stderr


def test_a_session_is_exported(machine: Machine, client: Client, tmp_path: Path) -> None:
    session = client.session(machine.folder)
    machine.endpoint.replies = [call("run_shell", command="echo new > new.txt"), "Made `new.txt`."]
    session.run("make new.txt", approve="all")
    made = machine.run("export", session.id)
    assert "## Turn 1" in made.stdout and "> Made `new.txt`." in made.stdout
    lines = machine.run("export", session.id, "--format", "jsonl").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["seq"] for event in events] == list(range(1, len(lines) + 1))
    whole = tmp_path / "session.json"
    assert machine.run("export", session.id, "-o", str(whole)).returncode == 0
    written = json.loads(whole.read_text())
    assert written["session"]["id"] == session.id and written["events"] == [
        json.loads(line) for line in lines
    ]
    assert json.loads(machine.run("export", session.id, "--format", "json").stdout) == written
    page = tmp_path / "session.html"
    assert machine.run("export", session.id, "-o", str(page)).returncode == 0
    assert "Made <code>new.txt</code>." in page.read_text() and "<script" not in page.read_text()
    refused = machine.run("export", session.id, "-o", str(page))
    assert refused.returncode == 1 and "--force" in refused.stderr
    unknown = machine.run("export", session.id, "-o", "x.docx")
    assert (
        unknown.returncode == 1 and "x.docx ends in none of .md, .html, .json and .jsonl." in unknown.stderr
    )
    assert machine.run("export", session.id, "--format", "pdf").returncode == 1


def test_a_session_is_watched_and_shown_again(machine: Machine, client: Client) -> None:
    session = client.session(machine.folder)
    machine.endpoint.replies = ["First."]
    session.run("one")
    with machine.popen("watch", session.id) as watching:
        assert watching.stdout is not None
        seen = [next(watching.stdout) for _ in range(2)]
        assert seen == ["> one\n", "First.\n"]
        machine.endpoint.replies = [call("run_shell", command="cat notes.txt"), "Second."]
        session.run("two", approve="all")
        for line in watching.stdout:
            seen.append(line)
            if line == "Second.\n":
                break
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=30) == 0
        assert watching.stderr is not None and watching.stderr.read() == ""
    assert any("run_shell" in line for line in seen) and "> two\n" in seen

    asked = len(machine.endpoint.requests)
    shown = machine.run("replay", session.id, "--speed", "0")
    assert "> one\nFirst.\n" in shown.stdout and "今天天气很好" in shown.stdout
    second = machine.run("replay", session.id, "--turn", "2", "--speed", "100").stdout
    assert second.startswith("> two\n") and "First." not in second
    assert len(machine.endpoint.requests) == asked, "nothing was run again"
    refused = machine.run("replay", session.id, "--turn", "7")
    assert refused.returncode == 1 and "no turn '7'" in refused.stderr


def test_facts_are_remembered_where_they_hold(machine: Machine, client: Client, tmp_path: Path) -> None:
    added = machine.run("memory", "add", "Sign reports with K.").stdout
    machine.run("memory", "add", "Be brief.", "--everywhere")
    other = tmp_path / "other"
    other.mkdir()
    machine.run("memory", "add", "Never here.", "-C", str(other))
    assert [line.split("  ")[-1] for line in machine.run("memory", "list").stdout.splitlines()] == [
        "Be brief.",
        "Sign reports with K.",
    ]
    machine.endpoint.replies = ["Hello."]
    client.session(machine.folder).run("hello")
    told = machine.endpoint.requests[-1]["messages"][0]["content"]
    assert "- Be brief.\n- Sign reports with K." in told and "Never here" not in told
    fact = added.split()[0]
    assert "with L." in machine.run("memory", "edit", fact, "Sign reports with L.").stdout
    assert machine.run("memory", "remove", fact).stdout == f"Forgot {fact}.\n"
    again = machine.run("memory", "remove", fact)
    assert again.returncode == 1 and "no fact" in again.stderr
    assert len(machine.run("memory", "list", "--all", "--json").stdout.splitlines()) == 2


def test_a_long_conversation_is_told_in_short(machine: Machine, client: Client) -> None:
    session = client.session(machine.folder)
    machine.endpoint.replies = ["D'accord."]
    session.run("Always answer in French.")
    for number in range(4):
        machine.endpoint.replies = [
            call("run_shell", command=f"cat notes.txt # {number}"),
            f"Réponse {number}.",
        ]
        session.run(f"look, number {number}", approve="all")
    compacted = machine.run("compact", session.id, "--keep", "1")
    assert compacted.stdout.startswith("Compacted 4 turns to ")
    machine.endpoint.replies = ["Oui."]
    session.run("and now?")
    messages = machine.endpoint.requests[-1]["messages"]
    assert [message["role"] for message in messages] == [
        *("system", "user", "assistant", "user", "assistant", "tool", "assistant", "user")
    ]
    assert "1. Person: Always answer in French." in messages[1]["content"]
    assert "Done: run_shell" in messages[1]["content"] and "今天天气很好" not in messages[1]["content"]
    assert machine.run("compact", session.id, "--keep", "9").stdout == "There is nothing to compact.\n"
    assert any("Compacted: 4 turns" in getattr(event, "text", "") for event in session.events())
