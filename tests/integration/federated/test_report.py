"""Reports of real runs: there when the end is told, also when somebody stops the run meanwhile."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from llmasos.federated.events import RunEnded, RunEvent
from llmasos.federated.folder import RunFolder
from llmasos.federated.report.comparison import Comparison
from llmasos.federated.weights import load_weights, weights_sha256
from tests.integration.federated.conftest import ROWS, Bench
from tests.integration.federated.test_local import processes

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

RESULTS = {"card.md", "comparison.json", "curves.png", "model.safetensors", "report.html"}


def comparison(folder: Path) -> Comparison:
    return Comparison.model_validate_json((folder / "results" / "comparison.json").read_text())


async def test_the_report_is_there_when_the_end_is_told(bench: Bench, hospitals: list[str]) -> None:
    name = await bench.prepared(hospitals, rounds=3)
    there: list[set[str]] = []

    def ended(event: RunEvent) -> bool:
        if isinstance(event, RunEnded):
            there.append({path.name for path in (bench.root / name / "results").iterdir()})
        return False

    told = await bench.told(name, ended)
    assert there == [RESULTS] and isinstance(told[-1], RunEnded)
    folder = bench.root / name
    made = comparison(folder)
    assert not made.missing and made.passes == 3 and made.accuracy is not None
    assert (made.rows, made.held) == (sum(ROWS.values()) * 8 // 10, sum(ROWS.values()) * 2 // 10)
    page = (folder / "results" / "report.html").read_text("utf-8")
    model = load_weights(folder / "results" / "model.safetensors")
    assert weights_sha256(model) in page and all(client in page for client in ROWS)
    exported = await bench.runs.results(name).export(bench.root.parent / "exported")
    assert {path.name for path in exported} > RESULTS


async def test_a_browser_shows_the_page_as_it_is(bench: Bench, hospitals: list[str]) -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "this needs Chromium: apt-get install chromium"
    name = await bench.prepared(hospitals, rounds=2)
    await bench.told(name)
    results = bench.root / name / "results"
    picture = bench.root.parent / "page.png"
    command = [
        *(program, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
        f"--user-data-dir={bench.root.parent / 'profile'}",
        *("--window-size=1200,2000", "--dump-dom", f"--screenshot={picture}"),
        (results / "report.html").as_uri(),
    ]
    done = await anyio.to_thread.run_sync(
        lambda: subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    )
    assert "CONSOLE" not in done.stderr, "the page breaks its own content policy"
    assert len(re.findall("<svg", done.stdout)) >= 2 and "north.csv" in done.stdout


async def test_a_run_that_is_stopped_while_it_is_compared_is_complete(
    bench: Bench, hospitals: list[str], faulty: None
) -> None:
    rows = sum(ROWS.values()) * 8 // 10
    name = await bench.prepared(
        hospitals, recipe="faulty", rounds=2, options={"fault": "hang", "rows": [rows]}
    )
    folder = bench.root / name
    os.mkfifo(folder / "hangs")
    run = await bench.runs.start(name)
    # The recipe hangs on all rows at once, which only the comparison has.
    await anyio.to_thread.run_sync((folder / "hangs").read_text)
    assert bench.runs.status(name).state == "running"
    await bench.runs.stop(name)
    assert run.status().state == "completed" and not processes(folder)
    assert comparison(folder).missing == "somebody stopped the run while it was made"
    assert {"card.md", "model.safetensors", "report.html"} <= {
        path.name for path in (folder / "results").iterdir()
    }


@pytest.mark.parametrize(("fault", "state"), [("hang", "stopped"), ("raise", "failed")])
async def test_stopped_and_failed_runs_have_a_report_too(
    bench: Bench, hospitals: list[str], faulty: None, fault: str, state: str
) -> None:
    name = await bench.prepared(hospitals, recipe="faulty", options={"fault": "", "rows": []})
    folder = RunFolder(bench.root / name)
    options = {"fault": fault, "rows": [48, 64, 80, 96]}
    folder.plan = folder.plan.model_copy(update={"options": options})
    os.mkfifo(folder.path / "hangs")
    run = await bench.runs.start(name)
    if fault == "hang":
        await anyio.to_thread.run_sync((folder.path / "hangs").read_text)
        await bench.runs.stop(name)
    async for _ in run.events():
        pass
    assert bench.runs.status(name).state == state
    assert f'data-state="{state}"' in (folder.results / "report.html").read_text("utf-8")
    assert comparison(folder.path).missing == f"the run {'was ' * (fault == 'hang')}{state}"
