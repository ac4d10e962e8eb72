"""`python -m llmasos.tools.plugins.describe MODULE ATTRIBUTE FOLDER`: says what tools a plugin has, as JSON.

It imports the plugin, and therefore runs where the plugin can do no harm.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import resource
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from llmasos.errors import ToolError
from llmasos.tools.api import context_parameter, declaration_of
from llmasos.tools.kernel import schema_of
from llmasos.tools.plugins.definition import NAME, Definition

_LIMITS = {
    resource.RLIMIT_AS: 4 << 30,
    resource.RLIMIT_CPU: 60,
    resource.RLIMIT_FSIZE: 1 << 20,
    resource.RLIMIT_NPROC: 4096,
}
_BY_POSITION = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.VAR_KEYWORD,
)


def definitions(module: str, attribute: str = "") -> list[Definition]:
    """Import a module, and return its tools.

    Args:
        module: Its name.
        attribute: The one tool that is meant; all of them when empty.

    Raises:
        ToolError: It has no tools, or one that models cannot be told of.
    """
    names = vars(import_module(module))
    wanted = {attribute: names.get(attribute)} if attribute else names
    found = [(name, value) for name, value in wanted.items() if value and declaration_of(value) is not None]
    if not found:
        raise ToolError(f"{module} has no tool{f' named {attribute}' if attribute else ''}.")
    return [definition(module, name, value) for name, value in found]


def definition(module: str, name: str, function: Callable[..., Any]) -> Definition:
    """Return what a function is as a tool.

    Raises:
        ToolError: Models cannot be told of it.
    """
    declaration = declaration_of(function)
    assert declaration is not None
    if not re.fullmatch(NAME, name):
        raise ToolError(
            f"The tool {name} has a name that models cannot use: small letters, digits and _ can."
        )
    context = context_parameter(function)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in _BY_POSITION:
            raise ToolError(f"The tool {name} takes {parameter}, and models give arguments by their names.")
        if parameter.annotation is parameter.empty:
            raise ToolError(f"The argument {parameter.name} of the tool {name} has no type.")
    made = schema_of(function, context)
    if not made.description:
        raise ToolError(f"The tool {name} has no docstring, and models would not know what it does.")
    yields = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    return Definition(
        name=name,
        module=module,
        description=made.description[:1000],
        parameters=made.parameters,
        returns={} if yields else made.returns,
        declaration=declaration,
    )


def main() -> None:
    """Print the tools of a plugin, or what keeps it from having any."""
    module, attribute, folder = sys.argv[1:]
    for what, most in _LIMITS.items():
        resource.setrlimit(what, (most, most))
    # What the plugin prints is not taken for the answer.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.insert(0, folder)
    try:
        told: dict[str, Any] = {
            "tools": [each.model_dump(mode="json") for each in definitions(module, attribute)]
        }
    except ToolError as error:
        told = {"error": error.message}
    except BaseException as error:
        # A plugin may do anything while it is imported.
        told = {"error": f"{type(error).__name__}: {error}".rstrip(": ")}
    with answer:
        json.dump(told, answer)
    # Threads that the plugin has started do not keep this waiting.
    os._exit(0)


if __name__ == "__main__":
    main()
