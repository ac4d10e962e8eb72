"""The three requests of the first day, on the embedded model, from a sentence to a proved effect."""

from pathlib import Path

import pytest

from benchmarks.first_light import TUNED, Result, make_folder
from llmasos import paths
from tests.integration.system.conftest import Machine

pytestmark = pytest.mark.integration


def test_say_it_see_it_done_prove_it(machine: Machine, tmp_path: Path) -> None:
    machine.env["LLMASOS_MODEL_URL"] = ""
    # What a small model says in near ties depends on how many threads compute it.
    machine.env["LLMASOS_MODEL_THREADS"] = "2"
    machine.env["LLMASOS_CACHE_DIR"] = str(paths.cache_dir())
    folder = tmp_path / "work"
    make_folder(folder)
    for request, check in TUNED[:3]:
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        code, result = machine.ask(request, "-C", str(folder))
        assert code == 0 and result["status"] == "done", result
        assert result["actions"] and result["actions"][-1]["status"] == "ok"
        assert check(Result(result["answer"], {each["path"]: each["diff"] for each in result["changes"]})), (
            result
        )
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
        if result["changes"]:
            assert machine.run("commit", result["session"]).returncode == 0
    assert (folder / "summary.md").exists() and (folder / "notes.en.txt").exists()

    verified = machine.run("ledger", "verify")
    assert verified.returncode == 0 and "on the chain" in verified.stdout
