"""The modules that run inside, as one piece of code: a sandbox has nothing of ours."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

_PACKAGE = "llmasos.tools.analysis.inside"
_MODULES = ("sources", "profile", "query", "shape", "picture", "main")
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


def program(function: str, arguments: str) -> str:
    """Return the code of a cell that calls one of the functions inside.

    Args:
        function: Its name in `main`.
        arguments: As Python writes them.
    """
    return _LOADER.format(sources=_sources(), function=function, arguments=arguments)


@cache
def _sources() -> str:
    files = resources.files(_PACKAGE)
    found = {"inside": ""}
    for name in _MODULES:
        found[f"inside.{name}"] = files.joinpath(f"{name}.py").read_text(encoding="utf-8")
    return json.dumps(found)
