"""What the keys do at the prompt."""

from __future__ import annotations

from typing import Protocol

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.filters import (
    Condition,
    has_focus,
    has_selection,
    is_searching,
    vi_insert_mode,
    vi_navigation_mode,
)
from prompt_toolkit.key_binding import KeyBindings, KeyBindingsBase, KeyPressEvent, merge_key_bindings
from prompt_toolkit.key_binding.bindings.auto_suggest import load_auto_suggest_bindings
from prompt_toolkit.keys import Keys


class Typed(Protocol):
    """What the keys act on."""

    input: Buffer
    answer: Buffer

    @property
    def running(self) -> bool:
        """Whether something is under way."""
        ...

    @property
    def waiting(self) -> bool:
        """Whether lines wait."""
        ...

    def send_now(self) -> None:
        """Send the first waiting line to what runs."""
        ...

    def take_back(self) -> str:
        """Take the last waiting line back, and return it."""
        ...

    def stop(self) -> None:
        """Stop what runs."""
        ...

    def refuse(self) -> None:
        """Give no answer to the question."""
        ...

    def leave(self) -> None:
        """Leave."""
        ...

    def open_last(self) -> None:
        """Open what was folded last."""
        ...

    def mark_before(self) -> str:
        """Return the mark of a paste that stands before the cursor; empty when there is none."""
        ...

    def paste(self, text: str) -> str:
        """Return what stands in the line for a pasted text."""
        ...


def make_bindings(screen: Typed) -> KeyBindingsBase:
    """Return the bindings, beside those of emacs or vi."""
    keys = KeyBindings()
    _sending(keys, screen)
    _stopping(keys, screen)
    return merge_key_bindings([load_auto_suggest_bindings(), keys])


def _sending(keys: KeyBindings, screen: Typed) -> None:
    typing = has_focus(screen.input)
    typing_here = (typing | has_focus(screen.answer)) & ~is_searching
    empty = Condition(lambda: not screen.input.text)

    @keys.add("enter", filter=typing_here)
    def _send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state is not None and buffer.complete_state.current_completion is not None:
            buffer.complete_state = None
        elif buffer is screen.input and not buffer.text.strip():
            buffer.reset()
            screen.send_now()
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter", filter=typing_here)
    @keys.add("c-j", filter=typing_here)
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("backspace", filter=typing & Condition(lambda: bool(screen.mark_before())))
    def _take_out(event: KeyPressEvent) -> None:
        # A mark that is cut would name nothing.
        event.current_buffer.delete_before_cursor(len(screen.mark_before()))

    @keys.add("c-x", "c-e", filter=typing_here & ~vi_insert_mode)
    @keys.add("v", filter=typing_here & vi_navigation_mode)
    def _edit(event: KeyPressEvent) -> None:
        # What comes back is looked at before it is sent.
        event.current_buffer.open_in_editor(validate_and_handle=False)

    @keys.add("up", filter=typing & empty & Condition(lambda: screen.waiting))
    def _take_back(event: KeyPressEvent) -> None:
        text = screen.take_back()
        event.current_buffer.document = Document(text, len(text))

    @keys.add(Keys.BracketedPaste, filter=typing_here)
    def _paste(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if has_selection():
            buffer.cut_selection()
        buffer.insert_text(screen.paste(event.data) if buffer is screen.input else event.data)


def _stopping(keys: KeyBindings, screen: Typed) -> None:
    typing = has_focus(screen.input)
    asked = has_focus(screen.answer)
    running = Condition(lambda: screen.running)

    @keys.add("c-c", filter=typing)
    @keys.add("<sigint>", filter=typing)
    def _interrupt(event: KeyPressEvent) -> None:
        if screen.running:
            screen.stop()
        else:
            event.current_buffer.reset()

    # In vi's insert mode the key leaves that mode.
    @keys.add("escape", filter=typing & running & ~vi_insert_mode & ~is_searching)
    def _cancel(event: KeyPressEvent) -> None:
        if event.current_buffer.complete_state is not None:
            event.current_buffer.complete_state = None
        else:
            screen.stop()

    @keys.add("c-c", filter=asked)
    @keys.add("<sigint>", filter=asked)
    @keys.add("c-d", filter=asked & Condition(lambda: not screen.answer.text))
    @keys.add("escape", filter=asked & ~vi_insert_mode)
    def _refuse(event: KeyPressEvent) -> None:
        screen.refuse()

    @keys.add("c-d", filter=typing & Condition(lambda: not screen.input.text))
    def _leave(event: KeyPressEvent) -> None:
        screen.leave()

    @keys.add("c-o", filter=typing)
    def _open(event: KeyPressEvent) -> None:
        screen.open_last()

    @keys.add("c-z")
    def _suspend(event: KeyPressEvent) -> None:
        event.app.suspend_to_background()
