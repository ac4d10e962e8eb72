"""Machines train together with the commands that people give: the real command line, kernel and processes."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.federated.conftest import write_hospital
from tests.integration.federated.test_deployment import processes
from tests.integration.system.conftest import Machine, machine
from tests.ports import free_port

__all__ = ["machine"]

pytestmark = pytest.mark.integration

NODES = ("north", "south")


def join(machine: Machine, node: str) -> subprocess.Popen[str]:
    """Join as another machine would, and wait until it waits for work."""
    joined = machine.popen(
        *("federated", "join", f"region-{node}.invitation", "--data", f"{node}.csv"), start_new_session=True
    )
    assert joined.stdout is not None
    offered = joined.stdout.readline()
    assert offered.startswith(f"{node} offers ") and "rows with the columns a, b, c, d" in offered
    assert "waiting for work" in joined.stdout.readline()
    return joined


def leave(joined: subprocess.Popen[str], home: Path) -> None:
    """End it as Ctrl-C does: within seconds, and without a word."""
    began = time.monotonic()
    joined.send_signal(signal.SIGINT)
    said, errors = joined.communicate(timeout=5)
    assert joined.returncode == 130 and "Traceback" not in said + errors and errors == ""
    while processes(home):
        assert time.monotonic() - began < 5


def test_two_hospitals_train_together_and_what_is_wrong_is_said(machine: Machine) -> None:
    for seed, node in enumerate(NODES):
        write_hospital(machine.folder / f"{node}.csv", 60 + 20 * seed, seed)
    port = free_port()
    assert machine.run("federated", "init", "region", "--port", str(port)).returncode == 0
    for node in NODES:
        assert machine.run("federated", "invite", "region", node).returncode == 0
    missing = machine.run("federated", "join", "region-north.invitation", "--data", "none\x1b[2J.csv")
    assert missing.returncode == 1 and "There is no data set 'none" in missing.stderr
    assert "\x1b" not in missing.stderr and missing.stdout == ""
    joined = [join(machine, node) for node in NODES]
    sources = [f"@region/{node}" for node in NODES]

    done = machine.run("federated", "run", *sources, "--rounds", "2", "--seed", "1")
    assert done.returncode == 0, done.stderr
    assert "Clients: north (60 rows), south (80 rows); 2 of 2 a round." in done.stdout
    assert "backend deployment" in done.stdout and "round 2 of 2" in done.stdout
    assert machine.run("federated", "verify", json.loads(newest(machine))["id"]).returncode == 0

    leave(joined[1], machine.base / "data" / "federated" / "joined" / "region" / "south")
    moon = machine.run("federated", "run", "@region/north", "@region/moon")
    assert moon.returncode == 1 and "moon was not invited to the federation region" in moon.stderr
    assert "llmasos federated invite region moon" in moon.stderr
    local = machine.run("federated", "run", *sources, "--backend", "local")
    assert local.returncode == 1 and "do not train with the backend local" in local.stderr
    leave(joined[0], machine.base / "data" / "federated" / "joined" / "region" / "north")


def newest(machine: Machine) -> str:
    return machine.run("federated", "list", "--json").stdout.splitlines()[-1]
