"""Past sessions are found by words of any script, and no query is an expression."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmasos.agent import search_sessions
from llmasos.agent.search import excerpt
from llmasos.api import SearchHit
from llmasos.errors import ConfigError, SessionError
from llmasos.knowledge.words import indexed, phrases
from llmasos.store import Store
from tests.agent.conftest import MakeStage, Stage
from tests.agent.test_steering import Speaking

pytestmark = pytest.mark.anyio
WRITE = 'write_file(path="draft.txt")\n```\nThe zebra grazes.\n```'


async def found(it: Stage, query: str, **options: object) -> list[SearchHit]:
    return await search_sessions(it.store, query, **options)  # type: ignore[arg-type]


async def test_every_kind_of_text_is_found_where_it_was_said(stage: MakeStage) -> None:
    engine = Speaking(WRITE, 'read_file(path="notes.txt")', "Answer: The weather is glorious.", at=1)
    async with stage(engine=engine) as it:
        session = await it.session()
        engine.speak = lambda: session.steer("mind the walrus, too")
        end = await it.turn(session, "Refactor the parsers for me", approve="all")
        for query, kind, marked in (
            ("refactoring parser", "request", "Refactor"),
            ("walrus", "word", "walrus"),
            ("GLORIOUS", "answer", "glorious"),
            ("zebra", "call", "zebra"),
            ("write_file draft.txt", "call", "write"),
            ("天气", "result", "天气"),
            ("气", "result", "气"),
        ):
            [hit] = await found(it, query)
            assert (hit.session, hit.turn, hit.number, hit.kind) == (session.id, end.turn, 1, kind), query
            assert hit.title == "Refactor the parsers for me" and hit.folder == str(it.folder)
            mark = hit.marks[0]
            assert hit.snippet[mark.start : mark.end] == marked, query
        assert await found(it, "zebra elephant") == []


async def test_a_turn_is_named_once_and_the_owners_sessions_only(stage: MakeStage) -> None:
    async with stage(*["Answer: kumquat kumquat"] * 3) as it:
        sessions = [await it.session() for _ in range(3)]
        for session in sessions:
            await it.turn(session, "what is a kumquat?")
        assert {hit.session for hit in await found(it, "kumquat")} == {one.id for one in sessions}
        assert len(await found(it, "kumquat")) == 3 and len(await found(it, "kumquat", limit=2)) == 2
        [hit] = await found(it, "kumquat", sessions=[sessions[1].id])
        assert hit.session == sessions[1].id
        assert await found(it, "kumquat", sessions=[]) == []


async def test_what_a_fork_goes_on_from_is_found_once(stage: MakeStage) -> None:
    async with stage("Answer: one", "Answer: two") as it:
        session = await it.session()
        await it.turn(session, "quagga")
        fork = await it.sessions.fork(session.id)
        await it.turn(fork, "okapi")
        assert [hit.session for hit in await found(it, "quagga")] == [session.id]
        [hit] = await found(it, "okapi")
        assert (hit.session, hit.number) == (fork.id, 2)


@pytest.mark.parametrize(
    "query",
    [
        '"unbalanced',
        "a AND", "NOT", "a OR b", "NEAR(a b)", "words:a", "a*", "^a", "-a", "(a", "a' OR 1=1 --",
        "x" * 100_000, "a " * 5000, "\x00a", "{a b}: c", "a + b", "\ud800a", "好" * 3000, "😀 a",
    ],
)  # fmt: skip
async def test_no_query_is_an_expression(stage: MakeStage, query: str) -> None:
    async with stage("Answer: ok") as it:
        await it.turn(await it.session(), "hello")
        assert await found(it, query) == []


@pytest.mark.parametrize("query", ["", "  ", "?!", '"', "()", "_"])
async def test_a_query_without_words_says_so(stage: MakeStage, query: str) -> None:
    async with stage() as it:
        with pytest.raises(SessionError, match="no word to search for"):
            await found(it, query)


@given(st.text(max_size=200))
def test_phrases_are_quoted(query: str) -> None:
    for phrase in phrases(query):
        assert phrase.rstrip("*").count('"') == 2 and phrase[0] == '"'


@given(st.text(max_size=400), st.text(max_size=50))
def test_marks_stand_in_the_excerpt(text: str, query: str) -> None:
    shown, marks = excerpt(text, query)
    assert "\n" not in shown
    ends = [0, *(place for mark in marks for place in (mark.start, mark.end))]
    assert ends == sorted(ends) and ends[-1] <= len(shown)


def test_signs_are_found_alone_in_pairs_and_in_rows() -> None:
    assert indexed("今天天气很好 abc") == "今天 天天 天气 气很 很好 abc 好"
    assert phrases("天气很 好 foo_bar") == ['"天气 气很"', '"好"*', '"foo bar"']


async def test_other_databases_say_that_they_cannot(monkeypatch: pytest.MonkeyPatch, schema: object) -> None:
    store = Store(f"sqlite:///{schema}")
    monkeypatch.setattr(store, "sqlite", False)
    with pytest.raises(ConfigError, match="SQLite"):
        await search_sessions(store, "word")
    store.close()
