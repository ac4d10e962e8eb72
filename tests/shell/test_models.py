"""`llmasos models`, from the command line down to a fake engine and a hub of the test's own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmasos.api.models import BenchReport, ModelDetails, ModelProgress, ModelsTop
from llmasos.client._names import model_name
from llmasos.models.bench.cases import HELD_OUT, TUNING, TWO_STEPS
from llmasos.shell.model_lines import detail_lines, progress_text, report_lines, top_lines
from tests.models.catalog.files import gguf, write_folder
from tests.models.catalog.hub_server import COMMIT, REPOSITORY, HubServer
from tests.shell.conftest import Fakes, Run


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer({"tiny-q8_0.gguf": gguf(), "README.md": b"#"}).running() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def test_models_are_listed_with_and_without_the_word(run: Run) -> None:
    lines = run("models").out.splitlines()
    assert lines == run("models", "list").out.splitlines()
    assert lines[0].endswith("(the default)") and "default" not in "".join(lines[1:])
    assert lines[0].startswith("qwen2.5-coder-1.5b") and "loaded" in lines[0] and "1,117 MB" in lines[0]
    first = json.loads(run("models", "list", "--json").out.splitlines()[0])
    assert (first["name"], first["state"], first["default"]) == ("qwen2.5-coder-1.5b", "resident", True)
    assert first["licence"] == "Apache-2.0"


def test_a_model_is_pulled_listed_and_shown(run: Run, hub: HubServer) -> None:
    before = run("models", "show", REPOSITORY).out
    assert "not fetched yet" in before and "apache-2.0" in before and "tiny-q8_0.gguf" in before
    done = run("models", "pull", REPOSITORY)
    assert done.code == 0 and done.out.startswith(f"{REPOSITORY} is here: ")
    assert Path(done.out.strip().split(": ")[1]).read_bytes() == gguf()
    assert any(line.startswith(REPOSITORY) and "on disk" in line for line in run("models").out.splitlines())
    details = ModelDetails.model_validate_json(run("models", "show", REPOSITORY, "--json").out)
    assert details.source == f"{REPOSITORY} at {COMMIT}" and details.sha256 and details.pulled
    assert (details.format, details.family, details.drive) == ("gguf", "qwen2.5", "calls")
    assert details.memory is not None and details.memory.total > 0 and details.fits
    shown = run("models", "show", REPOSITORY).out
    for said in ("sha256", "512 tokens; 512 in view", "call syntax under a grammar", "weights", "pulled"):
        assert said in shown


def test_a_path_is_read_in_the_folder_where_it_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.gguf").write_bytes(gguf())
    assert model_name("./none.gguf") == str(tmp_path / "none.gguf")
    assert model_name("own.gguf") == str(tmp_path / "own.gguf")
    for name in ("", "qwen2.5-coder-1.5b", "org/name", "org/name:Q4_K_M", "org/name:file.gguf"):
        assert model_name(name) == name


def test_a_terminal_sees_how_far_a_pull_is(run: Run, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    hub.commit = "e" * 40
    done = run("models", "pull", f"{REPOSITORY}@v1")
    assert done.code == 0 and f"Fetching {REPOSITORY}@v1" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pull", "nothing"], "no model named 'nothing'"),
        (["pull", "example/nothing"], "no model example/nothing"),
        (["pull", f"{REPOSITORY}:big.gguf"], "no GGUF file 'big.gguf'"),
        (["show", "nothing"], "no model named 'nothing'"),
        (["show", "/nowhere/x.gguf"], "does not exist"),
        (["load", "nothing"], "no model named 'nothing'"),
        (["unload", "nothing"], "no model named 'nothing'"),
        (["pin", "nothing"], "no model named 'nothing'"),
        (["unpin", "nothing"], "no model named 'nothing'"),
        (["bench", "nothing"], "no model named 'nothing'"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_next_step(
    run: Run, hub: HubServer, arguments: list[str], said: str
) -> None:
    done = run("models", *arguments)
    assert done.code == 1 and said in done.err and done.out == ""
    assert done.err.count("\n") >= 2, "the next step is missing"
    assert "Traceback" not in done.err


def test_a_folder_and_a_file_of_a_persons_own_are_shown(run: Run, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "mine")
    shown = ModelDetails.model_validate_json(run("models", "show", str(folder), "--json").out)
    assert (shown.state, shown.format, shown.family, shown.source) == (
        "cached",
        "safetensors",
        "qwen2.5",
        "a person's own",
    )
    (folder / "model.safetensors").write_bytes(b"cut")
    done = run("models", "show", str(folder))
    assert done.code == 1 and "model.safetensors is cut" in done.err


def test_models_are_pinned_unloaded_and_loaded_again(run: Run) -> None:
    def share() -> dict[str, object]:
        top = json.loads(run("models", "top", "--json").out)
        found: dict[str, object] = next(one for one in top["models"] if one["name"] == "qwen2.5-coder-1.5b")
        return found

    assert run("models", "pin").out == "Pinned.\n" and share()["pinned"] is True
    assert "qwen2.5-coder-1.5b *" in run("models", "top").out
    assert run("models", "unpin").out == "Let go.\n" and share()["pinned"] is False
    assert run("models", "unload").code == 0 and share()["state"] != "resident"
    assert "MB" not in run("models", "top").out.splitlines()[-1], "what is not loaded takes no memory"
    for again in ("unload", "unpin"):
        done = run("models", again)
        assert done.code == 1 and "qwen2.5-coder-1.5b is not loaded" in done.err and done.out == ""
    assert run("models", "load").out == "qwen2.5-coder-1.5b is loaded.\n" and share()["state"] == "resident"


def test_a_model_is_measured_with_the_projects_own_requests(run: Run, fakes: Fakes) -> None:
    right = f'read_file(path="{"config.yaml"}")'
    fakes.engine.script(["Hello.", "Once upon a time.", "Answer: x.", "Answer: y.", right, "Answer: z."])
    report = BenchReport.model_validate_json(run("models", "bench", "--limit", "1", "--json").out)
    assert {row.kind: row.requests for row in report.rows} == {"tuning": 1, "held out": 1, "results": 1}
    assert report.verdict and report.model == "qwen2.5-coder-1.5b"
    asked = [request.turns[-1].content for request in fakes.engine.requests]
    for case in (TUNING[0], HELD_OUT[0]):
        assert any(case.request in content for content in asked)
    assert any(TWO_STEPS[0].result in content for content in asked)


def test_top_shows_what_a_newer_kernel_knows_and_nothing_of_control() -> None:
    top = ModelsTop.model_validate(
        {
            "devices": [{"name": "cuda:0", "budget": 80e9, "used": 20e9, "free": 55e9, "temperature": 60}],
            "host": {"name": "host", "budget": 10e9, "used": 1e9},
            "models": [{"name": "a\x1b[2J", "state": "resident", "bytes": 2e10, "slots": 16, "running": 3}],
            "sessions": [{"id": "s-1", "band": "interactive", "share": 0.75, "running": 1, "waiting": 2}],
            "remotes": [
                {
                    "name": "far\x1b[2J",
                    "endpoints": [
                        {
                            "url": "http://h:1/v1",
                            "state": "healthy",
                            "requests": 12,
                            "tokens": 3400,
                            "cost": 0.5,
                        },
                        {"url": "http://h:2/v1", "state": "ejected", "reason": "It is down.\x1b"},
                        {"url": "http://h:3/v1", "state": "healthy", "reason": "http://h:3/v1 is cut."},
                    ],
                }
            ],
            "draining": True,
        }
    )
    text = "\n".join(top_lines(top))
    for said in (
        "cuda:0: 20.0 GB of 80.0 GB, 55.0 GB free",
        "3/16",
        "75%",
        "s-1",
        "stopping",
        "host",
        "h:2/v1: It is down.",
        "healthy        0     12     3,400     0.50  http://h:1/v1",
        "failing        0      0         0        -  http://h:3/v1 is cut.",
    ):
        assert said in text
    assert "\x1b" not in text


def test_details_leave_out_what_is_not_known() -> None:
    text = "\n".join(detail_lines(ModelDetails(name="big", title="http://h/v1", state="remote")))
    assert text == "big: http://h/v1, an endpoint"


def test_progress_is_shown_in_its_unit() -> None:
    assert progress_text(ModelProgress(what="x", done=5e6, total=1e7, unit="bytes")) == "5 MB of 10 MB"
    assert progress_text(ModelProgress(what="x", done=3, total=9, unit="requests")) == "3 of 9 requests"
    assert progress_text(ModelProgress(what="x")) == ""


def test_a_report_is_a_table_with_a_verdict() -> None:
    report = BenchReport.model_validate(
        {
            "model": "m",
            "rows": [
                {"kind": "tuning", "requests": 4, "tool": 3, "valid": 4, "arguments": 2, "seconds": 1.5}
            ],
            "read_per_second": 63.4,
            "written_per_second": 11.94,
            "first_token": 0.5,
            "cpu_seconds": 3.2,
            "misses": ["'x': answer ''"],
            "verdict": "Do not.",
        }
    )
    lines = list(report_lines(report))
    assert lines[0].startswith("Wrong") and lines[1].strip() == "'x': answer ''" and lines[-1] == "Do not."
    assert lines[2].split()[-7:] == ["requests", "right", "tool", "usable", "all", "right", "seconds"]
    assert lines[3].split() == ["open", "requests", "4", "75%", "100%", "50%", "1.5"]
    assert len(lines[2]) == len(lines[3])
    assert "Reads 63 and writes 11.9 tokens" in lines[4]
