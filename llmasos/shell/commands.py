"""The shell's slash commands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llmasos.errors import LLMasOSError
from llmasos.language import translated
from llmasos.shell import session_commands
from llmasos.shell.command import Command, split
from llmasos.shell.model_lines import list_lines
from llmasos.shell.modes import ACCESS, ASKING
from llmasos.shell.output import say, say_text, say_wrapped
from llmasos.shell.words import count, pad

if TYPE_CHECKING:
    from llmasos.shell.repl import Shell


_LOGGED, _MOST_LOGGED = 20, 1000
_USAGE = 42
_KEYS = (
    "Enter sends. Alt+Enter or Ctrl-J makes a new line, Ctrl-X Ctrl-E opens an editor.",
    "While something runs, what you send waits: Enter again says it to the running turn,",
    "and ↑ takes it back. Esc or Ctrl-C stops what runs. Ctrl-D leaves.",
    "@ completes a file, ! runs a command in the sandbox, Ctrl-R searches what you sent,",
    "Ctrl-O opens what was folded last.",
)


async def _help(shell: Shell, rest: str) -> None:
    from llmasos.shell.own.running import own_commands

    listed = {command.usage: translated(command.summary) for command in COMMANDS.values()}
    listed |= own_commands(shell)
    listed["/quit"] = translated("leave; the kernel goes on (also Ctrl-D)")
    for usage, summary in listed.items():
        say_wrapped(f"  {pad(usage, _USAGE)} {summary}", _USAGE + 3)
    for line in _KEYS:
        say_wrapped(f"  {translated(line)}", 2)


async def _model(shell: Shell, rest: str) -> None:
    client = await shell.client()
    if rest:
        session = await shell.session()
        checked = await session.use_model(rest)
        shell.options = replace(shell.options, model=rest)
        say(f"The next requests go to {rest}.")
        if not checked:
            say("Its endpoint does not list its models, so that nobody knows yet whether there is this one.")
        return
    for line in list_lines(await client.models()):
        say(f"  {line}")
    say("Choose one with /model NAME.")


async def _tools(shell: Shell, rest: str) -> None:
    for tool in await (await shell.client()).tools():
        say(f"  {tool.name:<14} {tool.description} [{', '.join(tool.capabilities)}]")


async def _diff(shell: Shell, rest: str) -> None:
    from llmasos.shell.diffs import show_diff
    from llmasos.shell.render import make_console

    diff = await (await shell.session()).diff()
    if not diff.changes:
        say("Nothing has changed.")
        return
    show_diff(make_console(), diff, whole=True)


async def _commit(shell: Shell, rest: str) -> None:
    from llmasos.shell.choices import parse_choices
    from llmasos.shell.render import print_error
    from llmasos.shell.words import written

    words = split(rest)
    merge = "--merge" in words
    chosen = parse_choices([word for word in words if word != "--merge"])
    session = await shell.session()
    try:
        done = await session.commit(chosen, merge=merge)
    except LLMasOSError as error:
        if error.code != "conflict" or merge:
            raise
        print_error(error)
        if not await shell.agreed("Merge both versions of these files? [y/N] "):
            say("Nothing was written.")
            return
        done = await session.commit(chosen, merge=True)
    shell.kept = ()
    say(f"{written(done, str(shell.folder))} /undo takes it back.")


async def _discard(shell: Shell, rest: str) -> None:
    from llmasos.shell.choices import parse_choices

    session, chosen = await shell.session(), parse_choices(split(rest))
    shell.kept = ()
    if not (await session.diff()).changes:
        say("There was nothing to drop.")
        return
    await session.discard(chosen)
    say("Dropped.")


async def _merged(shell: Shell, rest: str) -> None:
    names = split(rest)
    if len(names) != 1:
        raise LLMasOSError("Name one file.", hint="As in /merged notes.txt.")
    merged = await (await shell.session()).merged(names[0])
    say_text(merged.text, end="")
    say(
        f"{count(merged.conflicts, 'passage')} clash."
        if merged.conflicts
        else "Nothing clashes: /commit --merge."
    )


async def _resolve(shell: Shell, rest: str) -> None:
    from llmasos.shell.words import resolved

    names = split(rest)
    if len(names) != 1:
        raise LLMasOSError("Name one file.", hint="As in /resolve notes.txt.")
    say(resolved(await (await shell.session()).resolve(names[0])))


async def _undo(shell: Shell, rest: str) -> None:
    commit = await (await shell.session()).undo(rest)
    say(f"Restored {count(len(commit.paths), 'file')}. /redo writes {commit.id} again.")


async def _redo(shell: Shell, rest: str) -> None:
    commit = await (await shell.session()).redo(rest)
    say(f"Wrote {commit.id} again: {count(len(commit.paths), 'file')}.")


async def _history(shell: Shell, rest: str) -> None:
    from llmasos.shell.words import commit_line

    commits = await (await shell.session()).history()
    for commit in commits:
        say(f"  {commit_line(commit)}")
    if not commits:
        say("Nothing was committed in this session yet.")


async def _dry_run(shell: Shell, rest: str) -> None:
    if not rest:
        raise LLMasOSError("Say what is to be tried.", hint="As in /dry-run rename all files to lower case.")
    from llmasos.shell.screen import Line
    from llmasos.shell.turn import run_turn

    await run_turn(shell, Line(rest), dry_run=True)


async def _jobs(shell: Shell, rest: str) -> None:
    from llmasos.shell.changes import follow_job
    from llmasos.shell.words import job_line

    session = await shell.session()
    match split(rest):
        case []:
            jobs = await session.jobs()
            for job in jobs:
                say(f"  {job_line(job)}")
            say(
                "/jobs ID follows one, /jobs stop ID stops it." if jobs else "Nothing runs in the background."
            )
        case ["stop", job]:
            say(job_line(await session.stop_job(job)))
        case [job]:
            await follow_job(session, job)
        case _:
            raise LLMasOSError("/jobs takes no more than that.", hint="/jobs, /jobs ID or /jobs stop ID.")


async def _hosts(shell: Shell, rest: str) -> None:
    session = await shell.session()
    words = split(rest)
    info = await (session.allow(hosts=[] if words == ["none"] else words) if words else session.info())
    say(f"Code may reach: {', '.join(info.hosts)}." if info.hosts else "Code may reach no host.")


async def _grant(shell: Shell, rest: str) -> None:
    session = await shell.session()
    words = split(rest)
    info = await (session.allow(granted=[] if words == ["none"] else words) if words else session.info())
    say(f"Code may see: {', '.join(info.granted)}." if info.granted else "Code sees no hidden file.")


async def _mode(shell: Shell, rest: str) -> None:
    session = await shell.session()
    chosen: dict[str, str] = {}
    for word in split(rest):
        known = "access" if word in ACCESS else "asking" if word in ASKING else ""
        if not known:
            raise LLMasOSError(
                f"There is no mode {word!r}.", hint=f"{', '.join(ACCESS)}; and {', '.join(ASKING)}."
            )
        chosen[known] = word
    info = await (session.allow(**chosen) if chosen else session.info())
    say(f"Possible: {info.access or 'as set'}. A person is asked: {info.asking or 'as set'}.")


async def _state(shell: Shell, rest: str) -> None:
    session = await shell.session()
    match split(rest):
        case ["save", name]:
            await session.save_state(name)
            say(f"Python's variables are kept as {name}; /state restore {name} goes back to them.")
        case ["restore", name]:
            await session.restore_state(name)
            say(f"Python's variables are those of {name} again; files stay as they are.")
        case _:
            raise LLMasOSError("Say what to do.", hint="/state save NAME or /state restore NAME.")


async def _open(shell: Shell, rest: str) -> None:
    from llmasos.shell.pager import page

    if rest and not (rest.isascii() and rest.isdecimal()):
        raise LLMasOSError(f"{rest!r} is no number.", hint="/open 3, or /open for the newest.")
    fold = shell.folds.get(int(rest) if rest else None)
    if fold is None and not rest:
        hint = "Output of many lines is, and says how it is opened."
        raise LLMasOSError("Nothing was folded yet.", hint=hint)
    if fold is None:
        raise LLMasOSError("Nothing of that number is folded.", hint="It stands beside what was left out.")
    await page(shell.screen, fold)


async def _explain(shell: Shell, rest: str) -> None:
    from llmasos.shell.explanations import explanation_lines

    words = split(rest)
    if len(words) > 1:
        raise LLMasOSError(
            "/explain takes one action or turn.", hint="/explain alone explains the last turn."
        )
    what = words[0] if words else (await shell.session()).id
    for line in explanation_lines(await (await shell.client()).explain(what)):
        say(line)


async def _ledger(shell: Shell, rest: str) -> None:
    from llmasos.shell.records import record_line, record_lines, report_lines, status_lines

    client = await shell.client()
    match split(rest):
        case [] | ["verify"]:
            lines = report_lines(await client.verify())
        case ["status"]:
            lines = status_lines(await client.ledger())
        case ["log"]:
            session = (await shell.session()).id
            lines = map(record_line, await client.records(session, _LOGGED, bodies=True))
        case ["log", limit] if limit.isascii() and limit.isdecimal() and 0 < int(limit) <= _MOST_LOGGED:
            session = (await shell.session()).id
            lines = map(record_line, await client.records(session, int(limit), bodies=True))
        case ["show", what]:
            lines = record_lines(await client.show_record(what))
        case _:
            raise LLMasOSError(
                "/ledger does not know that.",
                hint="/ledger, /ledger status, /ledger log [NUMBER] or /ledger show ACTION; "
                "`llmasos ledger --help` has the rest.",
            )
    for line in lines:
        say(line)


COMMANDS = {
    "/help": Command("/help", "show this list", _help),
    "/model": Command("/model [NAME]", "list the models, or choose one", _model),
    "/tools": Command("/tools", "list the tools", _tools),
    "/diff": Command("/diff", "show what would change in the folder", _diff),
    "/commit": Command("/commit [--merge] [PATH[:HUNKS]…]", "write the changes to the folder", _commit),
    "/discard": Command("/discard [PATH[:HUNKS]…]", "drop the changes", _discard),
    "/merged": Command("/merged PATH", "show a file changed on both sides, merged", _merged),
    "/resolve": Command(
        "/resolve PATH", "take its merged text into the view, to be put right there", _resolve
    ),
    "/undo": Command("/undo [COMMIT]", "take a commit back", _undo),
    "/redo": Command("/redo [COMMIT]", "write an undone commit again", _redo),
    "/history": Command("/history", "list the commits", _history),
    "/dry-run": Command("/dry-run REQUEST", "show what a request would change, and drop it", _dry_run),
    "/jobs": Command("/jobs [ID | stop ID]", "list, follow or stop what runs in the background", _jobs),
    "/hosts": Command("/hosts [NAME… | none]", "show or choose which hosts code may reach", _hosts),
    "/grant": Command("/grant [GLOB… | none]", "show or choose which hidden files code may see", _grant),
    "/mode": Command("/mode [ACCESS] [ASKING]", "show or choose what is possible, and when to ask", _mode),
    "/state": Command("/state save|restore NAME", "keep Python's variables, or go back to them", _state),
    "/open": Command("/open [N]", "show all of an output that was folded", _open),
    **session_commands.COMMANDS,
    "/explain": Command(
        "/explain [ACTION | TURN]", "say why the last turn, or one action, was done", _explain
    ),
    "/ledger": Command(
        "/ledger [status | log [N] | show ACTION]", "verify what was recorded, or look at it", _ledger
    ),
}
