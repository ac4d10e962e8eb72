"""`llmasos federated`, on a backend that plays."""

from __future__ import annotations

import json
import math
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from rich.console import Console

from llmasos.api.federated import RunInfo, RunPart, RunStep
from llmasos.errors import LLMasOSError
from llmasos.shell import federated
from llmasos.shell.curves import plot
from llmasos.shell.sources import sources
from llmasos.shell.watching import View, end_text, info_line
from tests.shell.conftest import Fakes, Run

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)


def files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a,b\n1,2\n")


def test_the_plan_is_shown_with_what_was_defaulted_and_then_each_round(run: Run, tmp_path: Path) -> None:
    files(tmp_path, "h/north.csv", "h/south.csv", "h/west.csv")
    done = run("federated", "run", "h", "--rounds", "20", "--mu", "0.1", "--target", "95%")
    lines = done.out.splitlines()
    assert done.code == 0, done.err
    assert lines[0] == (
        "Train north and 2 more: mlp, fedprox with mu 0.1, 20 rounds at most, until the accuracy is 0.95."
    )
    assert lines[1].startswith(
        "Clients: north.csv (10 rows), south.csv (10 rows), west.csv (10 rows); 3 of 3"
    )
    assert "recipe mlp, clients 3, strategy fedprox" in lines[2] and "rounds" not in lines[2]
    assert lines[3].startswith("Forecast: 1.1 min, 2.0 MB to clients and 1.0 MB from them")
    assert lines[4] == "round 1 of 20: accuracy 0.5000, loss 0.5000, 3 of 3 clients"
    assert "the target is reached; 5 of 20 rounds, accuracy 0.9688." in lines[9]
    run_id = lines[9].partition(":")[0]
    assert f"llmasos federated export {run_id}" in lines[10]

    made = run("federated", "export", run_id, "out")
    assert [Path(line).name for line in made.out.splitlines()] == [
        "events.jsonl",
        "model.safetensors",
        "plan.json",
    ]
    assert run("federated", "export", run_id, "out").code == 1
    assert "5/20  0.9688  fedprox" in run("federated", "list").out
    shown = run("federated", "status").out.splitlines()
    assert shown[0].startswith(f"run       {run_id}, the target is reached")
    assert json.loads(run("federated", "status", run_id, "--json").out)["accuracy"] == 0.96875
    log = run("ledger", "log", "--session", run_id).out.splitlines()
    assert len(log) == 7 and "began after 0 rounds" in log[0]
    assert "round 1, 3 updates, accuracy 0.5000" in log[1] and "target after 5 rounds" in log[-1]
    unread = run("federated", "verify", run_id)
    assert unread.code == 1 and "cannot be read" in unread.err
    again = run("federated", "resume", run_id)
    assert again.code == 1 and "is over" in again.err


def test_a_training_goes_on_unwatched_is_stopped_and_resumed(run: Run, fakes: Fakes) -> None:
    begun = run("federated", "run", "digits", "--option", "hang=true", "--rounds", "2", "--detach")
    run_id = begun.out.split("status ")[1].split()[0]
    assert "stop" in begun.out
    with fakes.client() as client, client.follow_run(run_id) as steps:
        numbers = []
        for step in steps:
            numbers.append(step.number)
            if step.type == "round_ended":
                break
    assert numbers == list(range(1, len(numbers) + 1))
    assert "under way already" in run("federated", "resume", run_id).err
    stopped = run("federated", "stop", run_id)
    assert "stopped; 1 of 2 rounds" in stopped.out and f"resume {run_id}" in stopped.out
    assert "not under way" in run("federated", "stop", run_id).err
    with fakes.client() as client, client.follow_run(run_id, after=numbers[-1]) as steps:
        assert [(step.number, step.type) for step in steps] == [(numbers[-1] + 1, "run_ended")]


def test_a_training_that_goes_on_tells_the_rounds_that_follow(run: Run, fakes: Fakes) -> None:
    begun = run("federated", "run", "digits", "--option", "hang=once", "--rounds", "3", "--detach")
    run_id = begun.out.split("status ")[1].split()[0]
    with fakes.client() as client, client.follow_run(run_id) as steps:
        next(step for step in steps if step.type == "round_ended")
    run("federated", "stop", run_id)
    resumed = run("federated", "resume", run_id).out
    assert "round 1 of 3" not in resumed and "round 2 of 3" in resumed and "round 3 of 3" in resumed


def test_a_training_is_removed_when_the_person_agrees(run: Run) -> None:
    run_id = run("federated", "run", "digits", "--rounds", "1", "--json").out.split('"id":"')[1].split('"')[0]
    refused = run("federated", "remove", run_id)
    assert refused.code == 1 and "--yes" in refused.err
    assert run("federated", "remove", run_id, "--yes").out == f"Removed {run_id}.\n"
    assert "There is no run" in run("federated", "status", run_id).err


def test_json_is_a_line_for_the_plan_each_step_and_the_end(run: Run) -> None:
    done = run("federated", "run", "iris", "--clients", "2", "--rounds", "1", "--json")
    plan, *steps, end = map(json.loads, done.out.splitlines())
    assert plan["rows"] == {"client-1": 10, "client-2": 10} and len(plan["plan_sha256"]) == 64
    assert [step["type"] for step in steps] == [
        "run_started",
        "client_joined",
        "client_joined",
        "round_ended",
        "run_ended",
    ]
    assert end["state"] == "completed"


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["none.csv"], "There is no file or folder none.csv", 1),
        (["*.csv"], "No file matches", 1),
        (["Digits.x"], "There is no data set 'Digits.x'", 1),
        (["digits", "--strategy", "best"], "The strategies are fedavg", 2),
        (["digits", "--target", "much"], "target: Input should be a valid number", 2),
        (["digits", "--backend", "moon"], "backend: Input should be 'local'", 2),
        (["digits", "--learning-rate", "0"], "learning rate: ", 2),
        (["digits", "--strategy", "krum", "--byzantine", "9"], "Krum bears 9", 1),
        (["digits", "--option", 'refuse="There is one class."'], "There is one class.", 1),
        (["digits", "--backend", "ray"], "no backend ray", 1),
        (["@region/north", "@region/south"], "no backend deployment", 1),
        (["@region/north", "digits"], "not all of one federation", 1),
        (["digits", "--option", "x"], "NAME=VALUE", 2),
    ],
)
def test_what_is_impossible_is_said_before_anything_starts(
    run: Run, arguments: list[str], said: str, code: int
) -> None:
    before = run("federated", "list", "--json").out
    done = run("federated", "run", *arguments)
    assert done.code == code and said in done.err and "Traceback" not in done.err
    assert run("federated", "list", "--json").out == before


def test_a_person_is_asked_and_what_they_refuse_is_dropped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run("federated", "list", "--json").out
    asked: list[str] = []

    def refuse(question: str) -> str:
        asked.append(question)
        return "n"

    monkeypatch.setattr(federated, "_attended", lambda: True)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", refuse)
    done = run("federated", "run", "digits", "--rounds", "1")
    assert done.code == 1 and "Nothing was done." in done.err and "Forecast" in done.out
    assert asked == ["Start it? [y/N] "] and run("federated", "list", "--json").out == before
    assert run("federated", "run", "digits", "--rounds", "1", "--yes").code == 0 and len(asked) == 1


def test_an_unknown_training_is_named(run: Run) -> None:
    for command in (["status"], ["stop"], ["resume"]):
        done = run("federated", *command, "f-none")
        assert done.code == 1 and "There is no run f-none" in done.err


def test_interrupting_the_watching_stops_nothing(
    run: Run, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        await anyio.sleep_forever()

    monkeypatch.setattr(federated, "_followed", interrupted)
    begun = run("federated", "run", "digits", "--option", "hang=true", "--detach")
    run_id = begun.out.split("status ")[1].split()[0]
    done = run("federated", "status", run_id, "-f")
    assert done.code == 130 and f"status {run_id} -f" in done.err and f"stop {run_id}" in done.err
    with fakes.client() as client:
        assert client.run(run_id).state == "running"
        client.stop_run(run_id)


def test_sources_are_absolute_and_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files(tmp_path, "h/b.csv", "h/a.csv", "pictures/cat/1.png", "rows.csv")
    (tmp_path / "link.csv").symlink_to("rows.csv")
    at = str(tmp_path)
    assert sources(["h", "h/*.csv"]) == [f"{at}/h/a.csv", f"{at}/h/b.csv"]
    assert sources(["pictures@8x8x1", "link.csv"]) == [f"{at}/pictures@8x8x1", f"{at}/rows.csv"]
    assert sources(["digits", "synthetic(1,1)"]) == ["digits", "synthetic(1,1)"]
    assert sources(["@region/north", "@region/south"]) == ["@region/north", "@region/south"]
    with pytest.raises(LLMasOSError, match="no file or folder"):
        sources(["h/none"])


INFO = RunInfo(
    id="f-1",
    name="\x1b[31mred",
    state="running",
    recipe="mlp",
    strategy="fedavg",
    clients=3,
    backend="local",
    rounds=4,
)


def step(type: str, **more: object) -> RunStep:
    return RunStep.model_validate({"number": 1, "type": type, "run": "f-1", "at": AT, **more})


def test_the_live_view_shows_rounds_curves_clients_and_bytes() -> None:
    view = View(INFO)
    for name in ("north", "south", "west"):
        view.add(step("client_joined", client=name, samples=10))
    for number in (1, 2):
        view.add(step("client_failed", client="west", reason="it died"))
        view.add(step("update_rejected", client="south\x1b[2J", reason="not finite"))
        view.add(
            step(
                "round_ended",
                round=number,
                accuracy=number / 4,
                loss=1 / number,
                failed=[RunPart(client="west", reason="it died")],
                bytes_down=1500,
                bytes_up=500,
                epsilon=1.5,
            )
        )
    console = Console(width=80, record=True, file=None, force_terminal=False)
    with console.capture() as shown:
        console.print(view)
    text = shown.get()
    assert "\x1b" not in text and "f-1" in text and "round 2 of 4" in text
    assert "accuracy 0.5000" in text and "loss 0.5000" in text and "⠉" in text
    assert "2 up, 1 down: west (it died)" in text and "(2×)" in text
    assert "3.0 kB to clients, 1.0 kB from them" in text and "epsilon 1.5 spent" in text
    assert "\x1b" not in info_line(INFO) and "under way" in end_text(INFO)
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows\udcff.csv").write_text("a,b\n1,2\n")
    with pytest.raises(LLMasOSError, match="is not UTF-8"):
        sources([str(tmp_path / "*.csv")])


def test_curves_bear_every_figure() -> None:
    assert plot([], 3, 1) == ["⠀⠀⠀"]
    assert plot([1.0], 2, 1) == ["⣀⣀"]
    rising = plot([float(n) for n in range(20)], 10, 2)
    assert rising[0][0] == "⠀" and rising[1][-1] == "⠀"
    assert plot([math.nan, math.inf], 2, 1) == ["⠀⠀"]
