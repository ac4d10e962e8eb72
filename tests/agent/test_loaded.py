"""The hash of tools stands for all that they declare."""

from dataclasses import replace

import pytest

from llmasos.agent.loaded import sha256_tools
from llmasos.tools import Capabilities, builtin_tools

READ = builtin_tools().get("read_file")


@pytest.mark.parametrize(
    "declared",
    [
        Capabilities(),
        replace(READ.capabilities, sources={"*": "system"}),
        replace(READ.capabilities, sources={}),
        replace(READ.capabilities, runs={"path": "bash"}),
        replace(READ.capabilities, reaches=("path",)),
        replace(READ.capabilities, targets=("path",)),
        replace(READ.capabilities, inputs=("path",)),
    ],
)
def test_another_declaration_is_another_tool(declared: Capabilities) -> None:
    assert sha256_tools([READ]) == sha256_tools([replace(READ)])
    assert sha256_tools([replace(READ, capabilities=declared)]) != sha256_tools([READ])
    assert sha256_tools([replace(READ, origin="plugin:files")]) != sha256_tools([READ])
