"""Running tests: functions whose names begin with test, and unittest's cases, each by itself."""

from __future__ import annotations

import importlib.util
import inspect
import io
import os
import sys
import tempfile
import traceback
import unittest
from contextlib import redirect_stdout
from typing import Any, Callable, Iterator

_TAIL = 1500


def tests(paths: list[str], tell: Callable[[dict[str, Any]], object]) -> None:
    """Run the tests of some files, and tell how each ended.

    Args:
        paths: Test files of the workspace.
        tell: Takes the name, whether it passed, and what went wrong.
    """
    sys.dont_write_bytecode = True
    for path in paths:
        folder = os.path.dirname(os.path.abspath(path))
        for place in (os.getcwd(), folder, os.path.join(os.getcwd(), "src")):
            if place not in sys.path:
                sys.path.insert(0, place)
        try:
            module = _loaded(path)
        except BaseException:
            tell({"name": path, "passed": False, "error": _trace()})
            continue
        found = False
        for name, run in _found(module):
            found = True
            tell({"name": "%s::%s" % (path, name), **_outcome(run)})
        if not found:
            tell({"name": path, "passed": False, "error": "There is no test in it."})
    tell({"done": True})


def _loaded(path: str) -> Any:
    name = os.path.basename(path)[:-3]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("%s is no Python file" % path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with redirect_stdout(io.StringIO()):
        spec.loader.exec_module(module)
    return module


def _found(module: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    for name, value in list(vars(module).items()):
        if inspect.isclass(value) and issubclass(value, unittest.TestCase):
            for test in unittest.defaultTestLoader.getTestCaseNames(value):
                yield "%s.%s" % (name, test), _case(value, test)
        elif inspect.isclass(value) and name.startswith("Test"):
            for test in sorted(key for key in dir(value) if key.startswith("test")):
                yield "%s.%s" % (name, test), _method(value, test)
        elif inspect.isfunction(value) and name.startswith("test") and value.__module__ == module.__name__:
            yield name, _function(value)


def _case(kind: Any, name: str) -> Callable[[], None]:
    def run() -> None:
        result = unittest.TestResult()
        kind(name).run(result)
        for _, text in [*result.failures, *result.errors]:
            raise _Failed(text)

    return run


def _method(kind: Any, name: str) -> Callable[[], None]:
    return lambda: _function(getattr(kind(), name))()


def _function(function: Any) -> Callable[[], None]:
    def run() -> None:
        needed = [
            name
            for name, each in inspect.signature(function).parameters.items()
            if each.default is each.empty
        ]
        given: dict[str, Any] = {}
        for name in needed:
            if name != "tmp_path":
                raise _Failed("It needs the fixture %s, which is not there: use plain functions." % name)
            import pathlib

            given[name] = pathlib.Path(tempfile.mkdtemp())
        function(**given)

    return run


class _Failed(Exception):
    """A test that failed, with the text of its failure."""


def _outcome(run: Callable[[], None]) -> dict[str, Any]:
    try:
        with redirect_stdout(io.StringIO()):
            run()
    except _Failed as error:
        return {"passed": False, "error": str(error)[-_TAIL:]}
    except BaseException:
        return {"passed": False, "error": _trace()}
    return {"passed": True, "error": ""}


def _trace() -> str:
    """Return what went wrong, from the first line that is not of this runner."""
    kind, error, trace = sys.exc_info()
    while trace is not None and _ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return "".join(traceback.format_exception(kind, error, trace))[-_TAIL:].strip()


def _ours(name: str) -> bool:
    return name.startswith("<")
