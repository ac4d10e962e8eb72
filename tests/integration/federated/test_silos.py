"""Documents stay on their owner's machine and are asked by another: two machines, kernels and ledgers."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.federated.test_deployment import processes
from tests.integration.system.conftest import Machine, call, machine, machine_in
from tests.ports import free_port

__all__ = ["machine"]

pytestmark = pytest.mark.integration

ASK = call("ask_documents", question="How long may patients keep a monitor?", knowledge="@clinics")
OFFERS: list[subprocess.Popen[str]] = []


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Machine]:
    base = tmp_path / "owner"
    folder = base / "folder"
    folder.mkdir(parents=True)
    with machine_in(base, folder) as owner:
        yield owner
        # A test that failed may have left it waiting for questions.
        for joined in OFFERS:
            if joined.poll() is None:
                joined.kill()
                joined.communicate()
        OFFERS.clear()


def offer(owner: Machine, invitation: Path, *options: str) -> subprocess.Popen[str]:
    """Answer as the owner would, and wait until it waits for questions."""
    joined = owner.popen("knowledge", "join", str(invitation), "house", *options, start_new_session=True)
    OFFERS.append(joined)
    assert joined.stdout is not None
    offered = joined.stdout.readline()
    assert offered.startswith("north answers the federation clinics from house (1 document)."), offered
    assert "waiting for work" in joined.stdout.readline()
    return joined


def outcome(result: dict[str, Any]) -> str:
    """Return what the federation told."""
    (told,) = (action["outcome"] for action in result["actions"] if action["tool"] == "ask_federation")
    assert isinstance(told, str)
    return told


def test_only_answers_and_citations_leave_a_machine(machine: Machine, owner: Machine) -> None:
    (owner.folder / "devices.md").write_text(
        "# Monitors\nPatients may keep a heart monitor for 30 days.\n\n# Staff\nThe safe's code is 4711.\n"
    )
    assert owner.run("knowledge", "add", "house", "devices.md").returncode == 0
    assert machine.run("federated", "init", "clinics", "--port", str(free_port())).returncode == 0
    for name in ("north", "south"):
        assert machine.run("federated", "invite", "clinics", name).returncode == 0
    invitation = machine.folder / "clinics-north.invitation"
    none = owner.run("knowledge", "join", str(invitation), "nothing")
    assert none.returncode == 1 and "There is no collection 'nothing'" in none.stderr

    joined = offer(owner, invitation)
    owner.endpoint.replies = ["Patients may keep a heart monitor for 30 days [1]."]
    machine.endpoint.replies = [ASK, "30 days."]
    code, result = machine.ask("ask @clinics how long a heart monitor may be kept")
    assert code == 0 and result["answer"] == "30 days.", result
    assert {action["tool"] for action in result["actions"]} == {"ask_documents", "ask_federation"}
    told = outcome(result)
    assert "north: Patients may keep a heart monitor for 30 days [1].\n[1] devices.md" in told
    assert "Monitors: “Patients may keep a heart monitor for 30 days.”" in told
    assert "south did not answer: it is not there." in told
    assert "4711" not in json.dumps(machine.endpoint.requests) and "4711" not in told

    # What was asked and what left is in the owner's ledger, too.
    recorded = owner.run("ledger", "log", "--json").stdout
    kinds = [
        record["kind"]
        for record in map(json.loads, recorded.splitlines())
        if record["tool"] == "ask_documents" and record["body"]["asked_by"]["client"] == "silo"
    ]
    assert kinds == ["intent", "outcome"]
    assert owner.run("ledger", "verify").returncode == 0

    joined.send_signal(signal.SIGINT)
    said, errors = joined.communicate(timeout=10)
    assert joined.returncode == 130 and errors == "" and "Taking part" in said
    assert not processes(owner.base / "data" / "federated")
    assert not list((machine.base / "data" / "federated").glob("ask-*"))


def test_words_and_what_goes_wrong_stay_with_the_owner(machine: Machine, owner: Machine) -> None:
    (owner.folder / "devices.md").write_text("# Monitors\nPatients may keep a heart monitor for 30 days.\n")
    assert owner.run("knowledge", "add", "house", "devices.md").returncode == 0
    assert machine.run("federated", "init", "clinics", "--port", str(free_port())).returncode == 0
    assert machine.run("federated", "invite", "clinics", "north").returncode == 0
    joined = offer(owner, machine.folder / "clinics-north.invitation", "--no-quotes", "--per-minute", "2")
    owner.endpoint.replies = ["Patients may keep a heart monitor for 30 days [1]."]
    machine.endpoint.replies = [ASK, "30 days."]
    _, result = machine.ask("ask @clinics how long a heart monitor may be kept")
    told = outcome(result)
    assert told.endswith("[1] devices.md, line 2, Monitors") and "“" not in told

    owner.kill_kernel()
    machine.endpoint.replies = [ASK, "Nobody answered."]
    _, result = machine.ask("ask @clinics how long a heart monitor may be kept")
    assert "Nobody answered: north, it cannot answer now." in outcome(result)

    machine.endpoint.replies = [ASK, "Too often."]
    _, result = machine.ask("ask @clinics how long a heart monitor may be kept")
    assert "north, it answers 2 questions a minute" in outcome(result)
    joined.send_signal(signal.SIGINT)
    joined.communicate(timeout=10)
