"""Literals are put together as the code would."""

import pytest

from llmasos.agent.provenance.splicing import spliced


@pytest.mark.parametrize(
    ("code", "made"),
    [
        ('x = "one" + "two"', "onetwo"),
        ("x = 'one' 'two'", "onetwo"),
        ("x = ('one'\n     'two')", "onetwo"),
        ("a=one; b=two; echo $a${b}", "onetwo"),
        ("a='one'\nb = a + 'two'", "onetwo"),
        ("a='one'\nb = f'{a}two'", "onetwo"),
        ('a=one; b="${a}two"; echo $b', "onetwo"),
        ("''.join(['one', 'two'])", "onetwo"),
        ("on''etw\"o\"", "onetwo"),
        ("one\\two", "onetwo"),
        ("echo 'one'two", "onetwo"),
    ],
)
def test_pieces_are_put_together(code: str, made: str) -> None:
    assert made in spliced(code)


@pytest.mark.parametrize("code", ["ls -la", "print('hello')", "x = 1\ny = 2\n", ""])
def test_lines_that_stay_as_they_are_are_left_out(code: str) -> None:
    assert spliced(code) == ""


def test_variables_do_not_grow_without_bound() -> None:
    code = (
        "a=" + "x" * 190 + "\n" + "".join(f"{chr(98 + n)}=${chr(97 + n)}${chr(97 + n)}\n" for n in range(20))
    )
    assert len(spliced(code + "echo " + "$a" * 20_000)) < 5_000_000
