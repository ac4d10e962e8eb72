"""From a specification to code with tests, which run in the sandbox until they pass or nothing more helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import Field

from llmasos.errors import EmptyAnswer, ToolError
from llmasos.imports import defined, with_imports
from llmasos.models.tokens import most_tokens
from llmasos.tools._shipping import program, told_inside
from llmasos.tools._staging import is_there
from llmasos.tools._text import decode
from llmasos.tools.coding.drafts import Draft, drafted, is_long
from llmasos.tools.coding.tidying import only_code, only_tests
from llmasos.tools.kernel import Capabilities, KernelContext, kernel_tool

_LARGEST = 200_000
# A small model that does not come to an end repeats itself.
_TOKENS, _TEST_TOKENS = 1500, 450
# Where a small model goes on with tests of the module that it was asked for: they are written by themselves.
_ENOUGH = ("\ndef test_", "\nassert ", "\n# Test", "\nimport unittest", "\nimport pytest")
_SHOWN = 8000
_TEXTS = frozenset((".md", ".txt", ".csv", ".tsv", ".rst", ".log", ".docx", ".pdf", ""))
_TOLD_FAILURES = 5
_CODE = (
    "You write {language}. Write one file, {path}, that does what is asked, completely and simply. "
    "Functions have the names that are asked for. Answer with the whole file in one ``` block and nothing "
    "else."
)
_CHANGE = (
    "You change a file, {path}. Keep what has nothing to do with the request as it is. Answer with the whole "
    "file in one ``` block and nothing else."
)
_CHANGE_LONG = (
    "You change a file, {path}. Answer with nothing but blocks like this, one for each place:\n"
    "<<<<<<< SEARCH\nlines as they stand, enough to occur only once\n=======\nlines in their place\n"
    ">>>>>>> REPLACE"
)
_TESTS = (
    "You write tests in Python for a module, {module}. Write plain functions whose names begin with test_, "
    "with assert, that import from {module}. Test what the specification says, each case in a function "
    "of its own, with values that you are sure of: work each out step by step. No fixtures, no mocks, no "
    "files. Five functions at most. Answer with the whole test file in one ``` block and nothing else."
)
_REPAIR = (
    "{asked}\n\nThe file now:\n```\n{code}\n```\n\nIt fails:\n{failures}\n\nFind out why, and write the file "
    "so that it does what is asked."
)
_CHECK = (
    "{asked}\n\nThese tests were written for it:\n```\n{tests}\n```\n\nThese fail though the code was looked "
    "at again:\n{failures}\n\nA test may expect what the specification does not say. Write the test file so "
    "that each test expects exactly what the specification says."
)


@dataclass(frozen=True)
class _Result:
    name: str
    passed: bool
    error: str


@kernel_tool(
    capabilities=Capabilities(
        reads=True,
        writes=True,
        executes=True,
        asks_model=True,
        inputs=("tests",),
        targets=("path",),
        sources={"*": "output"},
    ),
    examples=[
        (
            "write initials.py with a function initials(name): first letters, in capitals, a dot after each. "
            "Test it.",
            'write_code(path="initials.py", task="A function initials(name): first letters, in capitals, '
            'a dot after each.")',
        ),
        (
            "给 prices.py 的 total 函数加一个 discount 参数，并测试",
            'write_code(path="prices.py", task="给 total 函数加一个 discount 参数")',
        ),
    ],
)
async def write_code(
    ctx: KernelContext,
    path: str,
    task: str,
    tests: str = "",
    attempts: Annotated[int, Field(ge=1, le=10)] = 3,
) -> str:
    """Writes a module or changes one, with tests, and runs the tests until they pass.

    Args:
        path: The file to write or change, such as slug.py.
        task: What it has to do, with the names of functions and examples.
        tests: A file with the tests, which are written where there is none.
        attempts: How often the code is repaired at most.
    """
    if not task.strip():
        raise ToolError("There is nothing to write.", hint="Say what the code has to do.")
    if PurePosixPath(path).suffix.lower() in _TEXTS:
        raise ToolError(
            f"{path} is no code.",
            hint="What has to be looked up is written by a script (run_python), other text with write_file.",
        )
    python = path.endswith(".py")
    before = await _text(ctx, path)
    asked = f"{task.strip()}\n\nThe file now:\n```\n{before}\n```" if before else task.strip()
    ctx.progress("Writing the code", 0, attempts + 2, "steps")
    draft = await _first(ctx, path, asked, before, python=python)
    await ctx.sandbox.write(path, draft.text.encode())
    if not python:
        return f"Wrote {path}, {_lines(draft.text)}. It was not run: tests are run of Python."
    places = [tests] if tests else _test_paths(path)
    given = [place for place in places if await is_there(ctx.sandbox, place)]
    own = "" if given else tests if tests.endswith(".py") else _test_path(path)
    if own:
        ctx.progress("Writing tests", 1, attempts + 2, "steps")
        await _write_tests(ctx, own, path, f"{task}\n\n{_shown(draft.text)}")
    code, results, repaired = await _repaired(
        ctx, path, task, draft.text, given or [own], attempts, new=not before
    )
    corrected = False
    if own and _failed(results):
        ctx.progress("Looking at the tests again", attempts + 1, attempts + 2, "steps")
        written = await _text(ctx, own)
        again = _CHECK.format(asked=task, tests=written, failures=_failures(results))
        corrected = await _write_tests(ctx, own, path, again)
        code, results, more = await _repaired(ctx, path, task, code, [own], 1, new=not before)
        repaired += more
    ctx.progress("Done", attempts + 2, attempts + 2, "steps")
    return _told(path, own or ", ".join(given), results, repaired, corrected=corrected, own=bool(own))


async def _first(ctx: KernelContext, path: str, asked: str, before: str, *, python: bool) -> Draft:
    """Return the first draft of a file; one that is none is asked for once more.

    Raises:
        ToolError: The second is none either.
    """
    form = _CODE if not before else _CHANGE_LONG if is_long(before) else _CHANGE
    instructions = form.format(path=path, language="Python" if python else f"the language of {path}")
    stop = _ENOUGH if python and not before else ()
    draft = await _draft(ctx, instructions, asked, before, python=python, stop=stop)
    if draft.problem:
        again = f"{asked}\n\n{draft.problem}"
        draft = await _draft(ctx, instructions, again, before, python=python)
    if draft.problem:
        raise ToolError(f"The model wrote no {path}: {draft.problem}", hint="Ask for less at a time.")
    return Draft(only_code(draft.text)) if stop else draft


async def _repaired(
    ctx: KernelContext, path: str, task: str, code: str, tests: Sequence[str], attempts: int, *, new: bool
) -> tuple[str, list[_Result], int]:
    """Run tests and repair the code while some fail; the best code stays."""
    results = await _run(ctx, tests)
    best, best_results, repaired = code, results, 0
    for attempt in range(attempts):
        if not _failed(results):
            break
        ctx.progress("Repairing the code", 2 + attempt, attempts + 2, "steps")
        asked = _REPAIR.format(asked=task, code=_shown(code), failures=_failures(results))
        form = _CHANGE_LONG if is_long(code) else _CHANGE
        stop = _ENOUGH if new else ()
        draft = await _draft(ctx, form.format(path=path), asked, code, python=True, stop=stop)
        mended = only_code(draft.text) if new else draft.text
        if draft.problem or mended == code:
            break
        repaired += 1
        code = mended
        await ctx.sandbox.write(path, code.encode())
        results = await _run(ctx, tests)
        if len(_failed(results)) < len(_failed(best_results)):
            best, best_results = code, results
    if best != code:
        await ctx.sandbox.write(path, best.encode())
    return best, best_results, repaired


async def _write_tests(ctx: KernelContext, path: str, tested: str, asked: str) -> bool:
    """Write tests of a module, and return whether there are new ones."""
    instructions = _TESTS.format(module=_module(tested))
    draft = await _draft(ctx, instructions, asked, "", python=True, most=_TEST_TOKENS)
    if draft.problem:
        again = f"{asked}\n\n{draft.problem}"
        draft = await _draft(ctx, instructions, again, "", python=True, most=_TEST_TOKENS)
    if draft.problem:
        return False
    names = defined(await _text(ctx, tested))
    text = with_imports(only_tests(draft.text, names), _module(tested), names)
    await ctx.sandbox.write(path, text.encode())
    return True


async def _draft(
    ctx: KernelContext,
    instructions: str,
    asked: str,
    before: str,
    *,
    python: bool,
    most: int = _TOKENS,
    stop: Sequence[str] = (),
) -> Draft:
    most = max(most, 2 * most_tokens(before)) if before and not is_long(before) else most
    try:
        said = await ctx.ask(instructions, asked, max_tokens=most, stop=stop)
    except EmptyAnswer:
        return Draft(before, "Nothing was written.")
    return drafted(said, before, python=python)


async def _run(ctx: KernelContext, tests: Sequence[str]) -> list[_Result]:
    """Return how the tests of some files ended; one that never ends takes those after it along."""
    told: list[dict[str, Any]] = []
    code = program("llmasos.tools.coding.inside", "tests", f"{list(tests)!r}, tell")
    try:
        told, _ = await told_inside(
            ctx.sandbox, code, seconds=ctx.seconds, smaller="The code may never end.", errors=False
        )
    except ToolError as error:
        return [_Result(", ".join(tests), False, error.message)]
    return [
        _Result(str(one["name"]), bool(one["passed"]), str(one["error"])) for one in told if "name" in one
    ]


def _failed(results: Sequence[_Result]) -> list[_Result]:
    return [result for result in results if not result.passed]


def _failures(results: Sequence[_Result]) -> str:
    return "\n\n".join(f"{one.name}:\n{one.error}" for one in _failed(results)[:_TOLD_FAILURES])


def _told(
    path: str, tests: str, results: Sequence[_Result], repaired: int, *, corrected: bool, own: bool
) -> str:
    failed = _failed(results)
    times = f" The code was repaired {repaired} time{'s' * (repaired != 1)}." if repaired else ""
    changed = " Tests that failed were written anew by the specification." if corrected else ""
    whose = "its tests" if own else "the tests"
    if not failed:
        return f"Wrote {path}; {whose} in {tests} pass, {len(results)} of {len(results)}.{times}{changed}"
    lines = [
        f"Wrote {path}, but {len(failed)} of {len(results)} tests in {tests} do not pass.{times}{changed}",
        *(f"- {one.name}: {_last(one.error)}" for one in failed),
        "Either may be wrong, the code or the test: look at both before you use it.",
    ]
    return "\n".join(lines)


def _last(error: str) -> str:
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it failed"


async def _text(ctx: KernelContext, path: str) -> str:
    """Return what a file holds; empty where there is none."""
    try:
        content = await ctx.sandbox.read(path, limit=_LARGEST)
    except ToolError:
        return ""
    if content.size > len(content.data):
        raise ToolError(f"{path} is too large to be changed ({content.size:,} bytes).")
    return decode(content.data, path)


def _test_paths(path: str) -> list[str]:
    """Return where the tests of a module are, by custom."""
    stem, folder = PurePosixPath(path).stem, PurePosixPath(path).parent
    places = dict.fromkeys((folder, folder / "tests", PurePosixPath("tests"), folder.parent / "tests"))
    return [str(place / name) for place in places for name in (f"test_{stem}.py", f"{stem}_test.py")]


def _test_path(path: str) -> str:
    return str(PurePosixPath(path).with_name(f"test_{PurePosixPath(path).stem}.py"))


def _module(path: str) -> str:
    return PurePosixPath(path).stem


def _shown(code: str) -> str:
    return code if len(code) <= _SHOWN else f"{code[:_SHOWN]}\n…"


def _lines(text: str) -> str:
    count = text.count("\n")
    return f"{count} line{'s' * (count != 1)}"
