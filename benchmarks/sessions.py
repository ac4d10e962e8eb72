"""A session of 1,000 turns, opened and gone on with, and words found in 1,000 sessions."""

from __future__ import annotations

import json
import secrets
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from sqlalchemy import insert
from sqlalchemy.orm import Session as Transaction

from benchmarks.figure import HEAD, Figure
from llmasos.agent import Services, Session, Sessions, search_sessions
from llmasos.agent._tables import EventRow, SessionRow, TurnRow
from llmasos.agent.search import note
from llmasos.agent.sessions import new_session_info
from llmasos.api import SessionRequest, TurnRequest
from llmasos.config import Settings
from llmasos.decisions import ArgumentOrigin, Decision
from llmasos.events import (
    ActionFinished,
    ActionStarted,
    AssistantText,
    CallDecided,
    Event,
    TurnFinished,
    TurnStarted,
    Usage,
)
from llmasos.ledger import MemoryLedger
from llmasos.migrations import upgrade
from llmasos.models import FakeEngine, Models
from llmasos.models.engines.port import LoadPlan
from llmasos.sandbox import FakeProvider
from llmasos.store import Store
from llmasos.tools import Registry, builtin_tools

TURNS, SESSIONS, TURNS_EACH = 1000, 1000, 10
_CALLS = 3
_WORDS = (
    *("river", "stone", "paper", "lamp", "window", "garden", "copper", "ladder", "violin", "harbour"),
    *("天气", "数据", "报告", "文件"),
)
_QUERIES = ("violin harbour", "copper", "数据", "turn 512", "nothing of the kind")
_TIMES = 20


async def measure() -> list[str]:
    """Return the lines of the section."""
    with tempfile.TemporaryDirectory(prefix="llmasos-bench-") as base:
        figures = [*await _resuming(Path(base) / "long"), *await _searching(Path(base) / "many")]
    return [
        f"A session of {TURNS:,} turns with {_CALLS} calls each and results of 2,000 characters, and",
        f"{SESSIONS:,} sessions of {TURNS_EACH} turns. Model and sandbox are fakes that take no time.",
        "",
        *HEAD,
        *(figure.markdown() for figure in figures),
    ]


async def _resuming(base: Path) -> list[Figure]:
    async with _kernel(base) as (sessions, store, folder):
        info = new_session_info(SessionRequest(folder=str(folder)))
        await store.run(lambda work: _fill(work, info.id, str(folder), TURNS))
        took: dict[str, list[float]] = {}
        for _ in range(5):
            began = time.perf_counter()
            session = await sessions.get(info.id)
            await session.info()
            steps: dict[str, Callable[[], Awaitable[object]]] = {
                "first": partial(_turn, session),
                "heard": partial(_heard, session),
                "second": partial(_turn, session),
                "events": session.stream.read,
                "tail": partial(_tail, session),
            }
            took.setdefault("opened", []).append(time.perf_counter() - began)
            for name, work in steps.items():
                took.setdefault(name, []).append(await _timed(work))
            await sessions.close()
    middle = {name: statistics.median(seconds) * 1000 for name, seconds in took.items()}
    heard = f"calls can be decided {middle['heard']:,.0f} ms later; the second turn {middle['second']:.0f} ms"
    return [
        _figure("open and resume it", took["opened"], 1.0),
        _figure("its first turn after that", took["first"], 1.0, heard),
        _figure("read all of its events", took["events"]),
        _figure("read those of its last 20 turns", took["tail"], 0.1),
    ]


async def _searching(base: Path) -> list[Figure]:
    async with _kernel(base) as (sessions, store, folder):
        for _ in range(SESSIONS):
            info = new_session_info(SessionRequest(folder=str(folder)))
            await store.run(partial(_fill, session=info.id, folder=str(folder), turns=TURNS_EACH))
        listed = [await _timed(partial(sessions.list, limit=100)) for _ in range(_TIMES)]
        searched = [
            await _timed(partial(search_sessions, store, query)) for query in _QUERIES for _ in range(_TIMES)
        ]
        mine = [info.id for info in await sessions.list(limit=100)]
        owned = [await _timed(partial(search_sessions, store, "copper", 20, mine)) for _ in range(_TIMES)]
        stream = (await sessions.get(mine[0])).stream
        event = ActionFinished(action="a", tool="t", status="ok", result=_said(0))
        stored = [await _timed(partial(stream.append, event)) for _ in range(_TIMES)]
        size = (base / "llmasos.db").stat().st_size / 2**20
    count = SESSIONS * TURNS_EACH * (3 + _CALLS * 3)
    beside = f"the slowest {max(searched) * 1000:.0f} ms; {count:,} events, {size:,.0f} MiB"
    return [
        _figure("search all of them", searched, 0.2, beside),
        _figure("search the 100 of one key", owned, 0.2),
        _figure("list the newest 100", listed, 0.1),
        _figure("store an event that can be found", stored),
    ]


def _figure(what: str, seconds: Sequence[float], bound: float | None = None, beside: str = "") -> Figure:
    middle = statistics.median(seconds) * 1000
    return Figure(what, middle, beside, bound * 1000 if bound else None, least=False, unit=" ms")


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def _turn(session: Session) -> None:
    await session.start(TurnRequest(text="and now?", approve="deny"))
    await session.wait()


@asynccontextmanager
async def _kernel(base: Path) -> AsyncIterator[tuple[Sessions, Store, Path]]:
    folder = base / "folder"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("one\n")
    settings = Settings(data_dir=base)
    store = Store(settings.database)
    upgrade(store)
    engine = FakeEngine(["Answer: done."] * 1000)

    async def load(plan: LoadPlan) -> FakeEngine:
        return engine

    async with Models(settings, loader=load) as models, anyio.create_task_group() as tasks:
        services = Services(
            settings=settings,
            store=store,
            models=models,
            provider=FakeProvider(),
            ledger=MemoryLedger(),
            registry=Registry(builtin_tools()),
        )
        sessions = Sessions(services, tasks)
        yield sessions, store, folder
        await sessions.close()
    store.close()


def _fill(work: Transaction, session: str, folder: str, turns: int) -> None:
    """Store a session as many turns leave it."""
    info = new_session_info(SessionRequest(folder=folder))
    usage = Usage(requests=_CALLS + 1, input_tokens=4000, output_tokens=200, seconds=9.0)
    total = Usage(requests=usage.requests * turns, input_tokens=4000 * turns, output_tokens=200 * turns)
    work.add(
        SessionRow(
            id=session,
            folder=folder,
            title="A long one",
            created=info.created,
            updated=info.updated,
            turns=turns,
            usage=total.model_dump_json(),
        )
    )
    work.flush()
    rows: list[dict[str, Any]] = []
    seq = 0
    for number in range(1, turns + 1):
        turn = f"t-{secrets.token_hex(6)}"
        messages: list[ModelMessage] = [ModelRequest([UserPromptPart(f"turn {number}: go on")])]
        events: list[Event] = [
            TurnStarted(turn=turn, text=f"turn {number}: go on", model="m", sandbox="fake")
        ]
        for call in range(_CALLS):
            action, arguments = f"a-{secrets.token_hex(6)}", {"path": f"dir/file{number}-{call}.txt"}
            result = _said(number * _CALLS + call)
            events += [
                CallDecided(
                    turn=turn,
                    action=action,
                    tool="read_file",
                    arguments=arguments,
                    decision=Decision(verdict="allow", rules=("view",), reason="Looks.", policy="p" * 64),
                    origins=(ArgumentOrigin(argument="path"),),
                    facts={"effects": ["reads"], "reads": [arguments["path"]], "writes": []},
                ),
                ActionStarted(turn=turn, action=action, tool="read_file", arguments=arguments),
                ActionFinished(turn=turn, action=action, tool="read_file", status="ok", result=result),
            ]
            messages += [
                ModelResponse([ToolCallPart("read_file", arguments, tool_call_id=action)]),
                ModelRequest([ToolReturnPart("read_file", result, tool_call_id=action)]),
            ]
        answer = f"The {_WORDS[number % len(_WORDS)]} is in its place."
        events += [
            AssistantText(turn=turn, text=answer),
            TurnFinished(turn=turn, status="done", answer=answer, usage=usage),
        ]
        messages.append(ModelResponse([TextPart(answer)]))
        work.add(
            TurnRow(
                id=turn,
                session=session,
                number=number,
                status="done",
                messages=ModelMessagesTypeAdapter.dump_json(messages).decode(),
                usage=usage.model_dump_json(),
            )
        )
        for event in events:
            seq += 1
            stored = event.model_copy(update={"session": session, "seq": seq})
            rows.append(
                {
                    "session": session,
                    "seq": seq,
                    "turn": turn,
                    "type": stored.type,
                    "body": stored.model_dump_json(),
                }
            )
            note(work, session, stored)
    work.execute(insert(EventRow), rows)


def _said(number: int) -> str:
    """Return a text of 2,000 characters, another one for each number."""
    words = [_WORDS[(number * 7 + at * at) % len(_WORDS)] for at in range(330)]
    return json.dumps({"number": number, "text": " ".join(words)}, ensure_ascii=False)[:2000]


async def _heard(session: Session) -> None:
    assert session._listening is not None
    await session._listening.heard()


async def _tail(session: Session) -> None:
    await session.stream.read(await session.stream.tail(20))
