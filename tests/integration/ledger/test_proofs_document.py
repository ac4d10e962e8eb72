"""The specification of proof files says what the checker does."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "proofs.md").read_text()


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}
    )


def test_the_command_prints_what_is_shown() -> None:
    blocks = re.findall(r"```console\n\$ python (.*?)\n(.*?)```", PAGE, re.DOTALL)
    assert blocks
    for command, output in blocks:
        done = run(*shlex.split(command))
        assert (done.returncode, done.stdout, done.stderr) == (0, output, "")


def test_the_script_works() -> None:
    scripts = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert scripts
    for script in scripts:
        done = run("-c", script)
        assert (done.returncode, done.stderr) == (0, "")
        assert "the event is not that of record 1" in done.stdout


def test_every_name_is_described() -> None:
    from llmasos.ledger import check

    names = {
        *check.FILE,
        *check.PROOF,
        *check.RECORD,
        "headers",
        "prev",
        "kind_number",
        "tree",
        "body",
        "body_salt",
    }
    assert {name for name in names if f"`{name}`" not in PAGE} == set()
