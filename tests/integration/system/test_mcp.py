"""MCP both ways on a user's machine: a server and a client of other makers, in another language."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmasos.cluster._tree import began, descendants
from tests.integration.system.conftest import ROOT, Machine, call

pytestmark = pytest.mark.integration

NODE = ROOT / "tests" / "integration" / "tools" / "node"
PACKAGES = Path(sys.prefix) / "mcp"
EVERYTHING = PACKAGES / "node_modules" / ".bin" / "mcp-server-everything"
FAKE = ROOT / "tests" / "integration" / "tools" / "server.py"


def configure(machine: Machine, **servers: Any) -> None:
    lines = []
    for name, server in servers.items():
        lines += [f"[mcp.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in server.items())]
    config = machine.base / "config"
    config.mkdir(exist_ok=True)
    (config / "config.toml").write_text("\n".join(lines) + "\n")


def host(
    machine: Machine,
    *calls: tuple[str, dict[str, Any]],
    options: tuple[str, ...] = (),
    allow: bool | None = None,
) -> dict[str, Any]:
    """Have the client of another maker make calls of `llmasos mcp`."""
    asked: dict[str, Any] = {"calls": calls} if allow is None else {"calls": calls, "allow": allow}
    ours = "from llmasos.shell.entry import main; main()"
    command = ["node", str(NODE / "client.mjs"), sys.executable, "-c", ours, "mcp", *options]
    done = subprocess.run(
        command,
        input=json.dumps(asked),
        env={**machine.env, "MCP_PACKAGES": str(PACKAGES)},
        cwd=machine.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def offered(machine: Machine, request: int = -1) -> list[str]:
    return [tool["function"]["name"] for tool in machine.endpoint.requests[request]["tools"]]


def test_a_server_of_another_maker_is_used_through_the_gate(machine: Machine) -> None:
    configure(
        machine, every={"command": [str(EVERYTHING)], "tools": ["echo", "get-*"], "read_only": ["get-tiny*"]}
    )
    listed = machine.run("tools", "list")
    assert "plugin mcp:every" in listed.stdout and "new: look at it" in listed.stdout
    shown = machine.run("tools", "show", "mcp:every")
    assert "every_echo: Echoes" in shown.stdout and "needs   unknown" in shown.stdout
    assert machine.run("tools", "enable", "mcp:every", "--yes").returncode == 0

    machine.endpoint.replies = [call("every_echo", message="hello"), "Echoed."]
    code, refused = machine.ask("say hello")
    assert code == 3 and refused["approvals"][0]["tool"] == "every_echo"
    machine.endpoint.replies = [call("every_echo", message="hello"), "Echoed."]
    code, allowed = machine.ask("say hello", "--yes")
    (action,) = allowed["actions"]
    assert code == 0 and action["status"] == "ok" and "Echo: hello" in action["outcome"]
    told = json.dumps(machine.endpoint.requests[-1])
    assert "[data from every_echo]" in told, "what it says is marked as somebody else's"

    machine.endpoint.replies = [call("every_get_tiny_image"), "Shown."]
    code, pictured = machine.ask("show me the logo")
    assert code == 0 and Path(pictured["artifacts"][0]).read_bytes().startswith(b"\x89PNG")
    (explained,) = [
        json.loads(line)["body"]
        for line in machine.run("ledger", "log", "--kind", "plugin", "--json").stdout.splitlines()
        if "mcp:every" in line
    ]
    assert explained["change"] == "enabled" and {tool["remote"] for tool in explained["tools"]} >= {"echo"}
    kernel = machine.kernel()
    programs = descendants([kernel])
    assert machine.run("stop").returncode == 0
    assert not list(filter(began, programs)), "the server ends with the kernel"


def test_a_hundred_tools_cost_the_context_no_more_than_ten(machine: Machine) -> None:
    file = machine.base / "tools.json"
    configure(machine, fake={"command": [sys.executable, str(FAKE), str(file)], "read_only": ["*"]})
    schema = {"type": "object", "properties": {"text": {"type": "string", "description": "What to work on."}}}

    def cost(count: int) -> int:
        tools = [
            {"name": f"tool_{n}", "description": f"Does the thing number {n}.", "inputSchema": schema}
            for n in range(count - 1)
        ]
        booking = {"name": "book", "description": "Books a table in a restaurant.", "inputSchema": schema}
        file.write_text(json.dumps([*tools, booking]))
        assert machine.run("tools", "enable", "mcp:fake", "--yes").returncode == 0
        machine.endpoint.replies = ["Hello."]
        machine.ask("hello")
        return len(json.dumps(machine.endpoint.requests[-1]["tools"]))

    ten = cost(10)
    assert "fake_book" in offered(machine) and "find_tools" not in offered(machine)
    assert cost(100) <= ten
    assert "fake_book" not in offered(machine) and "find_tools" in offered(machine)
    machine.endpoint.replies = [
        call("find_tools", query="reserve a table at a restaurant"),
        call("fake_book", text="two at eight"),
        "Booked.",
    ]
    code, result = machine.ask("book a table for two at eight")
    assert code == 0 and [action["tool"] for action in result["actions"]] == ["find_tools", "fake_book"]
    assert "fake_book(text): Books a table" in result["actions"][0]["outcome"]
    assert "fake_book" in offered(machine) and len(offered(machine)) < 25


def test_a_host_of_another_maker_has_our_tools(machine: Machine) -> None:
    told = host(
        machine,
        ("read_file", {"path": "notes.txt"}),
        ("run_python", {"code": "print(6 * 7)"}),
        ("write_file", {"path": "../x", "content": "x"}),
        ("read_file", {"path": "nowhere.txt"}),
        ("read_file", {}),
        ("no_such_tool", {}),
    )
    assert told["server"]["name"] == "llmasos"
    tools = {tool["name"]: tool for tool in told["tools"]}
    assert {"read_file", "run_python", "translate"} <= set(tools)
    assert tools["read_file"]["annotations"]["readOnlyHint"] is True
    assert tools["run_shell"]["annotations"]["readOnlyHint"] is False
    texts = [result["content"][0]["text"] for result in told["results"]]
    errors = [result.get("isError", False) for result in told["results"]]
    assert errors == [False, False, True, True, True, True]
    assert texts[0] == "今天天气很好。\n" and "42" in texts[1] and "outside of the folder" in texts[2]
    assert "No such file" in texts[3] and "path" in texts[4] and "no_such_tool" in texts[5]
    log = machine.run("ledger", "log", "--kind", "intent", "--json").stdout.splitlines()
    askers = [json.loads(line)["body"]["asked_by"]["client"] for line in log]
    assert askers == ["mcp"] * 3, "each call that ran is recorded, with who made it"
    assert "on the chain" in machine.run("ledger", "verify").stdout


def test_changes_of_a_host_wait_for_a_person(machine: Machine) -> None:
    told = host(machine, ("write_file", {"path": "new.txt", "content": "new\n"}))
    (result,) = told["results"]
    assert not (machine.folder / "new.txt").exists()
    note = result["content"][-1]["text"]
    session = note.split("llmasos commit ")[1].split("`")[0]
    assert machine.run("commit", session).returncode == 0
    assert (machine.folder / "new.txt").read_text() == "new\n"


def test_a_person_is_asked_through_the_host(machine: Machine) -> None:
    risky = (("read_file", {"path": "notes.txt"}), ("run_shell", {"command": "rm notes.txt"}))
    refused = host(machine, *risky, allow=False)
    (question,) = refused["asked"]
    assert "run_shell wants to run" in question and "rm notes.txt" in question
    assert refused["results"][1]["isError"] is True
    allowed = host(machine, *risky, allow=True)
    assert len(allowed["asked"]) == 1 and not allowed["results"][1].get("isError")
    alone = host(machine, *risky)
    assert (
        alone["results"][1]["isError"] is True
        and "llmasos mcp --yes" in alone["results"][1]["content"][0]["text"]
    )
    agreed = host(machine, *risky, options=("--yes",))
    assert not agreed["results"][1].get("isError")
    assert (machine.folder / "notes.txt").exists()


def test_what_is_no_setting_is_named(machine: Machine) -> None:
    configure(machine, fake={"command": ["x"], "url": "http://example.org/mcp"})
    done = machine.run("tools")
    assert done.returncode != 0 and "either a command or a url" in done.stderr
    configure(machine, **{"Bad-Name": {"command": ["x"]}})
    assert "mcp" in machine.run("tools").stderr
    configure(machine)
    done = machine.run("mcp", "-C", str(machine.base / "nowhere"))
    assert done.returncode == 1 and "nowhere" in done.stderr and os.sep in done.stderr
