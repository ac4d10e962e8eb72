"""Other programs over TCP: keys, TLS, limits, the agent driven with nothing but HTTP, and an orderly stop."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.system.conftest import ROOT, Machine, call

pytestmark = pytest.mark.integration
HELLO = call("write_file", path="hello.txt", content="hello\n")
ASKS = call("write_file", path=".vscode/settings.json", content="{}\n")


@dataclass
class Program:
    """A program in any language: HTTP on a port, and a key."""

    port: int
    key: str = ""
    tls: ssl.SSLContext | None = None

    def connect(self) -> http.client.HTTPConnection:
        if self.tls is not None:
            return http.client.HTTPSConnection("localhost", self.port, timeout=60, context=self.tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def send(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any, Any]:
        """Send a request and return the status, the answer and its headers."""
        with closing(self.connect()) as connection:
            content = None if body is None else json.dumps(body)
            keys = {"Authorization": f"Bearer {self.key}"} if self.key else {}
            connection.request(method, path, content, {**keys, **headers})
            response = connection.getresponse()
            answer = response.read()
            return response.status, json.loads(answer) if answer else None, response.headers

    def follow(self, session: str, last: int | None = None, after: int = 0) -> Iterator[dict[str, Any]]:
        """Yield events until the stream ends, or the reader stops, which drops the connection."""
        headers = {"Authorization": f"Bearer {self.key}"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        with closing(self.connect()) as connection:
            connection.request("GET", f"/v1/sessions/{session}/events?after={after}", headers=headers)
            response = connection.getresponse()
            assert response.getheader("content-type", "").startswith("text/event-stream")
            fields: dict[str, str] = {}
            began = time.monotonic()
            for line in response:
                assert time.monotonic() < began + 60, "the events that are waited for do not come"
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                elif "data" in fields:
                    event = json.loads(fields["data"])
                    assert fields["event"] == event["type"]
                    assert fields.get("id", "0") == str(event["seq"])
                    yield event
                    fields = {}


def program(machine: Machine, port: int, *options: str) -> Program:
    made = machine.run("keys", "create", "--name", "a program", *options)
    assert made.returncode == 0, made.stderr
    return Program(port, made.stdout.strip())


AGENT = ("--scope", "agent", "--scope", "approve")


def test_any_program_can_drive_the_agent_as_the_guide_shows(machine: Machine, port: int) -> None:
    machine.endpoint.replies = [HELLO, ASKS, "Made it."]
    agent = program(machine, port, *AGENT)
    status, session, _ = agent.send("POST", "/v1/sessions", {"folder": str(machine.folder)})
    assert status == 201
    place = f"/v1/sessions/{session['id']}"
    status, turn, _ = agent.send("POST", f"{place}/turns", {"text": "make hello.txt"})
    assert status == 202

    # The connection drops after each few events, and again while an answer is waited for.
    seen: list[dict[str, Any]] = []
    asked: dict[str, Any] = {}
    while not asked:
        stored = 0
        last = seen[-1]["seq"] if seen else None
        for event in agent.follow(session["id"], last, after=0 if last is None else 10**6):
            if not event["seq"]:
                continue
            seen.append(event)
            stored += 1
            if event["type"] == "approval_requested":
                asked = event
            if stored == 2 or asked:
                break
    answer = {"approve": True, "digest": asked["digest"]}
    wrong = agent.send("POST", f"{place}/approvals/{asked['action']}", {**answer, "digest": "0"})
    assert (wrong[0], wrong[1]["code"]) == (409, "session")
    assert agent.send("POST", f"{place}/approvals/{asked['action']}", answer)[0] == 204
    for event in agent.follow(session["id"], seen[-1]["seq"]):
        if event["seq"]:
            seen.append(event)
        if event["type"] == "turn_finished":
            break
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1)), "nothing is lost or repeated"
    assert seen[0]["turn"] == turn["turn"] and seen[-1]["status"] == "done"

    changed = {change["path"] for change in agent.send("GET", f"{place}/diff")[1]["changes"]}
    assert {"hello.txt", ".vscode/settings.json"} <= changed
    assert not (machine.folder / "hello.txt").exists()
    status, commit, _ = agent.send("POST", f"{place}/commit", {"choices": [{"path": "hello.txt"}]})
    assert status == 200 and commit["paths"] == ["hello.txt"]
    assert (machine.folder / "hello.txt").read_text() == "hello\n"

    number = f"k-{agent.key.split('-')[2]}"
    records = machine.run("ledger", "log", "--session", session["id"], "--json").stdout.splitlines()
    bodies = [json.loads(line)["body"] for line in records]
    assert {body["asked_by"]["client"] for body in bodies} == {f"api:{number}"}
    total = json.loads(machine.run("keys", "show", number, "--json").stdout)["total"]
    assert total["calls"] == 3 and total["input_tokens"] == 30 and total["output_tokens"] == 15

    # What the page shows does the same with curl.
    page = (ROOT / "docs" / "how-to" / "http.md").read_text()
    scripts = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    assert scripts
    (machine.folder / "hello.txt").unlink()
    machine.endpoint.replies = [HELLO, "Done."]
    env = {**machine.env, "KEY": agent.key, "URL": f"http://127.0.0.1:{port}"}
    for script in scripts:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env=env,
            cwd=machine.folder,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr + done.stdout
    assert (machine.folder / "hello.txt").read_text() == "hello\n"
    assert machine.run("ledger", "verify").returncode == 0


def test_keys_open_what_they_name_and_their_limits_outlive_the_kernel(machine: Machine, port: int) -> None:
    machine.endpoint.replies = ["Hello."]
    admin = program(machine, port, "--scope", "admin")

    def key(**limits: object) -> Program:
        wanted = {"name": "another", "scopes": ["agent"], **limits}
        return Program(port, admin.send("POST", "/v1/keys", wanted)[1]["secret"])

    one, other = key(), key()
    folder = {"folder": str(machine.folder)}
    session = one.send("POST", "/v1/sessions", folder)[1]["id"]
    for path in ("", "/diff", "/events", "/history"):
        status, body, _ = other.send("GET", f"/v1/sessions/{session}{path}")
        assert (status, body["code"]) == (409, "session"), path
        unknown = other.send("GET", f"/v1/sessions/s-nothere{path}")[1]
        assert unknown["message"] == body["message"].replace(session, "s-nothere")
    assert other.send("GET", "/v1/sessions")[1] == []
    assert [info["id"] for info in one.send("GET", "/v1/sessions")[1]] == [session]
    assert admin.send("GET", f"/v1/sessions/{session}")[0] == 200

    wider = {"in_place": True}, {"hosts": ["example.org"]}, {"granted": [".env"]}
    for more in wider:
        assert one.send("POST", "/v1/sessions", {**folder, **more})[0] == 403
    place = f"/v1/sessions/{session}"
    assert one.send("POST", f"{place}/turns", {"text": "x", "approve": "all"})[0] == 403
    assert one.send("POST", f"{place}/access", {"hosts": ["example.org"]})[0] == 403
    assert one.send("POST", f"{place}/commit", {})[0] == 403
    assert one.send("POST", f"{place}/approvals/a-1", {"approve": True, "digest": ""})[0] == 403
    for path in ("/v1/keys", "/v1/kernel", "/v1/ledger", "/v1/ledger/records", "/v1/kernel/doctor"):
        assert one.send("GET", path)[0] == 403, path
    assert one.send("POST", "/v1/kernel/stop")[0] == 403
    assert admin.send("GET", "/v1/keys")[0] == 200
    for path in ("/v1/sessions", "/v1/ping", "/openapi.json", "/nothing"):
        assert Program(port).send("GET", path)[0] == 401
        assert Program(port, "sk-llmasos-0000000000-" + "x" * 43).send("GET", path)[0] == 401
    assert Program(port).send("GET", "/ready")[1]["status"] == "ready"
    described = one.send("GET", "/openapi.json")[1]["paths"]
    assert "/v1/sessions/{id}/turns" in described

    assert admin.send("POST", f"/v1/keys/k-{one.key.split('-')[2]}/revoke")[0] == 200
    assert one.send("GET", place)[0] == 401
    # What the machine's own user does over the socket needs no key.
    assert session in machine.run("sessions").stdout

    asks = {"model": "default", "messages": [{"role": "user", "content": "Hello?"}]}
    models = key(scopes=["models"], tokens_per_day=15)
    assert [model["id"] for model in models.send("GET", "/v1/models")[1]["data"]] == ["default"]
    status, completion, headers = models.send("POST", "/v1/chat/completions", asks)
    assert status == 200 and completion["choices"][0]["message"]["content"] == "Hello."
    assert completion["usage"]["total_tokens"] == 15 and headers["x-request-id"]
    status, refusal, headers = models.send("POST", "/v1/chat/completions", asks)
    assert (status, refusal["error"]["code"]) == (429, "insufficient_quota") and headers["retry-after"]
    assert one.send("POST", "/v1/chat/completions", asks)[0] == 401

    limited = key(tokens_per_day=15, requests_per_minute=50)
    session = limited.send("POST", "/v1/sessions", {"folder": str(machine.folder)})[1]["id"]
    place = f"/v1/sessions/{session}"
    assert limited.send("POST", f"{place}/turns", {"text": "hello"})[0] == 202
    assert [event["type"] for event in until_end(limited, session)][-1] == "turn_finished"
    machine.run("stop")
    machine.run("tools")
    status, body, headers = limited.send("POST", f"{place}/turns", {"text": "hello"})
    assert (status, body["code"]) == (429, "quota") and int(headers["retry-after"]) > 0
    assert headers["x-ratelimit-limit-requests"] == "50"
    assert limited.send("GET", f"{place}/diff")[0] == 200
    huge = {"Content-Length": str(10**12)}
    assert limited.send("POST", f"{place}/turns", None, **huge)[0] == 413


def until_end(program: Program, session: str, **place: int) -> list[dict[str, Any]]:
    events = []
    for event in program.follow(session, **place):
        events.append(event)
        if event["type"] == "turn_finished":
            break
    return events


def test_a_stop_lets_turns_end_for_a_while_and_begins_no_others(machine: Machine, port: int) -> None:
    command = "echo sta''rted; for n in 1 2 3 4 5 6 7 8; do sleep 0.25; done; echo e''nd"
    machine.endpoint.replies = [call("run_shell", command=command), "It has ended."]
    agent = program(machine, port, *AGENT)
    session = agent.send("POST", "/v1/sessions", {"folder": str(machine.folder)})[1]["id"]
    agent.send("POST", f"/v1/sessions/{session}/turns", {"text": "run it"})
    events = agent.follow(session)
    for event in events:
        if event["type"] == "action_output" and "started" in event["text"]:
            break
    os.kill(machine.kernel(), signal.SIGTERM)
    while (ready := Program(port).send("GET", "/ready"))[0] == 200:
        pass
    assert ready[0] == 503 and ready[1]["status"] == "draining" and ready[2]["retry-after"]
    status, body, headers = agent.send("POST", f"/v1/sessions/{session}/turns", {"text": "again"})
    assert (status, body["code"]) == (503, "draining") and headers["retry-after"]
    assert agent.send("GET", f"/v1/sessions/{session}")[0] == 200
    rest = list(events)
    assert rest[-1]["type"] == "turn_finished" and rest[-1]["status"] == "done", "the stream ended in order"

    machine.env["LLMASOS_SERVICE__DRAIN_SECONDS"] = "0"
    machine.endpoint.replies = [call("run_shell", command="echo sta''rted; sleep 60"), "It has ended."]
    machine.run("tools")
    agent.send("POST", f"/v1/sessions/{session}/turns", {"text": "run it"})
    events = agent.follow(session, rest[-1]["seq"])
    for event in events:
        if event["type"] == "action_output" and "started" in event["text"]:
            break
    assert machine.run("stop").stdout == "Stopped.\n"
    assert [event["status"] for event in events if event["type"] == "turn_finished"] == ["cancelled"]


def certificate(folder: Path, name: str) -> tuple[str, str]:
    made = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        f"-keyout {name}.key -out {name}.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    subprocess.run(made.split(), cwd=folder, check=True, capture_output=True)
    return str(folder / f"{name}.pem"), str(folder / f"{name}.key")


def test_tls_is_spoken_and_needed_where_others_could_listen(machine: Machine, port: int) -> None:
    refused = machine.run("serve", "--host", "0.0.0.0", "--port", str(port))
    assert refused.returncode == 1 and "not a loopback address" in refused.stderr
    assert "LLMASOS_SERVICE__TLS_CERTIFICATE" in refused.stderr
    machine.env["LLMASOS_SERVICE__HOST"] = "0.0.0.0"
    one, two = certificate(machine.base, "one"), certificate(machine.base, "two")
    machine.env["LLMASOS_SERVICE__TLS_CERTIFICATE"] = one[0]
    machine.env["LLMASOS_SERVICE__TLS_KEY"] = two[1]
    refused = machine.run("serve")
    assert refused.returncode == 1 and "the key is of another certificate" in refused.stderr
    machine.env["LLMASOS_SERVICE__TLS_KEY"] = one[1]
    with socket.create_server(("0.0.0.0", port)):
        refused = machine.run("serve")
    assert refused.returncode == 1 and f"port {port}" in refused.stderr
    assert not (Path(machine.env["LLMASOS_RUNTIME_DIR"]) / "kernel.sock").exists()
    agent = program(machine, port, "--scope", "agent")
    agent.tls = ssl.create_default_context(cafile=one[0])
    assert agent.send("GET", "/v1/ping")[0] == 204
    assert agent.send("GET", "/v1/ping", Host="kernel.example.org")[0] == 204
    agent.tls = ssl.create_default_context(cafile=two[0])
    with pytest.raises(ssl.SSLCertVerificationError):
        agent.send("GET", "/v1/ping")
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        Program(port, agent.key).send("GET", "/v1/ping")
