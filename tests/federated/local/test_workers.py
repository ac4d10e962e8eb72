"""Workers that die, hang and raise."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmasos.federated.local.workers import Answer, Workers


def work(job: tuple[str, Any]) -> Any:
    what, value = job
    if what == "raise":
        raise ValueError(value)
    if what == "die":
        os.kill(os.getpid(), value)
    if what == "leave":
        os._exit(value)
    if what == "hang":
        threading.Event().wait()
    if what == "child":
        return os.getpid(), subprocess.Popen(["sleep", "600"]).pid
    if what == "function":
        return lambda: value
    if what == "pid":
        return os.getpid()
    return value


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(work, 2)
    yield made
    made.close()


def done(workers: Workers, jobs: list[tuple[str, Any]], seconds: float = 60.0) -> list[Answer]:
    return [answer for _, answer in sorted(workers.run(jobs, seconds), key=lambda one: one[0])]


def test_answers_belong_to_their_jobs(workers: Workers) -> None:
    assert [answer.value for answer in done(workers, [("same", n) for n in range(20)])] == list(range(20))
    assert len({answer.value for answer in done(workers, [("pid", 0)] * 20)}) <= 2, "workers are used again"


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (("raise", "no rows"), "it raised ValueError: no rows"),
        (("die", signal.SIGKILL), "it died (signal 9)"),
        (("die", signal.SIGTERM), "it died (signal 15)"),
        (("leave", 3), "it died (exit code 3)"),
        (("function", 1), "it raised"),
    ],
)
def test_a_job_that_fails_says_why_and_others_go_on(workers: Workers, job: tuple[str, Any], why: str) -> None:
    answers = done(workers, [("same", 1), job, ("same", 2), job, ("same", 3)])
    assert [answer.value for answer in answers] == [1, None, 2, None, 3]
    assert all(answer.failure.startswith(why) and not answer.late for answer in answers[1::2])


def test_a_job_that_hangs_is_ended(workers: Workers) -> None:
    answers = done(workers, [("hang", 0), ("same", 1), ("same", 2)], seconds=0.5)
    assert [answer.late for answer in answers] == [True, False, False]
    assert [answer.value for answer in answers] == [None, 1, 2]


def test_what_a_client_started_ends_with_its_worker() -> None:
    workers = Workers(work, 1)
    (answer,) = done(workers, [("child", 0)])
    worker, child = answer.value
    workers.close()
    for pid in (worker, child):
        stat = Path(f"/proc/{pid}/stat")
        assert not stat.exists() or stat.read_text().split()[2] == "Z"


def test_whoever_stops_listening_leaves_no_worker_at_work(workers: Workers) -> None:
    running = workers.run([("pid", 0), ("hang", 0)], 60.0)
    _, answer = next(iter(running))
    assert answer.value
    running.close()
    assert done(workers, [("same", 1)])[0].value == 1
