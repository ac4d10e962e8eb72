"""What our local backend is measured against: a loop by hand, and `flwr run` on the same recipe and rows."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llmasos.federated.data import Deal, agree, prepare, survey
from llmasos.federated.dataset import Examples
from llmasos.federated.plan import Plan, names_of
from llmasos.federated.recipes import Work, recipe
from llmasos.federated.weights import Weights

HERE = Path(__file__).parent
LONGEST = 900.0
CONFIG = """
[superlink]
default = "local"

[superlink.local]
address = ":local:"
options.num-supernodes = {clients}
options.backend.client-resources.num-cpus = 1
"""
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "stock"
version = "1.0.0"
license = "Apache-2.0"
dependencies = []

[tool.flwr.app]
publisher = "bench"

[tool.flwr.app.components]
serverapp = "stock.app:server"
clientapp = "stock.app:client"
"""


@dataclass(frozen=True)
class Pace:
    """How long a training took in seconds.

    Args:
        whole: From the command to its end.
        rounds: From the end of the first round to that of the last.
        accuracy: What came out.
    """

    whole: float
    rounds: float
    accuracy: float


def by_hand(plan: Plan) -> Pace:
    """Train with a loop in this process, without Flower."""
    began = time.perf_counter()
    deal, names = Deal(plan.data, plan.clients, plan.seed), names_of(plan)
    rows = [deal.rows(place) for place in range(plan.clients)]
    schema = agree([survey(name, one) for name, one in zip(names, rows, strict=True)])
    parts = [
        prepare(one, schema, holdout=plan.data.holdout, seed=plan.seed, client=name)
        for name, one in zip(names, rows, strict=True)
    ]
    pooled = Examples(
        np.concatenate([held.inputs for _, held in parts]), np.concatenate([held.labels for _, held in parts])
    )
    chosen, asked = recipe(plan.recipe), plan.training
    weights = chosen.initial(schema, plan.options, plan.seed)
    draw = np.random.default_rng(plan.seed)
    ends, accuracy = [], 0.0
    for number in range(plan.rounds):
        updates: list[tuple[int, Weights]] = []
        for client in draw.choice(plan.clients, plan.sampled, replace=False):
            examples, _ = parts[client]
            seed = number * plan.clients + int(client)
            work = Work(asked.epochs, asked.batch, asked.learning_rate, seed=seed)
            trained, _ = chosen.train(dict(weights), examples, work, schema, plan.options)
            updates.append((len(examples), trained))
        total = sum(samples for samples, _ in updates)
        weights = {
            name: np.sum(
                [update[name].astype(np.float64) * (samples / total) for samples, update in updates], axis=0
            ).astype(array.dtype)
            for name, array in weights.items()
        }
        accuracy = chosen.evaluate(weights, pooled, schema, plan.options).accuracy
        ends.append(time.perf_counter())
    return Pace(ends[-1] - began, ends[-1] - ends[0], accuracy)


@contextmanager
def flower() -> Iterator[Path]:
    """Give out an environment with Flower's simulation in it."""
    with tempfile.TemporaryDirectory() as base:
        venv.create(base, with_pip=True)
        wanted = str(HERE / "federated.requirements.txt")
        subprocess.run([f"{base}/bin/python", "-m", "pip", "install", "--quiet", "-r", wanted], check=True)
        yield Path(base)


def flwr_run(plan: Plan, environment: Path) -> Pace:
    """Train with `flwr run`, which starts a SuperLink and Ray and leaves the first behind."""
    with tempfile.TemporaryDirectory() as base:
        home, app = Path(base) / "home", Path(base) / "app"
        (app / "stock").mkdir(parents=True)
        home.mkdir()
        (home / "config.toml").write_text(CONFIG.format(clients=plan.clients))
        (home / "plan.json").write_text(plan.model_dump_json())
        (app / "pyproject.toml").write_text(PROJECT)
        (app / "stock" / "__init__.py").touch()
        shutil.copy(HERE / "federated_app.py", app / "stock" / "app.py")
        ports = _free_ports(2)
        given = {
            **os.environ,
            "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(HERE.parent),
            "HOME": str(home),
            "FLWR_HOME": str(home),
            "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT": str(ports[0]),
            "FLWR_LOCAL_CONTROL_API_PORT": str(ports[1]),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            "OMP_NUM_THREADS": "1",
            "BENCH_PLAN": str(home / "plan.json"),
            "BENCH_TIMES": str(home / "times"),
        }
        began = time.perf_counter()
        try:
            done = subprocess.run(
                [environment / "bin" / "flwr", "run", app, "local", "--stream"],
                env=given,
                timeout=LONGEST,
                check=False,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            whole = time.perf_counter() - began
        finally:
            _end_all(f"FLWR_HOME={home}")
        told = [line.split() for line in (home / "times").read_text().splitlines()]
        if len(told) != plan.rounds + 1:
            raise RuntimeError(f"flwr run ended after {len(told) - 1} rounds: {done.stdout[-2000:]}")
        return Pace(whole, float(told[-1][1]) - float(told[1][1]), float(told[-1][2]))


def _free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


def _end_all(variable: str) -> None:
    """End all processes that were started with a variable which only ours have."""
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if variable.encode() in place.joinpath("environ").read_bytes().split(b"\0"):
                os.kill(int(place.name), signal.SIGKILL)
