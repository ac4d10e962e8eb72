"""Modules that run inside, as one piece of code: a sandbox has nothing of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from llmasos.errors import ToolError
from llmasos.sandbox import Sandbox
from llmasos.tools._verdicts import VERDICTS

_MISSING = re.compile(r"ModuleNotFoundError: No module named '(?!inside)([\w.]+)'")
_LOADER = """\
import importlib.abc, importlib.util, json, sys
_sources = json.loads({sources!r})


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    def find_spec(self, name, path, target=None):
        if name in _sources:
            return importlib.util.spec_from_loader(name, self, is_package=name == "inside")

    def get_source(self, name):
        return _sources[name]


sys.meta_path.insert(0, _Finder())
from inside.main import {function}
{function}({arguments})
"""


def program(package: str, function: str, arguments: str) -> str:
    """Return the code of a cell that calls one of the functions inside.

    Args:
        package: Whose modules it gets; `main` has the functions.
        function: Its name.
        arguments: As Python writes them.
    """
    return _LOADER.format(sources=_sources(package), function=function, arguments=arguments)


async def told_inside(
    sandbox: Sandbox, code: str, *, seconds: float, smaller: str, errors: bool = True
) -> tuple[list[dict[str, Any]], Any]:
    """Run code that tells what it finds, and return all that it told, and how it ended.

    Args:
        sandbox: Where it runs.
        code: It calls `tell` with a dictionary, which may have an `error`.
        seconds: How long it may run.
        smaller: What to do where it broke a limit.
        errors: Whether an error that is told ends it.

    Raises:
        ToolError: It told an error, or nothing; or a limit was broken.
    """
    told: list[dict[str, Any]] = []

    async def take(name: str, asked: dict[str, Any]) -> object:
        if isinstance(asked.get("value"), dict):
            told.append(asked["value"])
        return None

    outcome = await sandbox.run_python(
        code, timeout=seconds, on_call=take, functions={"tell": ("value",)}, fresh=True
    )
    if outcome.status in VERDICTS:
        raise ToolError(VERDICTS[outcome.status], hint=smaller)
    if not told and (missing := _MISSING.search(outcome.output)):
        raise ToolError(
            f"The sandbox has no {missing[1]}, which this needs.",
            hint="Build its image: llmasos sandbox build",
        )
    if not told:
        raise ToolError(f"It could not be read: {outcome.output[-500:].strip() or 'nothing was told'}")
    for error in (each.get("error") for each in told if errors):
        if error:
            raise ToolError(str(error))
    return told, outcome


@cache
def _sources(package: str) -> str:
    modules: Mapping[str, str] = {
        f"inside.{file.name.removesuffix('.py')}": file.read_text(encoding="utf-8")
        for file in resources.files(package).iterdir()
        if file.name.endswith(".py") and file.name != "__init__.py"
    }
    return json.dumps({"inside": "", **modules})
