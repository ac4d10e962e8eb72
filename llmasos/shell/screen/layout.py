"""What stands beneath the written lines: what runs, what waits, the prompt, and the status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prompt_toolkit.application import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import ANSI, AnyFormattedText, StyleAndTextTuples, to_formatted_text
from prompt_toolkit.layout import (
    BufferControl,
    ConditionalContainer,
    Dimension,
    Float,
    FloatContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    Window,
)
from prompt_toolkit.layout.menus import CompletionsMenu
from prompt_toolkit.layout.processors import (
    AppendAutoSuggestion,
    HighlightIncrementalSearchProcessor,
    HighlightSelectionProcessor,
)
from prompt_toolkit.widgets import SearchToolbar

_MENU_ROWS = 8
_LIVE_ROWS = 12
_GREY = "fg:ansibrightblack"


@dataclass(frozen=True)
class Parts:
    """What a layout shows.

    Args:
        input: What the person types.
        answer: What they type at a question.
        prompt: Returns what stands before the input.
        question: Returns what stands before the answer; empty without a question.
        live: Returns what is being written, as the terminal shows it.
        waiting: Returns the lines that wait, with what can be done with them.
        status: Returns the last line.
    """

    input: Buffer
    answer: Buffer
    prompt: Callable[[], str]
    question: Callable[[], str]
    live: Callable[[], str]
    waiting: Callable[[], list[str]]
    status: Callable[[], str]


def make_layout(parts: Parts) -> Layout:
    """Return the layout."""
    search = SearchToolbar(ignore_case=True)
    asked = Condition(lambda: bool(parts.question()))
    typed = BufferControl(
        buffer=parts.input,
        search_buffer_control=search.control,
        input_processors=[
            HighlightIncrementalSearchProcessor(),
            HighlightSelectionProcessor(),
            AppendAutoSuggestion(style=_GREY),
        ],
        preview_search=True,
    )
    answered = BufferControl(buffer=parts.answer, input_processors=[HighlightSelectionProcessor()])
    rows = HSplit(
        [
            _lines(lambda: ANSI(_newest(parts.live())), Condition(lambda: bool(parts.live()))),
            _lines(lambda: _grey(parts.waiting()), Condition(lambda: bool(parts.waiting()))),
            ConditionalContainer(_typing(typed, parts.prompt), ~asked),
            ConditionalContainer(_typing(answered, parts.question), asked),
            ConditionalContainer(Window(height=_MENU_ROWS), Condition(lambda: _completing(parts.input))),
            search,
            _lines(lambda: _grey([parts.status()]), Condition(lambda: bool(parts.status()))),
        ]
    )
    menu = Float(CompletionsMenu(max_height=_MENU_ROWS, scroll_offset=1), xcursor=True, ycursor=True)
    return Layout(FloatContainer(rows, [menu]), focused_element=typed)


def _typing(control: BufferControl, prompt: Callable[[], str]) -> Window:
    def prefix(line: int, wrapped: int) -> AnyFormattedText:
        if line == wrapped == 0:
            return prompt()
        return "" if wrapped else ". "

    def height() -> Dimension:
        return Dimension(min=1, max=max(3, get_app().output.get_size().rows // 2))

    return Window(control, wrap_lines=True, get_line_prefix=prefix, height=height, dont_extend_height=True)


def _lines(text: Callable[[], AnyFormattedText], shown: Condition) -> ConditionalContainer:
    return ConditionalContainer(
        Window(FormattedTextControl(lambda: to_formatted_text(text())), dont_extend_height=True), shown
    )


def _grey(lines: list[str]) -> StyleAndTextTuples:
    return [(_GREY, "\n".join(lines))]


def _newest(text: str) -> str:
    most = max(3, min(_LIVE_ROWS, get_app().output.get_size().rows // 2))
    return "\n".join(text.split("\n")[-most:])


def _completing(buffer: Buffer) -> bool:
    return buffer.complete_state is not None and bool(buffer.complete_state.completions)
