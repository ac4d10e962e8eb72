"""Code that is written, tested in a real sandbox, and repaired, with a model that says what it is told to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llmasos.config import Settings
from llmasos.errors import ToolError
from llmasos.sandbox import JailProvider, Workspace
from llmasos.sandbox.image import sandbox_tree
from llmasos.testing.kernel import FakeKernel
from llmasos.tools.coding import write_code

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

GOOD = "```python\ndef double(n):\n    return 2 * n\n```"
BAD = "```python\ndef double(n):\n    return n + 2\n```"
TESTS = """```python
from double import double


def test_two():
    assert double(2) == 4


def test_five():
    assert double(5) == 10
```"""


class Coder:
    """A workspace, and a model that answers in turn."""

    def __init__(self, kernel: FakeKernel, answers: list[str]) -> None:
        self.kernel = kernel
        self.answers = answers

    async def read(self, path: str) -> str:
        return (await self.kernel.sandbox.read(path)).data.decode()


@pytest.fixture
async def coder(tmp_path: Path) -> AsyncIterator[Coder]:
    settings = Settings(data_dir=tmp_path / "data", runtime_dir=tmp_path / "run", sandbox_pool=0)
    provider = JailProvider(settings, tree=sandbox_tree(Settings()))
    (tmp_path / "folder").mkdir()
    workspace = Workspace.open(tmp_path / "folder", tmp_path / "state")
    sandbox = await provider.open(await workspace.view(), session="s")
    answers: list[str] = []
    kernel = FakeKernel(
        tmp_path / "folder",
        tmp_path / "data",
        lambda _, text: answers.pop(0),
        sandbox=sandbox,
        settings=settings,
    )
    kernel.seconds = 10.0
    yield Coder(kernel, answers)
    await sandbox.close()
    await provider.close()


async def test_code_is_written_and_its_tests_run(coder: Coder) -> None:
    coder.answers += [GOOD, TESTS]
    told = await coder.kernel.run(write_code, path="double.py", task="A function double(n).")
    assert told == "Wrote double.py; its tests in test_double.py pass, 2 of 2."
    assert "def test_five" in await coder.read("test_double.py")
    listing = await coder.kernel.sandbox.list(".")
    assert sorted(entry.path for entry in listing.entries) == ["double.py", "test_double.py"], (
        "no byte code is left"
    )


async def test_code_that_fails_is_repaired(coder: Coder) -> None:
    coder.answers += [BAD, TESTS, GOOD]
    told = await coder.kernel.run(write_code, path="double.py", task="A function double(n).")
    assert told == "Wrote double.py; its tests in test_double.py pass, 2 of 2. The code was repaired 1 time."
    assert "double(5) == 10" in coder.kernel.asked[-1][1] and "AssertionError" in coder.kernel.asked[-1][1]


async def test_a_new_module_has_no_tests_in_it_and_is_not_tested_by_itself(coder: Coder) -> None:
    own = "\n\nassert double(2) == 5\n\n\ndef test_own():\n    assert double(1) == 2\n```"
    tests = TESTS.replace("from double import double\n", "def double(n):\n    return 0\n")
    coder.answers += [BAD.replace("\n```", own), tests, GOOD.replace("\n```", own)]
    told = await coder.kernel.run(write_code, path="double.py", task="A function double(n).")
    assert told == "Wrote double.py; its tests in test_double.py pass, 2 of 2. The code was repaired 1 time."
    assert await coder.read("double.py") == "def double(n):\n    return 2 * n\n"
    assert (await coder.read("test_double.py")).startswith("from double import double\n")


async def test_what_does_not_pass_is_told_and_the_best_code_stays(coder: Coder) -> None:
    worse = BAD.replace("n + 2", "0")
    coder.answers += [BAD, TESTS, worse, BAD.replace("n + 2", "n + 3"), worse, TESTS, worse]
    told = await coder.kernel.run(write_code, path="double.py", task="A function double(n).")
    assert told.startswith(
        "Wrote double.py, but 1 of 2 tests in test_double.py do not pass. The code was repaired"
    )
    assert "- test_double.py::test_five: AssertionError" in told
    assert "Either may be wrong, the code or the test" in told
    assert "n + 2" in await coder.read("double.py")


async def test_tests_that_contradict_the_specification_are_written_anew(coder: Coder) -> None:
    wrong = TESTS.replace("== 10", "== 11")
    coder.answers += [GOOD, wrong, GOOD, TESTS]
    told = await coder.kernel.run(write_code, path="double.py", task="A function double(n).")
    assert told.startswith("Wrote double.py; its tests in test_double.py pass, 2 of 2.")
    assert "written anew by the specification" in told


async def test_tests_that_are_there_are_never_changed(coder: Coder) -> None:
    mine = "import unittest\nfrom src.double import double\n\n\nclass T(unittest.TestCase):\n" + (
        "    def test_it(self):\n        self.assertEqual(double(1), 5)\n"
    )
    await coder.kernel.sandbox.write("tests/test_double.py", mine.encode())
    await coder.kernel.sandbox.write("src/double.py", b"def double(n):\n    return 0\n")
    coder.answers += [GOOD, GOOD]
    told = await coder.kernel.run(write_code, path="src/double.py", task="Mend double(n).")
    assert "1 of 1 tests in tests/test_double.py do not pass" in told and "AssertionError: 2 != 5" in told
    assert await coder.read("tests/test_double.py") == mine
    assert "return 0" in coder.kernel.asked[0][1], "what is changed is shown"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("while True:\n    pass\n", "did not finish in time"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("raise ValueError('no')\n", "ValueError: no"),
        ("import nothing_like_this\n", "ModuleNotFoundError"),
    ],
)
async def test_code_that_misbehaves_is_told(coder: Coder, code: str, error: str) -> None:
    coder.kernel.seconds = 3.0
    coder.answers += [f"```python\n{code}```", TESTS, f"```python\n{code}```", TESTS, f"```python\n{code}```"]
    told = await coder.kernel.run(write_code, path="double.py", task="A function double(n).", attempts=1)
    assert "do not pass" in told and error in told


async def test_other_languages_are_written_and_not_run(coder: Coder) -> None:
    coder.answers += ["```bash\necho hello\n```"]
    told = await coder.kernel.run(write_code, path="hello.sh", task="Print hello.")
    assert told == "Wrote hello.sh, 1 line. It was not run: tests are run of Python."
    with pytest.raises(ToolError, match=r"summary\.md is no code"):
        await coder.kernel.run(write_code, path="summary.md", task="A table of the largest files.")
    with pytest.raises(ToolError, match="There is nothing to write"):
        await coder.kernel.run(write_code, path="a.py", task=" ")
    coder.answers += ["```python\ndef (\n```", "```python\nstill (\n```"]
    with pytest.raises(ToolError, match=r"The model wrote no a\.py: It is no Python"):
        await coder.kernel.run(write_code, path="a.py", task="A function.")
