"""The local backend, on its real processes: faults, stops, crashes and repeats."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import anyio
import pytest

from llmasos.federated.events import ClientFailed, RoundEnded, RunEnded, RunEvent, UpdateRejected
from llmasos.federated.folder import RunFolder
from llmasos.federated.port import DataError, FederatedError
from llmasos.federated.weights import load_weights, weights_sha256
from tests.integration.federated.conftest import Bench

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


def rounds(told: list[RunEvent]) -> list[RoundEnded]:
    return [event for event in told if isinstance(event, RoundEnded)]


def hashes(told: list[RunEvent]) -> dict[int, str]:
    return {event.round: event.weights_sha256 for event in rounds(told)}


def processes(folder: Path) -> list[str]:
    """Return the programs that work in a run's folder or were started for it."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            told = place.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode()
            state = place.joinpath("stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z" and (str(folder) in told or os.readlink(place / "cwd") == str(folder)):
                found.append(told)
        except OSError:
            continue
    return found


async def test_hospitals_train_together_and_the_result_proves_itself(
    bench: Bench, hospitals: list[str]
) -> None:
    name = await bench.prepared(hospitals, rounds=20, strategy="FedProx", mu=0.1, target="90%")
    told = await bench.told(name)
    end = told[-1]
    assert isinstance(end, RunEnded) and end.state == "target" and end.rounds < 20
    last = rounds(told)[-1]
    assert last.accuracy is not None and last.accuracy >= 0.9
    assert [(one.client, one.samples) for one in last.participants] == [
        ("north.csv", 48),
        ("south.csv", 64),
        ("west.csv", 80),
        ("east.csv", 96),
    ]
    model = load_weights(bench.root / name / "results" / "model.safetensors")
    assert weights_sha256(model) == last.weights_sha256 == end.weights_sha256
    assert hashes(bench.recorded) == hashes(told)
    assert not processes(bench.root / name)


async def test_the_same_plan_gives_the_same_bits(bench: Bench, hospitals: list[str]) -> None:
    first, again, other = [
        await bench.told(await bench.prepared(hospitals, rounds=3, recipe="mlp", seed=seed))
        for seed in (1, 1, 2)
    ]
    assert hashes(first) == hashes(again)
    assert set(hashes(first).values()).isdisjoint(hashes(other).values())


@pytest.mark.parametrize("strategy", ["fedprox", "fedyogi", "krum"])
async def test_a_resumed_run_equals_the_uninterrupted_one(
    bench: Bench, hospitals: list[str], strategy: str
) -> None:
    given: dict[str, Any] = {"rounds": 6, "strategy": strategy, "sample": 0.8}
    whole = await bench.told(await bench.prepared(hospitals, **given))
    name = await bench.prepared(hospitals, **given)
    await bench.told(name, lambda event: isinstance(event, RoundEnded) and event.round == 2)
    await bench.runs.stop(name)
    status = bench.runs.status(name)
    assert status.state == "stopped" and 2 <= status.round < 6
    rest = await bench.told(name)
    assert hashes(rest) == hashes(whole)
    assert bench.runs.status(name).state == "completed"


async def test_a_run_that_is_killed_goes_on_where_it_was(bench: Bench, hospitals: list[str]) -> None:
    whole = await bench.told(await bench.prepared(hospitals, rounds=8))
    name = await bench.prepared(hospitals, rounds=8)
    run = await bench.runs.start(name)
    async for event in run.events():
        if isinstance(event, RoundEnded) and event.round == 3:
            assert run.pid is not None
            os.kill(run.pid, signal.SIGKILL)
            break
    async for _ in run.events():
        pass
    assert bench.runs.status(name).state == "interrupted" and not processes(bench.root / name)
    await anyio.wait_all_tasks_blocked()
    assert hashes(await bench.told(name)) == hashes(whole)


async def test_stop_leaves_nothing(bench: Bench, hospitals: list[str], faulty: None) -> None:
    name = await bench.prepared(hospitals, recipe="faulty", options={"fault": "hang", "rows": [64]})
    run = await bench.runs.start(name)
    async for event in run.events():
        if event.type == "client_joined":
            break
    assert processes(bench.root / name)
    await bench.runs.stop(name)
    assert not processes(bench.root / name)
    assert bench.runs.status(name).state == "stopped"
    with pytest.raises(FederatedError, match="is not under way: it is stopped"):
        await bench.runs.stop(name)


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        ("raise", ClientFailed, "it raised RuntimeError: the disk is gone"),
        ("die", ClientFailed, "it died (signal 9)"),
        ("hang", ClientFailed, "it took too long"),
        ("nan", UpdateRejected, "not finite"),
        ("shape", UpdateRejected, "shape"),
        ("flip", UpdateRejected, "norm"),
    ],
)
async def test_a_client_that_fails_is_named_and_the_others_go_on(
    bench: Bench, hospitals: list[str], faulty: None, fault: str, kind: type[RunEvent], reason: str
) -> None:
    seconds = 5.0 if fault == "hang" else 60.0
    name = await bench.prepared(
        hospitals,
        recipe="faulty",
        strategy="fedprox",
        rounds=2,
        options={"fault": fault, "rows": [64]},
        guard={"reply_seconds": seconds},
    )
    told = await bench.told(name)
    refused = [event for event in told if isinstance(event, ClientFailed | UpdateRejected)]
    assert [(type(event), event.client) for event in refused] == [(kind, "south.csv")] * 2
    assert all(reason in event.reason for event in refused)
    assert [len(event.participants) for event in rounds(told)] == [3, 3]
    assert bench.runs.status(name).state == "completed"


async def test_when_all_clients_fail_the_run_fails_and_says_so(
    bench: Bench, hospitals: list[str], faulty: None
) -> None:
    options = {"fault": "raise", "rows": [48, 64, 80, 96]}
    with pytest.raises(FederatedError, match=r"No client can train a few steps .*the disk is gone"):
        await bench.prepared(hospitals, recipe="faulty", rounds=9, options=options)
    name = await bench.prepared(hospitals, recipe="faulty", rounds=9, options={"fault": "", "rows": []})
    folder = RunFolder(bench.root / name)
    folder.plan = folder.plan.model_copy(update={"options": options})
    told = await bench.told(name)
    end = told[-1]
    assert isinstance(end, RunEnded) and end.state == "failed"
    assert "too few" in end.reason and "the disk is gone" in end.reason
    assert all(not event.participants for event in rounds(told))
    assert len({event.weights_sha256 for event in rounds(told)}) == 1, "the model stayed as it was"


async def test_a_recipe_that_forgets_the_proximal_term_is_caught(
    bench: Bench, hospitals: list[str], faulty: None
) -> None:
    options = {"fault": "forget", "rows": []}
    name = await bench.prepared(hospitals, recipe="faulty", strategy="fedprox", mu=0.5, options=options)
    end = (await bench.told(name))[-1]
    assert isinstance(end, RunEnded) and end.state == "failed"
    assert "it trained without FedProx's proximal term (mu 0.5 was asked for)" in end.reason


async def test_data_that_changed_is_not_gone_on_with(bench: Bench, hospitals: list[str]) -> None:
    name = await bench.prepared(hospitals, rounds=2)
    Path(hospitals[0]).write_text("a,b,c,d,diagnosis\n1,2,3,4,class-9\n1,2,3,4,class-0\n")
    end = (await bench.told(name))[-1]
    assert isinstance(end, RunEnded) and end.state == "failed" and "has changed" in end.reason


async def test_what_cannot_be_trained_on_is_refused_and_leaves_nothing(
    bench: Bench, hospitals: list[str], tmp_path: Path
) -> None:
    (tmp_path / "other.csv").write_text("a,b,c,e,diagnosis\n1,2,3,4,class-0\n2,3,4,5,class-1\n")
    cases = [
        ([*hospitals[:2], str(tmp_path / "none.csv")], "none.csv"),
        ([*hospitals[:2], str(tmp_path / "other.csv")], "no column 'd'"),
        (hospitals[:1], "clients"),
    ]
    for sources, said in cases:
        given = {"clients": 500} if len(sources) == 1 else {}
        with pytest.raises((DataError, FederatedError), match=said):
            await bench.prepared(sources, **given)
    assert not list(bench.root.iterdir())


async def test_nothing_is_written_but_in_the_runs_folder(
    bench: Bench, hospitals: list[str], tmp_path: Path
) -> None:
    before = {path for path in tmp_path.rglob("*") if bench.root not in (path, *path.parents)}
    name = await bench.prepared(hospitals, rounds=1)
    await bench.told(name)
    assert {path for path in tmp_path.rglob("*") if bench.root not in (path, *path.parents)} == before
    assert {path.name for path in bench.root.iterdir()} == {name}
