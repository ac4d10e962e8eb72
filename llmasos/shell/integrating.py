"""`llmasos shell-integration`: a key and completions for a shell; `llmasos suggest` is behind the key."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmasos.errors import LLMasOSError
from llmasos.language import translated
from llmasos.shell.completing import completions, models
from llmasos.shell.output import say, say_json, say_text
from llmasos.shell.proofs import AsJson

if TYPE_CHECKING:
    from llmasos.api.suggesting import Suggestion
    from llmasos.client import AsyncClient

_SCRIPTS = Path(__file__).parent / "integration"
_KEY = re.compile(r"(alt|ctrl)-(.)", re.IGNORECASE)
_ESCAPED = "\\\"'"
# Those that terminals and shells need for themselves.
_TAKEN = {f"ctrl-{letter}" for letter in "cdhijmqsz"}
_LONGEST, _LONGEST_LAST = 2000, 8000


class Shell(StrEnum):
    """A shell that there is an integration for."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def shell_integration(
    shell: Annotated[Shell, typer.Argument(help="Your shell.")],
    key: Annotated[
        str,
        typer.Option(
            "--key", envvar="LLMASOS_SHELL_KEY", metavar="KEY", help="The key, such as alt-; or ctrl-g."
        ),
    ] = "alt-;",
) -> None:
    """Print what your shell needs to be read at its start.

    Then a key replaces a sentence on the line by a command line, which is not run, and commands, options and
    names are completed. For bash and zsh: eval "$(llmasos shell-integration bash)". For fish: llmasos
    shell-integration fish | source.
    """
    script = (_SCRIPTS / f"llmasos.{shell.value}").read_text(encoding="utf-8")
    say_text(script.replace("@KEY@", _key(key, shell)), end="")


def suggest(
    sentence: Annotated[str, typer.Argument(help="What a command line should do.")],
    shell: Annotated[Shell, typer.Option("--shell", help="The shell that it is for.")] = Shell.bash,
    last_command: Annotated[
        str,
        typer.Option("--last-command", envvar="LLMASOS_LAST_COMMAND", help="The command line before it."),
    ] = "",
    exit_code: Annotated[int, typer.Option("--exit-code", help="What that one ended with.")] = 0,
    model: Annotated[
        str, typer.Option("--model", "-m", help="A name of `llmasos models`.", autocompletion=models)
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Ask the model for one command line, and run nothing.

    The model is told the sentence, the shell, the operating system, and the last command with its exit code,
    of which secrets are taken out. What the line would change is told, too.
    """
    from llmasos.api.suggesting import SuggestRequest
    from llmasos.shell.ask import ask

    sentence = _text(sentence.strip())
    if not sentence:
        raise LLMasOSError("There is no sentence.", hint="Say what the command line should do.")
    if len(sentence) > _LONGEST:
        raise LLMasOSError(f"The sentence has more than {_LONGEST:,} characters.", hint="Say it shorter.")
    wanted = SuggestRequest(
        sentence=sentence,
        shell=shell.value,
        system=os.uname().sysname,
        last_command=_text(last_command.strip())[:_LONGEST_LAST],
        exit_code=exit_code,
        model=model,
    )

    async def suggested(client: AsyncClient) -> Suggestion:
        return await client.suggest(wanted)

    suggestion = ask(suggested)
    if as_json:
        say_json(suggestion.model_dump_json())
        return
    if suggestion.effects:
        say(f"llmasos: {'; '.join(map(translated, suggestion.effects))}", err=True)
    say(suggestion.command)


def complete(
    words: Annotated[
        list[str], typer.Argument(metavar="WORDS", help="What stands on the line; for bash the line.")
    ],
    shell: Annotated[Shell, typer.Option("--shell", help="Your shell.")] = Shell.bash,
) -> None:
    """Print what may come next on the line, a word in each line, for the shell's integration.

    Exit codes: 0 there is something, 1 there is nothing.
    """
    from click.shell_completion import split_arg_string

    if shell is Shell.bash:
        line = words[0]
        words = split_arg_string(line)[1:]
        if line[-1:].isspace() or not words:
            words.append("")
    *before, incomplete = words
    found = completions(before, incomplete)
    # Bash takes what stands behind these for a word of its own.
    known = re.match(r".*[:=]", incomplete) if shell is Shell.bash else None
    for value, about in found:
        shown = value[known.end() :] if known is not None else value
        say_text(shown if shell is Shell.bash or not about else f"{shown}\t{about}")
    raise typer.Exit(0 if found else 1)


def _text(text: str) -> str:
    """Return a text of the command line that can be sent, whatever bytes it was."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _key(name: str, shell: Shell) -> str:
    """Return a key as a shell's `bind` takes it.

    Raises:
        LLMasOSError: There is no such key, or it is needed otherwise.
    """
    found = _KEY.fullmatch(name)
    kind, char = (found[1].lower(), found[2]) if found else ("", "")
    allowed = char.isascii() and (char.islower() if kind == "ctrl" else char.isprintable() and char != " ")
    if not found or not allowed or f"{kind}-{char}" in _TAKEN or char in _ESCAPED:
        raise LLMasOSError(
            f"There is no key {name[:40]!r} that can be taken.",
            hint="It is alt- with a character, or ctrl- with a letter; ctrl-c and the like have their use.",
        )
    if shell is Shell.fish:
        return (r"\e" if kind == "alt" else r"\c") + (char if char.isalnum() else f"\\{char}")
    return f"\\e{char}" if kind == "alt" else f"\\C-{char}"
