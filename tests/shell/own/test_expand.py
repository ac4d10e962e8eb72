"""What a command becomes with its arguments, and who has agreed to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from llmasos.shell.own import CommandError, NotAgreed, OwnCommand, agree, agreement, check_agreed, expand


def command(body: str, **fields: str) -> OwnCommand:
    return OwnCommand("x", Path("/project/x.md"), "project", body, body, "0" * 64, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "arguments", "request_"),
    [
        ("Say hello.", "", "Say hello."),
        ("Fix $ARGUMENTS now.", 'it\'s "this" and `that`', 'Fix it\'s "this" and `that` now.'),
        ("把$ARGUMENTS的错误改好", "主文件", "把主文件的错误改好"),
        ("From $2 to $1.", "'two words' b", "From b to two words."),
        ("From $2 to $1.", ["two words", "b"], "From b to two words."),
        ("All: $ARGUMENTS", ["two words", "b"], "All: two words b"),
        ("$1, and all: $ARGUMENTS", "a b  c", "a, and all: a b  c"),
        ("Look at @$1 and @src/a.py.", "b.py", "Look at @b.py and @src/a.py."),
        ("Compare with ${1:-main}.", "", "Compare with main."),
        ("Compare with ${1:-main}.", "dev", "Compare with dev."),
        ("Fix it. ${ARGUMENTS:-}", "", "Fix it. "),
        ("$1", "'$2 ${1} $ARGUMENTS'", "$2 ${1} $ARGUMENTS"),
        (r"awk '{print \$1}' costs $100, $PATH, $$, ${x}, $ARGUMENTSX", "", None),
        ("Say $1.", "'\n'", "Say \n."),
    ],
)
def test_arguments_come_where_they_belong(
    body: str, arguments: str | Sequence[str], request_: str | None
) -> None:
    wanted = body.replace("\\", "") if request_ is None else request_
    assert expand(command(body), arguments) == wanted


@pytest.mark.parametrize(
    ("body", "arguments", "said"),
    [
        ("Say $1.", "", "missing its argument 1"),
        ("Say $1 and $2.", "a", "missing its argument 2"),
        ("Say $ARGUMENTS.", "  ", "missing its arguments"),
        ("Say hello.", "a", "takes no arguments"),
        ("Say $1.", "a b", "takes 1 argument at most"),
        ("Say $2.", "a b c", "takes 2 arguments at most"),
        ("Say $1.", "it's", "a quote is not closed"),
        ("Say $1.", "''", "missing its argument 1"),
    ],
)
def test_what_does_not_fit_is_told_with_how_it_is_typed(body: str, arguments: str, said: str) -> None:
    with pytest.raises(CommandError, match=said) as caught:
        expand(command(body, argument_hint="<what>"), arguments)
    assert "/x" in caught.value.message
    assert "/x <what>" in caught.value.hint or "apostrophe" in caught.value.hint


def test_a_projects_command_is_agreed_to_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LLMASOS_DATA_DIR", str(tmp_path / "data"))
    first = command("Say hello.")
    assert agreement(first) == "new"
    with pytest.raises(NotAgreed, match="nobody has agreed"):
        check_agreed(first)
    agree(first)
    check_agreed(first)
    changed = replace(first, sha256="1" * 64)
    assert agreement(changed) == "changed"
    with pytest.raises(NotAgreed, match="has changed since"):
        check_agreed(changed)
    # The same text elsewhere is another project's.
    assert agreement(replace(first, file=Path("/other/x.md"))) == "new"
    assert agreement(replace(first, source="user", sha256="2" * 64)) == "agreed"
    next((tmp_path / "data" / "agreed-commands").iterdir()).write_bytes(b"\xff")
    assert agreement(first) == "new"
