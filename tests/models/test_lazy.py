"""What the process of an engine imports before it loads anything."""

import subprocess
import sys

import pytest

import llmasos.models


def test_an_engines_process_imports_nothing_of_agents_and_endpoints() -> None:
    code = "import llmasos.models.engines.worker, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    tops = {name.partition(".")[0] for name in done.stdout.split()}
    assert "pydantic" in tops
    assert not tops & {"pydantic_ai", "httpx2", "httpx", "sqlite3", "starlette"}


def test_public_names_come_from_where_they_are_made() -> None:
    assert all(getattr(llmasos.models, name) is not None for name in llmasos.models.__all__)
    with pytest.raises(AttributeError):
        llmasos.models.nothing  # noqa: B018
