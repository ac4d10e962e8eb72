"""How long a deployed round takes, and what a message costs: our warm SuperNodes beside stock ones.

Both have a SuperLink with TLS and node authentication, as many SuperNodes, and logistic regression in NumPy.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import files
from itertools import pairwise
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from benchmarks.figure import Figure, ratio
from llmasos.federated.deployment.certificates import make_authority, make_link, make_node_key, write_private
from llmasos.federated.deployment.cohort import Deployed
from llmasos.federated.deployment.ports import listen
from llmasos.federated.events import RoundEnded
from llmasos.federated.folder import RunFolder
from llmasos.federated.plan import DataPlan, Plan
from llmasos.federated.run import environment_of
from llmasos.federated.training import train

_TICKS = os.sysconf("SC_CLK_TCK")
_HOST = "127.0.0.1"
_STOCK_SECONDS = 300.0
_TIMES, _NODES = 2, 4
_SIZES = {"warm": (20, _NODES), "stock": (4, _NODES)}


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Args:
        seconds: Of each round, as they came.
        cpu: Seconds of all processes together, for each message.
    """

    seconds: tuple[float, ...]
    cpu: float


class Meter:
    """Counts the CPU time of this process and all that come from it, also of those that have ended."""

    def __init__(self) -> None:
        self._used: dict[int, float] = {os.getpid(): 0.0}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Meter:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        """What was used so far."""
        self._look()
        return sum(self._used.values())

    def _watch(self) -> None:
        while not self._end.wait(0.2):
            self._look()

    def _look(self) -> None:
        found: dict[int, tuple[int, float]] = {}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                parts = (place / "stat").read_text().rpartition(")")[2].split()
                found[int(place.name)] = (int(parts[1]), (int(parts[11]) + int(parts[12])) / _TICKS)
        ours = set(self._used)
        while more := {pid for pid, (parent, _) in found.items() if parent in ours} - ours:
            ours |= more
        for pid in ours & found.keys():
            self._used[pid] = max(self._used.get(pid, 0.0), found[pid][1])


def warm(rounds: int, nodes: int) -> Measured:
    """Measure our deployment."""
    with tempfile.TemporaryDirectory() as root, Meter() as meter:
        plan = Plan(
            name="benchmark",
            recipe="logistic",
            data=DataPlan(sources=("digits",)),
            clients=nodes,
            rounds=rounds,
            backend="deployment",
        )
        folder = RunFolder.make(Path(root), plan)
        os.environ.update(environment_of(folder.path))
        marks: list[float] = []
        train(folder, Deployed, lambda: marks.append(meter.seconds))
        events = [event for event, _ in folder.told()]
        began = max(place for place, event in enumerate(events) if event.type == "client_joined")
        seconds = tuple(event.seconds for event in events if isinstance(event, RoundEnded))
    return Measured(seconds, (marks[-1] - marks[began]) / (rounds * nodes))


def stock(rounds: int, nodes: int) -> Measured:
    """Measure Flower's own programs, which start a process for each message."""
    with tempfile.TemporaryDirectory() as name, Meter() as meter:
        root = Path(name)
        environment = {**os.environ, "FLWR_HOME": str(root / "home"), "FLWR_TELEMETRY_ENABLED": "0"}
        environment |= {"FLWR_DISABLE_UPDATE_CHECK": "1", "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1"}
        programs = next(file.locate() for file in files("flwr") or [] if file.name == "flower-superlink")
        environment |= {"PATH": f"{Path(str(programs)).resolve().parent}:{os.environ['PATH']}"}
        with _programs(root, nodes, environment) as address:
            marks = root / "marks.jsonl"
            _start(address, (root / "authority.pem").read_bytes(), marks, rounds, nodes)
            deadline, before = time.monotonic() + _STOCK_SECONDS, 0.0
            while not marks.exists() or len(marks.read_text().splitlines()) < rounds + 1:
                if not before and marks.exists():
                    before = meter.seconds
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{rounds} rounds took more than {_STOCK_SECONDS:g} seconds")
                time.sleep(0.1)
            used = meter.seconds - before
        at = [json.loads(line) for line in marks.read_text().splitlines()]
    return Measured(tuple(after - before for before, after in pairwise(at)), used / (rounds * nodes))


@contextmanager
def _programs(root: Path, nodes: int, environment: dict[str, str]) -> Iterator[str]:
    authority = make_authority("benchmark")
    issued = make_link(authority, (_HOST,))
    for file, data in [
        ("authority.pem", authority.certificate),
        ("link.pem", issued.certificate),
        ("link-key.pem", issued.key),
    ]:
        write_private(root / file, data)
    free = [listen(_HOST, 0) for _ in range(nodes + 1)]
    ports = [one.getsockname()[1] for one in free]
    for one in free:
        one.close()
    address = f"{_HOST}:{ports[0]}"
    link = ["flower-superlink", "--host", _HOST, "--port", str(ports[0]), "--enable-supernode-auth"]
    link += [
        "--ssl-certfile",
        "link.pem",
        "--ssl-keyfile",
        "link-key.pem",
        "--ssl-ca-certfile",
        "authority.pem",
    ]
    started: list[subprocess.Popen[bytes]] = []

    def start(command: list[str]) -> None:
        with (root / "log.txt").open("ab") as log:
            started.append(
                subprocess.Popen(
                    command, cwd=root, env=environment, stdout=log, stderr=log, start_new_session=True
                )
            )

    try:
        start(link)
        for place in range(nodes):
            private, public = make_node_key()
            write_private(root / f"node-{place}.pem", _ssh(private))
            _register(address, authority.certificate, public)
            start(
                [
                    *("flower-supernode", "--superlink", address, "--root-certificates", "authority.pem"),
                    *("--auth-supernode-private-key", f"node-{place}.pem", "--port", str(ports[place + 1])),
                    *("--node-config", f"place={place}", "--ssl-certfile", "link.pem"),
                    *("--ssl-keyfile", "link-key.pem", "--ssl-ca-certfile", "authority.pem"),
                ]
            )
        yield address
    finally:
        for process in started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _ssh(private: bytes) -> bytes:
    """Return a key in the form that stock SuperNodes read."""
    key = serialization.load_pem_private_key(private, None)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


def _control(address: str, authority: bytes):  # type: ignore[no-untyped-def]
    from flwr.supercore.control import ControlHttpClient
    from flwr.supercore.interceptors.http.runtime_version import RuntimeVersionHttpInterceptor
    from flwr.supercore.retry import make_simple_http_retry_invoker

    return ControlHttpClient.from_server_address(
        address,
        False,
        authority,
        interceptors=[RuntimeVersionHttpInterceptor(component_name="benchmark")],
        retry_invoker=make_simple_http_retry_invoker(),
    )


def _register(address: str, authority: bytes, public: bytes) -> None:
    from flwr.proto.control_pb2 import RegisterNodeRequest

    with _control(address, authority) as client:
        client.RegisterNode(RegisterNodeRequest(public_key=public))


def _start(address: str, authority: bytes, marks: Path, rounds: int, nodes: int) -> None:
    from flwr.cli.build import build_fab_from_files
    from flwr.proto.control_pb2 import StartRunRequest
    from flwr.proto.fab_pb2 import Fab

    settings = _PROJECT.format(marks=json.dumps(str(marks)), rounds=rounds, nodes=nodes)
    content, _ = build_fab_from_files(
        {
            "pyproject.toml": settings.encode(),
            "small/__init__.py": b"",
            "small/server.py": _SERVER.encode(),
            "small/client.py": _CLIENT.encode(),
        }
    )
    with _control(address, authority) as client:
        client.StartRun(StartRunRequest(fab=Fab(content=content)))


_PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "small"
version = "1.0.0"
description = "Logistic regression in NumPy"
license = "Apache-2.0"
dependencies = []

[tool.hatch.build.targets.wheel]
packages = ["small"]

[tool.flwr.app]
publisher = "benchmark"

[tool.flwr.app.components]
serverapp = "small.server:app"
clientapp = "small.client:app"

[tool.flwr.app.config]
marks = {marks}
rounds = {rounds}
nodes = {nodes}
"""

_SERVER = """
import time

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()


@app.main()
def main(grid, context):
    config = context.run_config
    while len(nodes := list(grid.get_node_ids())) < config["nodes"]:
        time.sleep(0.2)
    weights = np.zeros((64, 10), np.float32)
    mark = lambda: open(config["marks"], "a").write(f"{time.time()}\\n")
    mark()
    for number in range(config["rounds"]):
        content = RecordDict({"arrays": ArrayRecord({"w": Array(weights)}), "config": ConfigRecord()})
        messages = [Message(content, node, "train", group_id=str(number)) for node in nodes]
        replies = list(grid.send_and_receive(messages))
        weights = np.mean([reply.content["arrays"]["w"].numpy() for reply in replies], axis=0)
        mark()
"""

_CLIENT = """
import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message, context):
    draw = np.random.default_rng(context.node_config["place"])
    inputs, labels = draw.normal(size=(450, 64)), np.eye(10)[draw.integers(0, 10, 450)]
    weights = message.content["arrays"]["w"].numpy()
    for start in range(0, 450, 32):
        rows = inputs[start : start + 32]
        odds = np.exp(rows @ weights)
        wrong = odds / odds.sum(axis=1, keepdims=True) - labels[start : start + 32]
        weights = weights - 0.1 * rows.T @ wrong / len(rows)
    arrays = ArrayRecord({"w": Array(weights.astype(np.float32))})
    content = RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 450})})
    return Message(content, reply_to=message)
"""


def deployment() -> list[Figure]:
    """Measure our deployment beside a stock one, in turn."""
    pairs = [[_apart(which, *given) for which, given in _SIZES.items()] for _ in range(_TIMES)]
    ours, theirs = [[second for pair in pairs for second in pair[side].seconds[1:]] for side in (0, 1)]
    cpu, their_cpu = [[pair[side].cpu for pair in pairs] for side in (0, 1)]
    what = f"deployment (TLS, {_NODES} SuperNodes, logistic regression)"
    return [
        Figure(
            f"a round of a stock {what} beside ours, after round 1",
            ratio(theirs, ours),
            f"{statistics.median(ours):.2f} s, stock {statistics.median(theirs):.2f} s",
            3.5,
        ),
        Figure(
            "the same: CPU time a message",
            ratio(their_cpu, cpu),
            f"{statistics.median(cpu):.2f} s, stock {statistics.median(their_cpu):.2f} s",
        ),
    ]


def _apart(which: str, rounds: int, nodes: int) -> Measured:
    """Measure in a process of its own, which changes its environment and counts what it started."""
    command = [sys.executable, "-m", "benchmarks.deployment", which, str(rounds), str(nodes)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    return Measured(tuple(told["seconds"]), told["cpu"])


if __name__ == "__main__":
    measure = {"warm": warm, "stock": stock}[sys.argv[1]]
    print(json.dumps(asdict(measure(rounds=int(sys.argv[2]), nodes=int(sys.argv[3])))))
