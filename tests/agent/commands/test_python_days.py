"""What an assistant does with Python all day is understood, so that nobody is asked about it."""

from pathlib import Path

import pytest

from llmasos.agent.commands import analyse_python


def _snippets(name: str) -> list[str]:
    return (Path(__file__).parent / "days" / name).read_text(encoding="utf-8").rstrip("\n").split("\n---\n")


@pytest.mark.parametrize("code", _snippets("looks.txt"))
def test_what_only_looks_is_not_asked_about(code: str) -> None:
    program = analyse_python(code)
    assert program.effects == {"reads"}, program.why
    assert not program.dynamic, program.why
    assert not program.hosts
    assert not [path for path in program.reads if path.startswith(("/", "~", ".."))]


@pytest.mark.parametrize("code", _snippets("keeps.txt"))
def test_what_is_kept_is_no_more_than_its_files(code: str) -> None:
    program = analyse_python(code)
    assert program.effects <= {"reads", "writes"}, program.why
    assert not program.dynamic, program.why
    assert list(program.writes) == code.splitlines()[0].split()[1:]
