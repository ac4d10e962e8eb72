"""`llmasos ledger` on the real kernel, chain and files."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.system.conftest import Machine, call

pytestmark = pytest.mark.integration


def records(machine: Machine, *options: str) -> list[dict[str, Any]]:
    lines = machine.run("ledger", "log", "--json", *options).stdout.splitlines()
    return [json.loads(line) for line in lines]


def test_an_action_is_recorded_shown_proved_exported_and_erased(machine: Machine) -> None:
    machine.endpoint.replies = [call("write_file", path="hello.txt", content="hunter2\n"), "Done."]
    session = machine.ask("make hello.txt")[1]["session"]
    assert machine.run("ledger", "verify").returncode == 0

    made = records(machine, "--session", session)
    assert [record["kind"] for record in made] == ["session", "model", "intent", "outcome", "model"]
    assert {record["state"] for record in made} == {"confirmed"}
    assert {record["body"]["asked_by"]["client"] for record in made} == {"headless"}
    assert made[1]["body"]["endpoint"] in machine.endpoint.url and made[1]["body"]["model"] == "scripted"
    assert "hunter2" not in json.dumps(made)
    started = records(machine, "--kind", "plugin", "--kind", "policy")
    assert [record["body"]["set"] for record in started] == ["builtin", "settings"]

    action = made[2]["action"]
    shown = machine.run("ledger", "show", action).stdout
    assert made[2]["tx_hash"] in shown and f"ledger prove {action}" in shown

    explained = json.loads(machine.run("explain", action, "--json").stdout)
    assert explained["request"] == "make hello.txt" and explained["problems"] == []
    (why,) = explained["actions"]
    assert (why["proof"]["agrees"], why["proof"]["verified"]) == (True, True) and why["problems"] == []

    proved = machine.run("ledger", "prove", action)
    assert proved.returncode == 0 and "--block-hash" in proved.stdout, proved.stderr
    file = f"{action}.proof.json"
    assert machine.run("ledger", "check", file).returncode == 3
    assert machine.run("ledger", "check", file, "--block-hash", f"0x{'0' * 64}").returncode == 1
    assert machine.run("ledger", "prove", action).returncode == 1, "it would overwrite the file"

    assert machine.run("ledger", "export", "-o", "page.html").returncode == 0
    assert "<html" in (machine.folder / "page.html").read_text().lower()
    lines = machine.run("ledger", "export", "--json", "--session", session, "-o", "-").stdout.splitlines()
    assert len(lines) == len(made) and all(json.loads(line) for line in lines)

    reason = "hello is nobody's business"
    erased = machine.run("ledger", "erase", action, "--reason", reason, "--yes")
    assert erased.returncode == 0 and "2 records" in erased.stdout, erased.stderr
    assert reason in machine.run("ledger", "show", action).stdout
    verified = machine.run("ledger", "verify", "--json")
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["erased"] == 2
    assert machine.run("ledger", "prove", action, "--force").returncode == 0


def test_the_log_is_followed_until_it_is_interrupted(machine: Machine) -> None:
    machine.endpoint.replies = ["Hello."]
    machine.ask("hello")
    with machine.popen("ledger", "log", "--follow", "--kind", "session", "--json") as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        session = machine.ask("hello again")[1]["session"]
        second = json.loads(process.stdout.readline())
        assert first["session"] != session == second["session"]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and err == ""


def test_records_are_anchored_in_a_file_outside(machine: Machine, tmp_path: Path) -> None:
    outside = tmp_path / "outside.jsonl"
    machine.env["LLMASOS_LEDGER__ANCHORS"] = json.dumps([f"file:{outside}"])
    machine.endpoint.replies = ["Hello."]
    machine.ask("hello")
    assert machine.run("ledger", "verify").returncode == 0
    told = machine.run("ledger", "anchor")
    assert told.returncode == 0 and str(outside) in told.stdout, told.stderr
    verified = machine.run("ledger", "verify")
    assert verified.returncode == 0 and "Anchored: records 1 to" in verified.stdout
    status = machine.run("ledger", "status").stdout
    assert str(outside) in status and "nothing yet" not in status
    assert machine.run("ledger", "prove", "1", "--up-to-anchor", "-o", "-").returncode == 0
    machine.run("stop")
    outside.write_text("")
    assert machine.run("ledger", "verify").returncode == 1
