"""Sessions on the wire: what they may reach and see, their background jobs, and their kept states."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from llmasos.api.wire import Wire
from llmasos.events import Usage


class SessionRequest(Wire):
    """A new session on a folder.

    Args:
        folder: The folder.
        model: The model, or empty for the default.
        in_place: Work on the folder itself, with nothing to discard or undo.
        hosts: Hosts that code may reach, beside those of the settings.
        granted: Hidden files that code may see, as globs, beside those of the settings.
        access: What is possible at all; empty for what the settings say.
        asking: When a person is asked; empty for what the settings say.
    """

    folder: str
    model: str = ""
    in_place: bool = False
    hosts: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    access: Literal["", "read-only", "workspace", "open"] = ""
    asking: Literal["", "always", "on-risk", "never"] = ""


class SessionInfo(Wire):
    """A session as lists show it.

    A fork has the turns of its `parent` up to `parent_turn` before its own; `usage` is that of its own.
    """

    id: str
    folder: str
    title: str = ""
    model: str = ""
    created: datetime
    updated: datetime
    turns: int = 0
    running: bool = False
    usage: Usage = Usage()
    in_place: bool = False
    hosts: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    access: Literal["", "read-only", "workspace", "open"] = ""
    asking: Literal["", "always", "on-risk", "never"] = ""
    parent: str = ""
    parent_turn: int = 0


class TitleRequest(Wire):
    """What a session is called in lists."""

    title: str


class ForkRequest(Wire):
    """The turn after which another session goes on, by its id or number; the newest that has ended."""

    turn: str = ""


class CompactRequest(Wire):
    """How many of the newest turns the model is still told whole."""

    keep: int = Field(2, ge=0)


class Compacted(Wire):
    """What became of a conversation.

    Args:
        turns: How many turns are told in short now that were told whole before.
        characters: How long that is, with those that were told in short already.
        results: Of how many calls the results are left out.
    """

    turns: int = 0
    characters: int = 0
    results: int = 0


SearchKind = Literal["request", "word", "answer", "call", "result"]


class SearchQuery(Wire):
    """Which words are looked for, and how many places are wanted."""

    query: str
    limit: int = Field(20, ge=1, le=200)


class Mark(Wire):
    """Where something begins and ends in a text, in characters."""

    start: int
    end: int


class SearchHit(Wire):
    """A place in a past session where words stand.

    Args:
        number: The number of the turn.
        seq: The number of the event.
        kind: What the text is: a request, another word of the person, an answer, a call or its result.
        snippet: What stands around the words, on one line.
        marks: Where the words stand in it.
    """

    session: str
    title: str
    folder: str
    turn: str
    number: int
    seq: int
    at: datetime
    kind: SearchKind
    snippet: str
    marks: tuple[Mark, ...] = ()


class AccessRequest(Wire):
    """What a session's code may reach and see, and when a person is asked, from now on.

    None leaves it as it is.
    """

    hosts: tuple[str, ...] | None = None
    granted: tuple[str, ...] | None = None
    access: Literal["read-only", "workspace", "open"] | None = None
    asking: Literal["always", "on-risk", "never"] | None = None


class ModelChoice(Wire):
    """The model that a session's next turns ask."""

    model: str


class ChosenModel(SessionInfo):
    """The session once its model was chosen."""

    checked: bool = Field(
        True, description="Whether the model is there; false where its endpoint does not list its models."
    )


class JobInfo(Wire):
    """A command in the background of a session's sandbox."""

    id: str
    command: str
    running: bool
    exit_code: int | None = None
    seconds: float = 0.0
    written: int = 0


class JobOutput(Wire):
    """What a job has printed from a byte on, which may be later than the one asked for."""

    text: str
    offset: int
    job: JobInfo


class JobPlace(Wire):
    """From which byte on a job's output is wanted, and how many seconds to wait for more."""

    offset: int = Field(0, ge=0)
    wait: float = Field(0.0, ge=0, le=60)


class StateRequest(Wire):
    """A name under which the Python session's variables are kept or found again."""

    name: str = Field(min_length=1, max_length=100)
