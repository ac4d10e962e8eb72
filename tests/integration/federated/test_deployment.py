"""The deployment backend, on its real processes: TLS, faults, stops, and machines that join."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from llmasos.federated.deployment.certificates import make_authority, make_link
from llmasos.federated.deployment.federation import Federation
from llmasos.federated.deployment.invitation import Invitation
from llmasos.federated.events import ClientFailed, RoundEnded, RunEvent
from llmasos.federated.port import FederatedError
from tests.integration.federated.conftest import Bench
from tests.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


def rounds(told: list[RunEvent]) -> list[RoundEnded]:
    return [event for event in told if isinstance(event, RoundEnded)]


def hashes(told: list[RunEvent]) -> dict[int, str]:
    return {event.round: event.weights_sha256 for event in rounds(told)}


def processes(folder: Path, what: str = "") -> list[int]:
    """Return the processes that were started for a run: all, or those of one program."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            told = place.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode()
            state = place.joinpath("stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z" and str(folder) in told and what in told:
            found.append(int(place.name))
    return found


async def gone(folder: Path) -> None:
    """Wait until no process of a run is left, for as long as is promised."""
    with anyio.fail_after(5):
        while processes(folder):
            await anyio.sleep(0.02)


async def prepared(bench: Bench, sources: list[str], **given: Any) -> str:
    return await bench.prepared(sources, backend="deployment", **given)


@pytest.mark.parametrize(
    "more",
    [
        {"strategy": "fedprox", "sample": 0.8},
        {"strategy": "fedyogi", "sample": 0.8},
        {"secure": True},
    ],
    ids=["fedprox", "fedyogi", "secure"],
)
async def test_a_deployed_run_has_the_bits_of_a_local_one(
    bench: Bench, hospitals: list[str], more: dict[str, Any]
) -> None:
    given: dict[str, Any] = {"rounds": 3, "recipe": "mlp", **more}
    local = await bench.told(await bench.prepared(hospitals, **given))
    name = await prepared(bench, hospitals, **given)
    deployed = await bench.told(name)
    assert hashes(deployed) == hashes(local)
    assert [event.participants for event in rounds(deployed)] == [
        event.participants for event in rounds(local)
    ]
    await gone(bench.root / name)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raise", "it raised RuntimeError: the disk is gone"),
        ("die", "it died (signal 9)"),
        ("hang", "it took too long"),
    ],
)
async def test_a_client_that_fails_takes_nobody_with_it(
    bench: Bench, hospitals: list[str], faulty: None, fault: str, reason: str
) -> None:
    name = await prepared(
        bench,
        hospitals[:3],
        recipe="faulty",
        rounds=2,
        options={"fault": fault, "rows": [64]},
        guard={"reply_seconds": 5.0 if fault == "hang" else 60.0},
    )
    told = await bench.told(name)
    failed = [event for event in told if isinstance(event, ClientFailed)]
    assert [event.client for event in failed] == ["south.csv"] * 2
    assert all(reason in event.reason for event in failed)
    assert [len(event.participants) for event in rounds(told)] == [2, 2]
    assert bench.runs.status(name).state == "completed"


async def test_a_node_that_is_killed_is_missed_at_once_and_the_others_go_on(
    bench: Bench, hospitals: list[str], faulty: None
) -> None:
    options = {"fault": "hang", "rows": [64]}
    name = await prepared(
        bench, hospitals[:3], recipe="faulty", rounds=2, options=options, guard={"reply_seconds": 300.0}
    )
    run = await bench.runs.start(name)
    told = []
    async for event in run.events():
        told.append(event)
        if event.type == "client_joined" and event.client == "south.csv":
            for process in processes(run.folder, "node-3.json"):
                os.kill(process, signal.SIGKILL)
    assert bench.runs.status(name).state == "completed"
    assert all("south.csv" not in {one.client for one in event.participants} for event in rounds(told))
    assert all(event.seconds < 300 for event in rounds(told))


async def test_a_run_whose_link_is_killed_fails_and_goes_on_where_it_was(
    bench: Bench, hospitals: list[str]
) -> None:
    given: dict[str, Any] = {"rounds": 12, "sample": 0.7}
    whole = await bench.told(await bench.prepared(hospitals[:3], **given))
    name = await prepared(bench, hospitals[:3], **given)
    run = await bench.runs.start(name)
    async for event in run.events():
        if isinstance(event, RoundEnded) and event.round == 2:
            for process in processes(run.folder, "link.json"):
                os.kill(process, signal.SIGKILL)
    status = bench.runs.status(name)
    assert status.state == "failed" and "The SuperLink has ended (signal 9)" in status.reason
    await gone(run.folder)
    await anyio.wait_all_tasks_blocked()
    rest = await bench.told(name)
    assert bench.runs.status(name).state == "completed"
    assert hashes(rest) == hashes(whole)


@pytest.mark.parametrize("how", ["stop", "crash"])
async def test_neither_stop_nor_a_crash_leaves_a_process(
    bench: Bench, hospitals: list[str], faulty: None, how: str
) -> None:
    options = {"fault": "hang", "rows": [64]}
    name = await prepared(bench, hospitals[:2], recipe="faulty", options=options)
    run = await bench.runs.start(name)
    async for event in run.events():
        if event.type == "client_joined":
            break
    assert len(processes(run.folder)) >= 4
    if how == "stop":
        await bench.runs.stop(name)
        assert bench.runs.status(name).state == "stopped"
    else:
        assert run.pid is not None
        os.kill(run.pid, signal.SIGKILL)
    await gone(run.folder)


async def test_bad_data_is_refused_before_anything_starts(
    bench: Bench, hospitals: list[str], tmp_path: Path
) -> None:
    with pytest.raises(FederatedError, match="There is no data set"):
        await prepared(bench, [*hospitals[:2], str(tmp_path / "none.csv")])
    assert not list(bench.root.iterdir())


@pytest.mark.parametrize("backend", ["local", "deployment"])
async def test_nothing_is_looked_up_and_nothing_is_written_beside_the_folder(
    bench: Bench, hospitals: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    home = tmp_path / "watching"
    home.mkdir()
    shutil.copy(Path(__file__).with_name("watching.py"), home / "sitecustomize.py")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(home), os.environ.get("PYTHONPATH")])))
    name = await bench.prepared(hospitals[:2], backend=backend, rounds=2)
    await bench.told(name)
    notes = set((home / "notes.txt").read_text().splitlines())
    folder = bench.root / name
    written = {Path(note.removeprefix("write ")) for note in notes if note.startswith("write ")}
    assert any(path.is_relative_to(folder) for path in written), "it watches"
    assert not [path for path in written if not path.is_relative_to(folder) and path != Path("/dev/null")]
    others = {note for note in notes if not note.startswith("write ")}
    assert others <= {"connect 127.0.0.1", "lookup 127.0.0.1"}


class Sites:
    """Machines that join a federation, each with the command that a person there would give."""

    def __init__(self, tmp_path: Path, federation: Federation) -> None:
        self.federation = federation
        self._home = tmp_path / "sites"
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def join(self, source: str, *before: str, invitation: Invitation | None = None) -> None:
        """Join with an invitation, a new one by default, and wait until the data set is offered.

        Args:
            source: The data set; the machine is called as its file.
            before: What the command is run with.
            invitation: The invitation.
        """
        name = Path(source).name
        folder = self._home / name
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "invitation"
        file.write_text((invitation or self.federation.invite(name)).model_dump_json())
        command = ["join", "--data", source, "--", str(file)]
        self._processes[name] = subprocess.Popen(
            [*before, sys.executable, "-m", "llmasos.federated.deployment.commands", *command],
            env={**os.environ, "LLMASOS_DATA_DIR": str(folder / "data")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert f"{name} offers" in self.said(name)

    def said(self, name: str) -> str:
        """Return the next line that a machine says."""
        stdout = self._processes[name].stdout
        assert stdout is not None
        return stdout.readline()

    def interrupted(self, name: str) -> tuple[int, str]:
        """Interrupt a machine as Ctrl-C does, and return its exit code and what else it said."""
        process = self._processes[name]
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=5)
        return process.returncode, rest

    def kill(self, name: str) -> None:
        """Kill what a person started on a machine, and nothing else."""
        self._processes[name].kill()
        self._processes[name].communicate()

    def end(self) -> None:
        """End all."""
        for process in self._processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[Sites]:
    root = tmp_path / "runs" / "federations"
    found = Sites(tmp_path, Federation.make(root, "region", port=free_port()))
    yield found
    found.end()


async def test_machines_that_joined_train_as_if_their_data_were_here(
    bench: Bench, hospitals: list[str], sites: Sites
) -> None:
    local = await bench.told(await bench.prepared(hospitals[:2], rounds=2, seed=7))
    for source in hospitals[:2]:
        sites.join(source)
    sources = [f"@region/{Path(source).name}" for source in hospitals[:2]]
    name = await prepared(bench, sources, rounds=2, seed=7)
    assert hashes(await bench.told(name)) == hashes(local)
    text = b"".join(path.read_bytes() for path in (bench.root / name).rglob("*") if path.is_file())
    rows = [line for source in hospitals[:2] for line in Path(source).read_bytes().splitlines()[1:]]
    assert rows and not any(row in text for row in rows), "no row has left its machine"


async def test_who_is_missing_is_said_when_the_time_is_over(
    bench: Bench, hospitals: list[str], sites: Sites
) -> None:
    sites.federation.invite("north.csv")
    sites.federation.invite("south.csv")
    with pytest.raises(FederatedError, match=r"0 of 2 clients are there.*north\.csv, south\.csv"):
        await prepared(bench, ["@region/north.csv", "@region/south.csv"], guard={"join_seconds": 0.5})
    with pytest.raises(FederatedError, match="moon was not invited"):
        await prepared(bench, ["@region/north.csv", "@region/moon"])
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", sites.federation.port))
        taken.listen()
        with pytest.raises(
            FederatedError, match=rf"Port {sites.federation.port} is taken by .*{os.getpid()}"
        ):
            await prepared(bench, ["@region/north.csv", "@region/south.csv"])
    assert [path.name for path in bench.root.iterdir()] == ["federations"]


async def test_joining_says_what_is_offered_and_each_change_once(
    bench: Bench, hospitals: list[str], sites: Sites
) -> None:
    for source in hospitals[:2]:
        sites.join(source)
        assert "Nobody leads at" in sites.said(Path(source).name)
    await prepared(bench, ["@region/north.csv", "@region/south.csv"])
    assert "Taking part in what" in sites.said("north.csv")
    assert "Nobody leads at" in sites.said("north.csv")
    assert sites.interrupted("north.csv") == (130, "")
    with anyio.fail_after(5):
        while processes(bench.root.parent / "sites" / "north.csv"):
            await anyio.sleep(0.02)


async def test_a_machine_that_is_killed_and_joins_again_takes_part_again(
    bench: Bench, hospitals: list[str], sites: Sites
) -> None:
    invitation = sites.federation.invite("south.csv")
    sites.join(hospitals[0])
    sites.join(hospitals[1], invitation=invitation)
    sources = [f"@region/{Path(source).name}" for source in hospitals[:2]]
    name = await prepared(bench, sources, rounds=100_000, guard={"reply_seconds": 300.0})
    run = await bench.runs.start(name)
    told: list[RunEvent] = []
    joined = stopped = False
    async for event in run.events():
        told.append(event)
        if not isinstance(event, RoundEnded):
            continue
        there = "south.csv" in {one.client for one in event.participants}
        if event.round == 1:
            sites.kill("south.csv")
        elif not there and not joined:
            joined = True
            await anyio.to_thread.run_sync(partial(sites.join, hospitals[1], invitation=invitation))
        elif there and joined and not stopped:
            stopped = True
            await bench.runs.stop(name)
    failed = [event for event in told if isinstance(event, ClientFailed)]
    assert failed and {event.client for event in failed} == {"south.csv"}
    assert stopped and all(event.seconds < 60 for event in rounds(told))


async def test_a_machine_with_an_older_invitation_is_refused(
    bench: Bench, hospitals: list[str], sites: Sites
) -> None:
    older = sites.federation.invite("south.csv")
    sites.federation.invite("south.csv")
    sites.join(hospitals[0])
    sites.join(hospitals[1], invitation=older)
    assert "Nobody leads at" in sites.said("south.csv")
    with pytest.raises(FederatedError, match=r"1 of 2 clients are there.*missing: south\.csv"):
        await prepared(bench, ["@region/north.csv", "@region/south.csv"], guard={"join_seconds": 6.0})
    assert "does not let south.csv take part" in sites.said("south.csv")


async def test_a_machine_does_not_trust_certificates_that_were_renewed(
    bench: Bench, hospitals: list[str], sites: Sites
) -> None:
    sites.join(hospitals[0])
    sites.federation.renew()
    assert "Nobody leads at" in sites.said("north.csv")
    with pytest.raises(FederatedError, match="0 of 1 clients are there"):
        await prepared(bench, ["@region/north.csv"], guard={"join_seconds": 6.0})
    assert "a certificate that this invitation does not trust" in sites.said("north.csv")


async def test_certificates_that_have_expired_are_said_before_anything_starts(
    bench: Bench, sites: Sites
) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    sites.federation.invite("north.csv")
    authority = make_authority("region")
    old = make_link(authority, ("127.0.0.1",), now=long_ago, days=1)
    sites.federation.certificate.write_bytes(old.certificate)
    with pytest.raises(
        FederatedError, match=r"The link's certificate .* expired on 02 January 2020"
    ) as found:
        await prepared(bench, ["@region/north.csv"])
    assert found.value.hint == "Make new ones: llmasos federated renew region"
    assert [path.name for path in bench.root.iterdir()] == ["federations"]


@pytest.fixture
def island(tmp_path: Path) -> Iterator[str]:
    """A network of its own, whose one cable leads here; its name is that of the cable's end, too."""
    name = f"cut{os.getpid() % 100_000}"
    far = f"{name}b"
    for command in (
        f"netns add {name}",
        f"link add {name} type veth peer name {far}",
        f"link set {far} netns {name}",
        f"addr add {HERE}/30 dev {name}",
        f"link set {name} up",
        f"-n {name} addr add {THERE}/30 dev {far}",
        f"-n {name} link set {far} up",
    ):
        ip(command)
    yield name
    ip(f"link del {name}")
    ip(f"netns del {name}")


HERE, THERE = "10.231.77.1", "10.231.77.2"


def ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True, capture_output=True)


async def test_a_machine_that_is_cut_off_is_missed_within_seconds_and_back_when_it_can_be(
    bench: Bench, hospitals: list[str], tmp_path: Path, island: str
) -> None:
    root = tmp_path / "runs" / "federations"
    sites = Sites(tmp_path, Federation.make(root, "far", hosts=(HERE,), port=free_port()))
    told: list[RunEvent] = []
    mended = stopped = False
    try:
        sites.join(hospitals[0])
        sites.join(hospitals[1], "ip", "netns", "exec", island)
        sources = [f"@far/{Path(source).name}" for source in hospitals[:2]]
        name = await prepared(bench, sources, rounds=100_000, guard={"reply_seconds": 300.0})
        run = await bench.runs.start(name)
        async for event in run.events():
            told.append(event)
            if not isinstance(event, RoundEnded):
                continue
            there = "south.csv" in {one.client for one in event.participants}
            if event.round == 1:
                ip(f"link set {island} down")
            elif not there and not mended:
                mended = True
                ip(f"link set {island} up")
            elif there and mended and not stopped:
                stopped = True
                await bench.runs.stop(name)
    finally:
        sites.end()
    failed = [event for event in told if isinstance(event, ClientFailed)]
    assert {event.client for event in failed} == {"south.csv"}
    assert "no sign of life" in failed[0].reason
    assert stopped and all(event.seconds < 60 for event in rounds(told))
    assert {one.client for event in rounds(told) for one in event.participants} == {"north.csv", "south.csv"}
