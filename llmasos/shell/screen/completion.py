"""What the prompt completes: commands, their arguments, and files after an @."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from llmasos.display import display, display_name

_MOST = 50


class ShellCompleter(Completer):
    """Completes a line.

    Args:
        commands: Returns the commands with what they do.
        arguments: Returns what can follow a command, with what it is.
        files: Returns the paths of the folder's files.
    """

    def __init__(
        self,
        commands: Callable[[], Mapping[str, str]],
        arguments: Callable[[str], Mapping[str, str]],
        files: Callable[[], Sequence[str]],
    ) -> None:
        self._commands = commands
        self._arguments = arguments
        self._files = files

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield the completions at the cursor."""
        before = document.text_before_cursor
        word = before.rpartition(" ")[2].rpartition("\n")[2]
        if word.startswith("@"):
            for path in best(word[1:], self._files()):
                # A name with spaces would end at the first.
                text = f'@"{path}"' if " " in path else f"@{path}"
                yield Completion(text, -len(word), display=display_name(path))
        elif before.startswith("/") and "\n" not in before:
            command, space, _ = before.partition(" ")
            known = self._arguments(command) if space else self._commands()
            for name in best(word, list(known)):
                yield Completion(name, -len(word), display_meta=display(known[name]))


def best(wanted: str, names: Sequence[str]) -> list[str]:
    """Return the names that have the wanted letters in this order, the best first.

    Args:
        wanted: The letters; those of words that stand together count more.
        names: The names.
    """
    if not wanted:
        return list(names[:_MOST])
    scored = [
        (score, len(name), name) for name in names if (score := _score(wanted.lower(), name)) is not None
    ]
    return [name for _, _, name in sorted(scored)[:_MOST]]


def _score(wanted: str, name: str) -> int | None:
    """Return how far a name is from what is wanted; None when it is something else."""
    lower = name.lower()
    if lower.startswith(wanted):
        return 0
    last = lower.rpartition("/")[2]
    if last.startswith(wanted):
        return 1
    if (at := lower.find(wanted)) >= 0:
        return 2 + min(at, 50)
    place, gaps = -1, 0
    for letter in wanted:
        found = lower.find(letter, place + 1)
        if found < 0:
            return None
        gaps += found - place - 1
        place = found
    return 100 + gaps
