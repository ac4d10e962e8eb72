"""Output that nobody takes any more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmasos.streams import output_ended

SHELL = [sys.executable, "-c", "from llmasos.shell.cli import main; main()"]
DOCTOR = [sys.executable, "-m", "llmasos.doctor"]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    # A file of settings that cannot be read is reported at once, by a doctor who then looks no further.
    (tmp_path / "config.toml").write_text("[")
    return {**os.environ, "LLMASOS_CONFIG_DIR": str(tmp_path), "LANG": "C.UTF-8"}


@pytest.mark.parametrize("command", [[*SHELL, "--help"], DOCTOR], ids=["shell", "doctor"])
def test_a_full_disk_is_named(env: dict[str, str], command: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, env=env, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "The output cannot be written: No space left on device.\nFree space there, or send it elsewhere.\n"
    )


@pytest.mark.parametrize("command", [[*SHELL, "--help"], DOCTOR], ids=["shell", "doctor"])
def test_a_reader_that_has_gone_ends_it_in_silence(env: dict[str, str], command: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, env=env, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_without_standard_input_the_shell_says_what_it_needs(env: dict[str, str]) -> None:
    line = ["sh", "-c", 'exec "$@" <&-', "sh", *SHELL]
    done = subprocess.run(line, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("The shell needs a terminal.\n")


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file", "x"), OSError(28, "Full", "/x")])
def test_other_errors_are_not_taken_for_it(error: OSError) -> None:
    with pytest.raises(OSError) as found:
        output_ended(error)
    assert found.value is error
