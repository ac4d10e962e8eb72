"""A sentence becomes a training: the real command line, kernel, jail, chain and local backend."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from sklearn.datasets import load_digits

from llmasos.federated.weights import load_weights, weights_sha256
from tests.integration.system.conftest import Machine, call, machine

__all__ = ["machine"]

pytestmark = pytest.mark.integration

SENTENCE = (
    "Train a digit classifier over the three hospitals' data, 20 rounds, FedProx with mu 0.1, stop at 95%"
)
HOSPITALS = ("north", "south", "west")


def write_hospitals(folder: Path) -> None:
    """Deal scikit-learn's digits to three tables of pixels."""
    digits = load_digits()
    columns = [*(f"pixel_{place}" for place in range(digits.data.shape[1])), "digit"]
    folder.mkdir()
    for place, name in enumerate(HOSPITALS):
        rows = zip(digits.data[place::3].tolist(), digits.target[place::3].tolist(), strict=True)
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([columns, *([*pixels, f"d{label}"] for pixels, label in rows)])


def test_three_hospitals_train_a_classifier_that_anyone_can_trace(machine: Machine) -> None:
    write_hospitals(machine.folder / "hospitals")
    machine.endpoint.replies = [
        call(
            "federated_train",
            data=["hospitals/*.csv"],
            label="digit",
            rounds=20,
            strategy="fedprox",
            mu=0.1,
            target=0.95,
        ),
        "The classifier reached 95%.",
    ]
    code, result = machine.ask(SENTENCE, "--yes")
    assert code == 0, result
    (action,) = result["actions"]
    assert (action["tool"], action["status"]) == ("federated_train", "ok"), action
    assert "the target is reached" in action["outcome"]
    assert "federated_train" in json.dumps(machine.endpoint.requests[0]["tools"])

    (run,) = [json.loads(line) for line in machine.run("federated", "list", "--json").stdout.splitlines()]
    assert run["state"] == "target" and run["accuracy"] >= 0.95 and run["round"] <= 20
    saved = machine.folder / "federated" / "north-and-2-more"
    model = weights_sha256(load_weights(saved / "model.safetensors"))

    log = machine.run("ledger", "log", "--session", run["id"], "--json").stdout.splitlines()
    records = [json.loads(line) for line in log]
    assert {record["kind"] for record in records} == {"round"}
    bodies = [record["body"] for record in records]
    assert bodies[0]["plan"]["strategy"]["mu"] == 0.1
    assert bodies[-1]["weights_sha256"] == bodies[-2]["weights_sha256"] == model
    assert [part["client"] for part in bodies[-2]["participants"]] == [f"{name}.csv" for name in HOSPITALS]
    assert bodies[-1]["asked_by"]["client"] == "headless"
    assert machine.run("ledger", "verify").returncode == 0
    assert machine.run("federated", "verify", run["id"]).returncode == 0
    kept = machine.base / "data" / "federated" / run["id"] / "results" / "model.safetensors"
    kept.write_bytes(kept.read_bytes()[:-1] + b"!")
    other = machine.run("federated", "verify", run["id"])
    assert other.returncode == 1 and "is NOT the one" in other.stdout
    proved = machine.run("ledger", "prove", str(records[-2]["number"]), "-o", "round.proof.json")
    assert proved.returncode == 0 and model in proved.stdout
    assert not list((machine.base / "data" / "federated" / run["id"]).glob("data/*"))


def test_a_terminal_trains_over_paths_of_its_own(machine: Machine) -> None:
    write_hospitals(machine.folder / "hospitals")
    done = machine.run("federated", "run", "hospitals", "--rounds", "2", "--seed", "3")
    assert done.returncode == 0, done.stderr
    assert "round 2 of 2: accuracy" in done.stdout and "all rounds are done" in done.stdout
    again = machine.run("federated", "run", "hospitals/*.csv", "--rounds", "2", "--seed", "3", "--json")
    last = json.loads(again.stdout.splitlines()[-1])
    first = json.loads(machine.run("federated", "list", "--json").stdout.splitlines()[0])
    assert (last["accuracy"], last["loss"]) == (first["accuracy"], first["loss"])
    other = machine.folder / "other.csv"
    other.write_text("a,digit\n1,d0\n2,d1\n")
    refused = machine.run("federated", "run", "hospitals/north.csv", "other.csv")
    assert refused.returncode == 1 and "other.csv" in refused.stderr
    assert len(machine.run("federated", "list").stdout.splitlines()) == 2
