"""Files that commands and code leave with nothing in them are told from those that they fill."""

import pytest

from llmasos.agent.commands import analyse


@pytest.mark.parametrize(
    "command",
    [
        ": > f",
        "> f",
        ">f",
        ":>|f",
        "true > f",
        "echo -n > f",
        "echo '' > f",
        "printf '' > f",
        "cat /dev/null > f",
        "cat < /dev/null > f",
        "ls && : > f",
        "truncate -s 0 f",
        "truncate -s0 f",
        "truncate --size=0 f",
        "truncate -s 1 f",
        "truncate -s -900K f",
        "cp /dev/null f",
        "install -m 644 /dev/null f",
        "sh -c ': > f'",
        "dd if=/dev/null of=f",
        "ln -sf /dev/null f",
        "find . -name x -exec cp /dev/null f ';'",
    ],
)
def test_a_command_that_leaves_nothing_in_a_file_empties_it(command: str) -> None:
    program = analyse("bash", command)
    assert program.empties == ("f",) and "f" in program.writes and "deletes" not in program.effects


@pytest.mark.parametrize(
    "command",
    [
        "echo hello > f",
        "ls > f",
        ": >> f",
        "cat a b > f",
        "cat > f <<'EOF'\nhello\nEOF",
        "cat <<'EOF' > f\nhello\nEOF",
        "cat > f <<< hello",
        "cat < a > f",
        "sort a -o f",
        "truncate -s +1M f",
        "truncate -s '>10' f",
        "cp a f",
        "touch f",
        "dd if=a of=f",
        "ln -s a f",
        "printf '%s' a > f",
        ": > /dev/null",
        "{ echo a; echo b; } > f",
    ],
)
def test_a_command_that_fills_a_file_does_not_empty_it(command: str) -> None:
    assert analyse("bash", command).empties == ()


@pytest.mark.parametrize(
    "code",
    [
        "open('f', 'w').close()",
        "open('f', mode='w').close()",
        "open('f', 'w')",
        "open('f', 'wb').write(b'')",
        "open('f', 'w').write('')",
        "with open('f', 'w'):\n    pass",
        "with open('f', 'w') as out:\n    pass",
        "with open('f', 'w') as out:\n    out.write('')",
        "out = open('f', 'w')\nout.close()",
        "from pathlib import Path\nPath('f').write_text('')",
        "from pathlib import Path\nPath('f').write_text('\\n')",
        "from pathlib import Path\nPath('f').write_bytes(b'')",
        "from pathlib import Path\nPath('f').open('w').close()",
        "from pathlib import Path\nplace = Path('f')\nplace.write_text('')",
        "import os\nos.truncate('f', 0)",
        "import shutil\nshutil.copy('/dev/null', 'f')",
        "import subprocess\nsubprocess.run(['truncate', '-s', '0', 'f'])",
    ],
)
def test_code_that_leaves_nothing_in_a_file_empties_it(code: str) -> None:
    assert analyse("python", code).empties == ("f",)


@pytest.mark.parametrize(
    "code",
    [
        "open('f', 'w').write('x')",
        "open('f').close()",
        "open('f', 'a').close()",
        "with open('f', 'w') as out:\n    out.write(text)",
        "with open('f', 'w') as out:\n    json.dump(data, out)",
        "out = open('f', 'w')\nprint('x', file=out)\nout.close()",
        "from pathlib import Path\nPath('f').write_text('x')",
        "from pathlib import Path\nPath('f').write_text(text)",
        "import shutil\nshutil.copy('a', 'f')",
    ],
)
def test_code_that_fills_a_file_does_not_empty_it(code: str) -> None:
    assert analyse("python", code).empties == ()
