"""The shell's commands on sessions, and on what is remembered over all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmasos.errors import LLMasOSError
from llmasos.language import translated
from llmasos.shell.command import Command, split
from llmasos.shell.output import say, say_wrapped
from llmasos.shell.words import count, pad

if TYPE_CHECKING:
    from llmasos.shell.repl import Shell


async def _sessions(shell: Shell, rest: str) -> None:
    if rest:
        await _go_on(shell, rest)
        return
    for info in await (await shell.client()).sessions():
        running = f" {translated('(running)')}" if info.running else ""
        when = info.updated.astimezone().strftime("%Y-%m-%d %H:%M")
        turns = pad(translated(count(info.turns, "turn")), 9, right=True)
        say(f"  {info.id}  {when}  {turns}  {info.title}{running}")
    say("Go on with one by /sessions ID.")


async def _go_on(shell: Shell, session: str) -> None:
    from llmasos.shell.turn import show_last_turns

    await shell.switch(session)
    say(f"Going on with {session} in {shell.folder}.")
    await show_last_turns(shell, await shell.session())


async def _rename(shell: Shell, rest: str) -> None:
    info = await (await shell.session()).rename(rest)
    say(f"{info.id} is called {info.title}.")


async def _fork(shell: Shell, rest: str) -> None:
    made = await (await shell.session()).fork(rest)
    await shell.switch(made.id)
    say(f"Going on in {made.id}; /sessions has the one it came from.")


async def _compact(shell: Shell, rest: str) -> None:
    from llmasos.shell.past import compacted_line

    say(compacted_line(await (await shell.session()).compact()))


async def _search(shell: Shell, rest: str) -> None:
    from llmasos.shell.past import HIT_INDENT, hit_lines

    if not rest:
        raise LLMasOSError("Say which words are looked for.", hint="As in /search quarterly report.")
    found = await (await shell.client()).search(rest)
    for line in hit_lines(found):
        say_wrapped(line, HIT_INDENT)
    if found:
        say("Go on with one by /sessions ID.")


async def _export(shell: Shell, rest: str) -> None:
    from llmasos.shell.export import write_session

    words = split(rest)
    if len(words) != 1:
        raise LLMasOSError("Name one file.", hint="As in /export talk.md, talk.html or talk.json.")
    try:
        say(await write_session(await shell.session(), str(shell.folder / words[0])))
    except LLMasOSError as error:
        raise LLMasOSError(error.message, hint="Name another file, as in /export talk.html.") from error


async def _remember(shell: Shell, rest: str) -> None:
    from llmasos.shell.memory import remembered_lines

    fact = await (await shell.client()).remember(rest, shell.folder)
    for line in remembered_lines(fact, str(shell.folder)):
        say(line)


async def _memory(shell: Shell, rest: str) -> None:
    from llmasos.shell.memory import fact_line

    client = await shell.client()
    match rest.split(maxsplit=2):
        case []:
            facts = await client.facts(shell.folder)
            for fact in facts:
                say(f"  {fact_line(fact, str(shell.folder))}")
            say(
                "/memory edit FACT TEXT changes one, /memory remove FACT forgets it."
                if facts
                else "Nothing is remembered. Add something: /remember TEXT."
            )
        case ["edit", fact, text]:
            say(fact_line(await client.change_fact(fact, text), str(shell.folder)))
        case ["edit", fact]:
            known = {one.id: one.text for one in await client.facts()}
            if fact not in known:
                raise LLMasOSError(f"There is no fact {fact!r}.", hint="/memory lists them.")
            edited = await shell.edit(f"{fact} = ", known[fact])
            if edited is not None:
                say(fact_line(await client.change_fact(fact, edited), str(shell.folder)))
        case ["remove", fact]:
            await client.forget(fact)
            say(f"Forgot {fact}.")
        case _:
            raise LLMasOSError(
                "/memory does not know that.",
                hint="/memory, /memory edit FACT [TEXT] or /memory remove FACT.",
            )


COMMANDS = {
    "/sessions": Command("/sessions [ID]", "list the sessions, or go on with one", _sessions),
    "/rename": Command("/rename TITLE", "give this session a name", _rename),
    "/fork": Command("/fork [TURN]", "go on in another session, from a turn of this one", _fork),
    "/compact": Command("/compact", "have the model told older turns in short", _compact),
    "/search": Command("/search WORDS", "find words in all past sessions", _search),
    "/export": Command("/export FILE", "write this session as .md, .html, .json or .jsonl", _export),
    "/remember": Command(
        "/remember TEXT", "have the model keep something in mind, in this folder", _remember
    ),
    "/memory": Command(
        "/memory [edit FACT | remove FACT]", "list, change or forget what is remembered", _memory
    ),
}
