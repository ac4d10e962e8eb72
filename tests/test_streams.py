"""Output that nobody takes any more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmasos.shell.render import make_console
from llmasos.streams import output_ended

ROOT = str(Path(__file__).parents[1])
SHELL = [sys.executable, "-c", "from llmasos.shell.entry import main; main()"]
DOCTOR = [sys.executable, "-m", "llmasos.doctor"]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    # A file of settings that cannot be read is reported at once, by a doctor who then looks no further.
    (tmp_path / "config.toml").write_text("[")
    return {**os.environ, "LLMASOS_CONFIG_DIR": str(tmp_path), "LANG": "C.UTF-8", "PYTHONPATH": ROOT}


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


@pytest.mark.parametrize(
    ("work", "code"), [("print('x')", 1), ("print('x' * 10**6)", 1), ("raise KeyboardInterrupt", 130)]
)
def test_a_program_ends_in_silence_where_nobody_reads_it(env: dict[str, str], work: str, code: int) -> None:
    program = f"def main():\n    {work}\n    return 0\n"
    line = f"import sys\nfrom llmasos.streams import exit_code\n{program}sys.exit(exit_code(main))"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", line],
        env=env,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (code, "")


def test_a_console_without_a_reader_is_an_error_like_any_other() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    console = make_console()
    console.file = os.fdopen(writing, "w")
    with pytest.raises(BrokenPipeError):
        console.print("x")
    with pytest.raises(BrokenPipeError):
        console.file.close()


def test_without_standard_input_the_shell_says_what_it_needs(env: dict[str, str]) -> None:
    line = ["sh", "-c", 'exec "$@" <&-', "sh", *SHELL]
    done = subprocess.run(line, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("The shell needs a terminal.\n")


def test_ctrl_c_is_quiet_while_the_command_is_loaded(env: dict[str, str]) -> None:
    # A finder of modules that is asked for the command line presses the key.
    pressed = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *more):\n"
        "        if name == 'llmasos.shell.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    line = [sys.executable, "-c", f"{pressed}from llmasos.shell.entry import main\nmain()"]
    done = subprocess.run(line, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_folder_that_is_gone_is_named(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    line = ["sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", *SHELL, "commands", "list"]
    gone = tmp_path / "gone"
    told = subprocess.run(line, env=env, cwd=gone, capture_output=True, text=True, check=False)
    assert told.returncode == 1 and "Traceback" not in told.stderr
    assert "The folder that you are in is not there any more.\nGo to another one with cd.\n" in told.stderr


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file", "x"), OSError(28, "Full", "/x")])
def test_other_errors_are_not_taken_for_it(error: OSError) -> None:
    with pytest.raises(OSError) as found:
        output_ended(error)
    assert found.value is error
