"""Peers of our sandboxes, measured on our image: run by benchmarks.sandbox in an environment of their own.

Prints the median time of one call, in seconds, of each peer as JSON. All add two numbers in Python; those
that run commands do nothing at all in a second measurement, which is the least that their call can do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import socket
import statistics
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import docker
from docker.models.containers import Container
from llm_sandbox.interactive import InteractiveSandboxSession
from swerex.runtime.abstract import Command
from swerex.runtime.remote import RemoteRuntime

ADDING = ["python3", "-c", "print(1 + 1)"]
NOTHING = ["true"]
# The environment's packages as the image's own Python of the same version sees them.
PACKAGES = "/peers"
MOUNTED = {sysconfig.get_path("purelib"): {"bind": PACKAGES, "mode": "ro"}}
# The packages are there already; pip only has to say so.
ENVIRONMENT = {"PYTHONPATH": PACKAGES, "PIP_BREAK_SYSTEM_PACKAGES": "1", "PIP_NO_INDEX": "1"}


def median(work: Callable[[], object], times: int) -> float:
    """Return the median time of a call in seconds, after a first one that does not count."""
    work()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def exec_run(client: docker.DockerClient, image: str) -> dict[str, float]:
    """Return the times of the Docker SDK's exec_run in a container that does nothing."""
    container: Container = client.containers.run(image, ["sleep", "600"], init=True, detach=True, remove=True)
    try:
        return {
            "exec_run": median(lambda: container.exec_run(ADDING), 15),
            "exec_run true": median(lambda: container.exec_run(NOTHING), 15),
        }
    finally:
        container.kill()


def swe_rex(client: docker.DockerClient, image: str) -> dict[str, float]:
    """Return the times of swe-rex's execute; its server runs in a container on the host's network."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["python3", "-m", "swerex", "--host", "127.0.0.1", "--port", str(port), "--auth-token", "bench"]
    container: Container = client.containers.run(
        image,
        command,
        volumes=MOUNTED,
        environment=ENVIRONMENT,
        network_mode="host",
        init=True,
        detach=True,
        remove=True,
    )
    try:
        with asyncio.Runner() as runner:
            runtime = RemoteRuntime(host="http://127.0.0.1", port=port, auth_token="bench", timeout=1)
            runner.run(runtime.wait_until_alive(timeout=60))

            def execute(command: list[str]) -> float:
                return median(lambda: runner.run(runtime.execute(Command(command=command))), 50)

            return {"swe-rex": execute(ADDING), "swe-rex true": execute(NOTHING)}
    finally:
        container.kill()


def llm_sandbox(client: docker.DockerClient, image: str) -> dict[str, float]:
    """Return the time of a cell in llm-sandbox's interactive session, polling ten times as often."""
    with tempfile.TemporaryDirectory() as place:
        programs = Path(place) / "bin"
        programs.mkdir()
        (programs / "python").symlink_to("/usr/bin/python3")
        (programs / "pip").write_text('#!/bin/sh\nexec /usr/bin/python3 -m pip "$@"\n')
        (programs / "pip").chmod(0o755)
        session = InteractiveSandboxSession(
            client=client,
            image=image,
            skip_environment_setup=True,
            runtime_configs={
                "volumes": {**MOUNTED, place: {"bind": "/sandbox/.sandbox-venv", "mode": "ro"}},
                "environment": dict(ENVIRONMENT),
                "command": ["/bin/sh"],
                "user": "0:0",
            },
        )
        session.settings.poll_interval = 0.01
        try:
            session.open()
            return {"llm-sandbox": median(lambda: session.run("print(1 + 1)"), 9)}
        finally:
            session.close()


def main() -> None:
    """Measure every peer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    image = parser.parse_args().image
    logging.disable(logging.CRITICAL)
    client = docker.from_env()
    found: dict[str, float] = {}
    for measure in (exec_run, swe_rex, llm_sandbox):
        found |= measure(client, image)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
