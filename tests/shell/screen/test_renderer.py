"""Where the last frame begins once the terminal has got narrower."""

import pytest

from llmasos.shell.screen.renderer import place, reflows


@pytest.mark.parametrize(
    ("environment", "breaks"),
    [
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7200"}, True),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, True),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "screen", "TMUX": "/tmp/tmux-0/default,1,0", "XTERM_VERSION": "XTerm(390)"}, True),
        ({"TERM": "xterm", "XTERM_VERSION": "XTerm(390)", "VTE_VERSION": "7200"}, False),
        ({"TERM": "screen", "STY": "1.pts-0", "VTE_VERSION": "7200"}, False),
        ({}, False),
    ],
)
def test_a_terminal_says_whether_it_breaks_rows(environment: dict[str, str], breaks: bool) -> None:
    assert reflows(environment) is breaks


@pytest.mark.parametrize(
    ("widths", "end"),
    [
        ([], (0, 0)),
        ([1] * 10, (0, 10)),
        ([1] * 11, (1, 1)),
        ([1] * 20, (1, 10)),
        # A letter of two cells that does not fit begins the next row.
        ([1, *[2] * 5], (1, 2)),
        ([2, 0] * 5, (0, 10)),
    ],
)
def test_a_row_is_broken_at_the_edge(widths: list[int], end: tuple[int, int]) -> None:
    assert place(widths, 10) == end
