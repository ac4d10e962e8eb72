"""Help, on a terminal of the usual width."""

from collections.abc import Iterator

import pytest
from click import ClickException
from click.testing import CliRunner as ClickRunner
from typer.testing import CliRunner

from llmasos.shell.cli import app, command_line
from llmasos.shell.help import usage_error_lines


def helps(*words: str) -> Iterator[tuple[str, str]]:
    """Yield the help of a command and of all commands below it."""
    # Click leaves two columns of a terminal free, but not in tests.
    shown = ClickRunner().invoke(command_line(), [*words, "--help"], terminal_width=78)
    assert shown.exit_code == 0
    yield " ".join(words), shown.output
    node = command_line()
    for word in words:
        node = node.commands[word]  # type: ignore[attr-defined]
    for name in getattr(node, "commands", ()):
        yield from helps(*words, name)


def test_every_command_says_what_it_does_in_whole_sentences() -> None:
    found = dict(helps())
    assert len(found) > 30
    for words, text in found.items():
        # `[NAME]...` is an argument that may be given several times.
        ends = [line for line in text.splitlines() if line.endswith("...") and "Usage" not in line]
        summaries = [line for line in ends if not line.endswith("]...")]
        assert not summaries, f"{words}: cut"
        options = [line for line in text.splitlines() if line.startswith("  -")]
        assert "list[" not in "".join(options), f"{words}: a type of Python's"
        assert len(text.splitlines()) > 4, f"{words}: says nothing"
        assert "\\" not in text, f"{words}: a backslash"
    assert "dealt to all, such as" in " ".join(found["federated run"].split())


@pytest.mark.parametrize("word", ["models", "keys", "ledger", "sandbox", "policy", "cluster", "commands"])
def test_a_command_that_is_not_there_is_refused(word: str) -> None:
    assert CliRunner().invoke(app, [word, "nothing"]).exit_code == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["runn"], "Error: No such command 'runn'. Did you mean 'run'?"),
        (["resme"], "Error: No such command 'resme'. (Did you mean one of: 'rename', 'resolve'?)"),
        (["shell-integration"], "  bash,"),
    ],
)
def test_what_is_wrong_is_said_once_and_plainly(words: list[str], told: str) -> None:
    with pytest.raises(ClickException) as wrong:
        command_line()(words, standalone_mode=False)
    assert told in list(usage_error_lines(wrong.value))
