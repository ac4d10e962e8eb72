"""Code without tests at its end, and tests without code that would be tested in its place."""

from __future__ import annotations

import pytest

from llmasos.tools.coding.tidying import MOST_TESTS, only_code, only_tests

CODE = "import math\n\n\ndef area(r):\n    return math.pi * r**2\n"


@pytest.mark.parametrize(
    "more",
    [
        "\n\n# Test cases\nassert area(0) == 0\nassert area(1) > 3\n",
        "\n\n# Tests\n\n\ndef test_area():\n    assert area(0) == 0\n",
        "\n\n@skip\n@slow(1)\ndef test_area():\n    assert area(0) == 0\n\n\nassert area(0) == 0\n",
    ],
)
def test_a_module_has_no_tests(more: str) -> None:
    assert only_code(CODE + more) == CODE


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        '"""Areas."""\n\nif __name__ == "__main__":\n    assert True\n',
        "x = 1; assert x\n",
        "assert True\n",
        "def (\n",
        "\n\n\n",
        'text = """\n\n\n\n\nassert this\n"""\n',
    ],
)
def test_what_is_code_stays(text: str) -> None:
    assert only_code(text) == text


def test_tests_are_of_the_module_and_each_is_there_once() -> None:
    beginning = '"""Tests."""\nimport math\nfrom circle import area\n\nSMALL = """\n\n\n\n\n"""\n\n\n'
    helper = "def near(a, b):\n    return abs(a - b) < 1\n\n\n"
    test = "def test_one():\n    assert near(area(1), math.pi)\n\n\n"
    group = "class TestArea:\n    def test_nothing(self):\n        assert area(0) == 0\n"
    own = "def area(r):\n    return 0\n\n\n"
    loose = "# Test cases\nassert area(1) == 0\nprint(area(1))\n\n\n"
    again = "# Once more\n\ndef test_one():\n    assert area(1)\n\n\n"
    made = only_tests(beginning + own + loose + helper + test + again + group, {"area"})
    assert made == beginning + helper + test + group


def test_there_are_so_many_tests_at_most() -> None:
    text = "\n\n".join(f"def test_{number}():\n    assert True\n" for number in range(2 * MOST_TESTS))
    made = only_tests(text, ())
    assert made.count("def test_") == MOST_TESTS and f"test_{MOST_TESTS}" not in made


def test_a_file_without_a_test_of_the_module_stays_as_it_is() -> None:
    assert only_tests("def area(r):\n    return 0\n", {"area"}) == "def area(r):\n    return 0\n"
