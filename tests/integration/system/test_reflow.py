"""The prompt in a terminal that breaks long rows anew when it gets narrower."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from tests.integration.system.conftest import Machine
from tests.integration.system.terminal import ENTER, Tmux
from tests.integration.system.test_prompt import BUSY, ESCAPE

pytestmark = pytest.mark.integration
ROWS = 24


@pytest.fixture
def tmux(machine: Machine) -> Iterator[Tmux]:
    window = Tmux(machine, rows=ROWS)
    yield window
    window.close()


def test_nothing_is_left_of_what_was_drawn_for_another_width(tmux: Tmux) -> None:
    tmux.wait_until(lambda text: "bubblewrap" in text)
    # A prompt that was drawn at the very top leaves nothing behind, either.
    assert "connecting" not in tmux.text()
    tmux.type(f"/help{ENTER}")
    tmux.wait_until(lambda text: "Ctrl-O opens" in text)
    tmux.type(f"!seq -s ' ' 1 90 | tr -d '\\n'; sleep 600{ENTER}")
    tmux.wait_until(lambda text: "│ 1 2 3" in text)
    tmux.type("typed-meanwhile," * 7)
    # Each row of the frame gets shorter than it was, and then longer.
    for columns in (100, 60, 37, 120, 50):
        tmux.resize(columns, ROWS)
        tmux.wait_until(partial(drawn_once, columns))
    tmux.type(ESCAPE)
    tmux.wait_until(lambda text: "■ run_shell" in text)


def drawn_once(columns: int, text: str) -> bool:
    """Return whether what is beneath the written lines is there once, and as wide as the terminal."""
    running = [line for line in text.split("\n") if line.startswith("│ 1 2 3")]
    return (
        [len(line) for line in running] == [columns - 1]
        and text.count(BUSY.strip()) == text.count("Esc stops") == text.count("Enter sends.") == 1
        and text.replace("\n", "").count("typed-meanwhile,") == 7
    )
