"""Commands of one's own: Markdown files whose text becomes a request, as `/NAME ARGUMENTS`."""

from llmasos.shell.own.agreed import Agreement, agree, agreement, check_agreed
from llmasos.shell.own.command import OwnCommand, read
from llmasos.shell.own.errors import CommandError, NotAgreed
from llmasos.shell.own.expand import expand, words_of
from llmasos.shell.own.files import Found, Place, Source, check_name, find, named, new_file

__all__ = [
    "Agreement",
    "CommandError",
    "Found",
    "NotAgreed",
    "OwnCommand",
    "Place",
    "Source",
    "agree",
    "agreement",
    "check_agreed",
    "check_name",
    "expand",
    "find",
    "named",
    "new_file",
    "read",
    "words_of",
]
