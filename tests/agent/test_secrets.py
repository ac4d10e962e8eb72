"""No secret leaves the sandbox: not in events, records, logs, or what the model reads."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text as sql

from llmasos.agent import audit_events
from llmasos.config import TurnLimits
from llmasos.errors import SandboxError, ToolError
from llmasos.events import ActionFinished, ActionOutput, Notice, TextDelta
from llmasos.secrets import VARIABLE, RedactingFormatter
from llmasos.tools import Capabilities, KernelContext, kernel_tool
from tests.agent.conftest import MakeStage, Stage
from tests.secrets.written import SECRETS, WRITTEN, leaks

_CALLS, _SECRETS = 6, 16
_PLACES = (
    *("result", "rows", "field", "output", "tool error", "sandbox error", "exception", "argument", "name"),
    *("file", "progress"),
)


@dataclass(frozen=True)
class Case:
    """Secrets in a place, each written in a way; output comes in pieces of a size."""

    place: str
    written: list[tuple[str, str]]
    size: int

    @property
    def text(self) -> str:
        return " | ".join(WRITTEN[form](secret) for form, secret in self.written)


CASES = st.builds(
    Case,
    place=st.sampled_from(_PLACES),
    written=st.lists(
        st.tuples(st.sampled_from([form for form in WRITTEN if form != "quoted mail"]), SECRETS),
        min_size=_SECRETS,
        max_size=_SECRETS,
    ),
    size=st.integers(1, 30),
)


def leaking(cases: list[Case]) -> Any:
    """Return a tool that takes a case's secret out of the sandbox in the case's way."""

    @kernel_tool(capabilities=Capabilities(reads=True))
    async def leak(ctx: KernelContext, case: int, text: str = "") -> Any:
        """Leak."""
        of = cases[case]
        match of.place:
            case "result":
                return f"It is {of.text}."
            case "rows":
                return [{"name": "a", "value": of.text}, {"name": "b", "value": 2}]
            case "field":
                return {"password": of.text, of.text: [of.text, None]}
            case "output":
                for at in range(0, len(of.text), of.size):
                    ctx.output("stdout", of.text[at : at + of.size])
                ctx.output("stderr", of.text)
                return "printed"
            case "tool error":
                raise ToolError(f"There is no {of.text}.", hint=f"Try {of.text}.")
            case "sandbox error":
                raise SandboxError(of.text)
            case "exception":
                raise ValueError(of.text)
            case "file":
                await ctx.sandbox.write(f"{case}.txt", f"a = {of.text}\n".encode())
                return (await ctx.sandbox.read(f"{case}.txt")).data.decode()
            case "name":
                raise KeyError(of.text)
            case "progress":
                ctx.progress(of.text, 1, 2)
                return "in progress"
        return f"got {text}"

    return leak


@asynccontextmanager
async def logged() -> AsyncIterator[io.StringIO]:
    """Collect what is logged, as the kernel's log has it."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger("llmasos").addHandler(handler)
    try:
        yield log
    finally:
        logging.getLogger("llmasos").removeHandler(handler)


def kept(stage: Stage, log: str) -> dict[str, str]:
    """Return everything that was kept, shown or read by the model, by where it was."""
    with stage.store.engine.connect() as connection:
        rows = [str(tuple(row)) for row in connection.execute(sql("select * from turns"))]
        rows += [str(tuple(row)) for row in connection.execute(sql("select * from sessions"))]
        bodies = [str(row[0]) for row in connection.execute(sql("select body from events"))]
    streams: dict[str, str] = {}
    for event in stage.events:
        if isinstance(event, ActionOutput):
            key = f"output of {event.action} {event.stream}"
            streams[key] = streams.get(key, "") + event.text
        elif isinstance(event, TextDelta):
            streams["text"] = streams.get("text", "") + event.text
    return {
        **streams,
        "events": "\n".join(bodies),
        "handed out": "\n".join(event.model_dump_json() for event in stage.events),
        "rows": "\n".join(rows),
        "ledger": "\n".join(f"{entry.tool} {json.dumps(entry.body)}" for entry in stage.ledger.entries),
        "model": "\n".join(turn.content for request in stage.engine.requests for turn in request.turns),
        "log": log,
    }


@pytest.mark.parametrize("known", ["canary", "known-secret"])
@settings(max_examples=3, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(cases=st.lists(CASES, min_size=_CALLS, max_size=_CALLS))
def test_no_secret_is_kept_or_shown(stage: MakeStage, known: str, cases: list[Case]) -> None:
    async def run() -> None:
        calls = [
            f"leak(case={number}, text={json.dumps(case.text if case.place == 'argument' else '')})"
            for number, case in enumerate(cases)
        ]
        limits = TurnLimits(steps=_CALLS + 5)
        async with (
            stage(*calls, "Answer: done", tools=(leaking(cases),), limits=limits) as it,
            logged() as log,
        ):
            session = await it.session()
            redactor = session.stream.redactor
            planted = [pair for case in cases for pair in case.written]
            redactor.learn({secret for _, secret in planted}, known)
            formatter = RedactingFormatter(logging.Formatter(), redactor)
            for handler in logging.getLogger("llmasos").handlers:
                handler.setFormatter(formatter)
            end = await it.turn(session, "leak it all", approve="all")
            assert (end.status, end.answer) == ("done", "done")
            assert len(it.of(ActionFinished)) == _CALLS
            for where, text in kept(it, log.getvalue()).items():
                found = [pair for pair in planted if leaks(pair[1], WRITTEN[pair[0]](pair[1]), text)]
                assert not found, f"{found} in {where}"

    anyio.run(run)


@pytest.mark.anyio
async def test_the_values_of_hidden_files_are_known(stage: MakeStage, folder: Path) -> None:
    (folder / ".env").write_text("DB_PASSWORD=hunter2-db\nDEBUG=true\n")
    (folder / "copy.txt").write_text("somebody copied hunter2-db here\n")
    async with stage('read_file(path="copy.txt")', "Answer: done") as it:
        session = await it.session()
        await it.turn(session, "what is in copy.txt? is it hunter2-db?")
        assert "[redacted:known-secret:" in it.of(ActionFinished)[0].result
        assert not [where for where, text in kept(it, "").items() if "hunter2" in text]
        (folder / ".env").write_text("DB_PASSWORD=sesame-open-5\n")
        (folder / "other.txt").write_text("sesame-open-5\ntrue\n")
        it.engine.script(['read_file(path="other.txt")', "Answer: done"])
        await it.turn(session, "what is in other.txt?")
        assert "true" in it.of(ActionFinished)[1].result
        assert not [where for where, text in kept(it, "").items() if "sesame" in text]


@pytest.mark.anyio
async def test_a_canary_that_is_taken_out_is_told_once(stage: MakeStage) -> None:
    calls = ['run_shell(command="env")', 'run_shell(command="env | base64")']
    async with stage(*calls, "Answer: done") as it:
        session = await it.session()
        await it.turn(session, "show the environment")
        result = it.of(ActionFinished)[0].result
        assert f"{VARIABLE}=[redacted:canary:" in result
        told = [event for event in it.of(Notice) if VARIABLE in event.text]
        assert [event.level for event in told] == ["warning"]
        assert [entry.body["canary"] for entry in it.ledger.entries if "canary" in entry.body] == ["found"]


@pytest.mark.anyio
async def test_what_is_recorded_agrees_with_what_is_told(stage: MakeStage) -> None:
    token = "ghp_" + "a1B2" * 9
    async with stage(f'run_shell(command="echo {token} # {token}")', "Answer: done") as it:
        session = await it.session()
        await it.turn(session, "say it")
        assert not [where for where, text in kept(it, "").items() if token in text]
        assert (await audit_events(it.store, it.ledger)).problems == ()


@pytest.mark.anyio
async def test_a_marker_does_not_take_a_secrets_place_in_a_file(stage: MakeStage, folder: Path) -> None:
    token = "ghp_" + "a1B2" * 9
    (folder / "main.py").write_text(f"TOKEN = '{token}'\nx = 1\n")
    marker = "[redacted:github-token:0a1b2c]"
    calls = (
        f'write_file(path="main.py")\n```\nTOKEN = "{marker}"\nx = 2\n```',
        'edit_file(path="main.py", old="x = 1", new="x = 2")',
    )
    async with stage(*calls, "Answer: done") as it:
        session = await it.session()
        await it.turn(session, "set x to 2 in main.py", approve="all")
        assert [event.status for event in it.of(ActionFinished)] == ["failed", "ok"]
        assert (
            await (await session.workbench.sandbox.open()).read("main.py")
        ).data.decode() == f"TOKEN = '{token}'\nx = 2\n"
