"""A backend that only plays: it keeps to the protocol of runs' programs, and trains nothing.

`python -m tests.federated.played prepare|train FOLDER PARENT`. A plan's options say what it plays: `hang` has
it wait after the first round until it is stopped, or killed where it is `deaf`, and `once` not again;
`reject` names a client whose update never counts, `die` has it end after the first round without a word, and
`refuse` is why it cannot be prepared.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from llmasos.federated.events import (
    ClientJoined,
    Forecast,
    Participant,
    Refused,
    RoundEnded,
    RunEnded,
    RunEvent,
    RunStarted,
    UpdateRejected,
)
from llmasos.federated.folder import RunFolder
from llmasos.federated.plan import names_of
from llmasos.federated.port import Prepared
from llmasos.federated.schema import Schema

FORECAST = Forecast(seconds=65.0, bytes_down=2_000_000, bytes_up=1_000_000, parameters=250)
BACKENDS = {"local": "tests.federated.played"}
ROWS = 10


def prepare(folder: RunFolder) -> int:
    """Say what was agreed on, or why nothing was."""
    if refused := folder.plan.options.get("refuse"):
        sys.stdout.write(f"{refused}\nGive other data.\n")
        return 2
    plan = folder.plan.model_copy(update={"recipe": folder.plan.recipe.replace("auto", "mlp")})
    folder.plan = plan
    schema = Schema(
        kind="table", shape=(2,), columns=("a", "b"), classes=("no", "yes"), rows=(ROWS,) * plan.clients
    )
    told = Prepared(plan=plan, schema=schema, forecast=FORECAST)
    sys.stdout.write(told.model_dump_json(by_alias=True) + "\n")
    return 0


def train(folder: RunFolder) -> int:
    """Tell of rounds, each a little better than the one before."""
    plan, run, names = folder.plan, folder.id, names_of(folder.plan)
    done = sum(event.type == "round_ended" for event, _ in folder.told())
    tell(folder, RunStarted(run=run, plan=plan, forecast=FORECAST, after=done))
    for name in names:
        tell(folder, ClientJoined(run=run, client=name, samples=ROWS))
    rejected = plan.options.get("reject")
    for number in range(done + 1, plan.rounds + 1):
        refused = (Refused(client=rejected, reason="not finite"),) if rejected else ()
        for one in refused:
            tell(folder, UpdateRejected(run=run, round=number, client=one.client, reason=one.reason))
        accuracy = 1 - 0.5**number
        ended = RoundEnded(
            run=run,
            round=number,
            participants=tuple(
                Participant(client=name, samples=ROWS, update_sha256=f"{number:032x}{place:032x}")
                for place, name in enumerate(names)
                if name != rejected
            ),
            rejected=refused,
            loss=1 - accuracy,
            accuracy=accuracy,
            weights_sha256=f"{number:064x}",
            bytes_down=2000,
            bytes_up=1000,
            seconds=0.5,
        )
        tell(folder, ended)
        if plan.options.get("die"):
            return 1
        while plan.options.get("hang") == "deaf":
            signal.pause()
        if plan.options.get("hang") and not (done and plan.options["hang"] == "once"):
            signal.sigwait([signal.SIGTERM])
            tell(folder, RunEnded(run=run, state="stopped", rounds=number, reason="you stopped it"))
            return 0
        if plan.target and accuracy >= plan.target:
            break
    folder.results.mkdir(exist_ok=True)
    (folder.results / "model.safetensors").write_bytes(b"a model")
    state = "target" if plan.target and accuracy >= plan.target else "completed"
    tell(folder, RunEnded(run=run, state=state, rounds=number, weights_sha256=ended.weights_sha256))
    return 0


def tell(folder: RunFolder, event: RunEvent) -> None:
    """Keep an event, and say that there is one."""
    folder.tell(event)
    sys.stdout.write("\n")
    sys.stdout.flush()


def main(what: str, path: str, parent: str) -> int:
    """Play a run's program."""
    if os.getppid() != int(parent):
        return 1
    if what == "train":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    return {"prepare": prepare, "train": train}[what](RunFolder(Path(path)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
