"""The commands on what a session has changed, and on what runs in its sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from llmasos.display import Stream
from llmasos.shell import completing
from llmasos.shell.ask import in_session
from llmasos.shell.output import say, say_text, write_file
from llmasos.shell.words import commit_line, count, job_line, written

if TYPE_CHECKING:
    from llmasos.client import AsyncSession

Session = Annotated[
    str,
    typer.Argument(help="The session, as `llmasos sessions` lists it.", autocompletion=completing.sessions),
]
Changes = Annotated[
    list[str] | None, typer.Argument(help="Paths, or PATH:1,3-4 for some hunks of its diff; all by default.")
]
CommitId = Annotated[str, typer.Argument(help="A commit of `llmasos history`; by default the newest.")]


def diff(session: Session) -> None:
    """Show what a session would change in its folder."""
    from llmasos.shell.diffs import show_diff
    from llmasos.shell.render import make_console

    show_diff(make_console(), in_session(session, lambda it: it.diff()), whole=True)


def commit(
    session: Session,
    changes: Changes = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Merge what was changed in the folder meanwhile.")
    ] = False,
) -> None:
    """Write a session's changes to its folder."""
    from llmasos.shell.choices import parse_choices

    chosen = parse_choices(changes or [])
    say(written(in_session(session, lambda it: it.commit(chosen, merge=merge))))


def discard(session: Session, changes: Changes = None) -> None:
    """Drop a session's changes."""
    from llmasos.shell.choices import parse_choices

    chosen = parse_choices(changes or [])
    if not in_session(session, lambda it: it.diff()).changes:
        say("There was nothing to drop.")
        return
    in_session(session, lambda it: it.discard(chosen))
    say("Dropped.")


def merged(
    session: Session, path: Annotated[str, typer.Argument(help="A file changed on both sides.")]
) -> None:
    """Print a file that was changed on both sides, merged.

    The exit code is 1 when something clashes.
    """
    done = in_session(session, lambda it: it.merged(path))
    write_file(done.text)
    raise typer.Exit(1 if done.conflicts else 0)


def resolve(
    session: Session, path: Annotated[str, typer.Argument(help="A file changed on both sides.")]
) -> None:
    """Make a file's merged text the session's version.

    What clashes can then be edited there.
    """
    from llmasos.shell.words import resolved

    say(resolved(in_session(session, lambda it: it.resolve(path))))


def undo(session: Session, commit: CommitId = "") -> None:
    """Take a commit of a session back."""
    done = in_session(session, lambda it: it.undo(commit))
    say(f"Restored {count(len(done.paths), 'file')}.")


def redo(session: Session, commit: CommitId = "") -> None:
    """Write a commit that was undone again."""
    done = in_session(session, lambda it: it.redo(commit))
    say(f"Wrote {done.id} again: {count(len(done.paths), 'file')}.")


def history(session: Session) -> None:
    """List a session's commits, oldest first."""
    for one in in_session(session, lambda it: it.history()):
        say(commit_line(one))


def jobs(
    session: Session,
    job: Annotated[str, typer.Argument(help="Follow what this one prints, to its end.")] = "",
    stop: Annotated[bool, typer.Option("--stop", help="Stop it instead.")] = False,
) -> None:
    """List, follow or stop what runs in the background."""
    if stop and not job:
        raise typer.BadParameter("name the job that is to be stopped.", param_hint="JOB")
    if not job:
        for one in in_session(session, lambda it: it.jobs()):
            say(job_line(one))
    elif stop:
        say(job_line(in_session(session, lambda it: it.stop_job(job))))
    else:
        in_session(session, lambda it: follow_job(it, job))


async def follow_job(session: AsyncSession, job: str) -> None:
    """Print what a job has printed and goes on to print, until it ends."""
    offset, shown = 0, Stream()
    while True:
        piece = await session.job_output(job, offset=offset, wait=20.0)
        if piece.offset > offset:
            say(f"[… {piece.offset - offset:,} bytes are no longer kept]")
        say_text(piece.text, end="", of=shown)
        offset = piece.offset + len(piece.text.encode())
        if not piece.job.running and offset >= piece.job.written:
            say_text(shown.end(), end="")
            say(job_line(piece.job))
            return


COMMANDS = (diff, commit, discard, merged, resolve, undo, redo, history, jobs)
