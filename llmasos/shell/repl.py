"""The interactive shell: a prompt, turns as they happen, and the diff before anything is written."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import termios
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.patch_stdout import patch_stdout

from llmasos import paths
from llmasos.display import display
from llmasos.errors import KernelError, LLMasOSError
from llmasos.shell.ask import CLIENT
from llmasos.shell.output import say
from llmasos.shell.words import fit

if TYPE_CHECKING:
    from llmasos.client import AsyncClient, AsyncSession


@dataclass(frozen=True)
class SessionOptions:
    """What a new session is begun with; `AsyncClient.session` says what each means."""

    model: str = ""
    in_place: bool = False
    hosts: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    access: str = ""
    asking: str = ""


class Shell:
    """The shell on one folder.

    The prompt is on the screen before the client's libraries are loaded and the kernel is asked; both
    happen while the person types.

    Args:
        folder: The folder to work on.
        options: What a new session is begun with.
        resume: The session to go on with, or empty for a new one.
    """

    def __init__(self, folder: Path, options: SessionOptions, *, resume: str = "") -> None:
        self.folder = folder
        self.options = options
        self.status = "connecting to the kernel …"
        self._resume = resume
        self._client: AsyncClient | None = None
        self._session: AsyncSession | None = None
        self._running: AsyncSession | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._prompt: PromptSession[str] = PromptSession(
            history=FileHistory(str(_history_file())),
            multiline=True,
            key_bindings=_keys(),
            bottom_toolbar=self._toolbar,
            prompt_continuation=lambda width, number, soft: ". ".rjust(width),
            completer=_completer(),
            complete_while_typing=False,
        )

    async def run(self) -> int:
        """Read and carry out lines until the person leaves; return the exit code."""
        self._connecting = asyncio.create_task(self._connect())
        try:
            while True:
                try:
                    with patch_stdout(raw=True):
                        line = (await self._prompt.prompt_async("> ")).strip()
                except KeyboardInterrupt:
                    continue
                except EOFError:
                    return 0
                if line and not await self._carry_out(line):
                    return 0
        finally:
            if self._connecting is not None:
                self._connecting.cancel()
                # What the kernel says against starting was on the toolbar, or is of no interest any more.
                await asyncio.gather(self._connecting, return_exceptions=True)
            if self._client is not None:
                await self._client.__aexit__(None, None, None)

    async def _carry_out(self, line: str) -> bool:
        """Carry out a line; return whether the shell goes on."""
        from llmasos.shell.commands import COMMANDS
        from llmasos.shell.render import print_error

        name, _, rest = line.partition(" ")
        try:
            if name in ("/quit", "/exit"):
                return False
            if name.startswith("/") and "/" not in name[1:]:
                if name not in COMMANDS:
                    raise LLMasOSError(f"There is no command {name}.", hint="/help lists them.")
                await self._interruptible(COMMANDS[name].run(self, rest.strip()))
            else:
                await self._interruptible(self.turn(line))
        except LLMasOSError as error:
            if isinstance(error, KernelError):
                await self._forget_kernel()
            print_error(error)
        return True

    async def client(self) -> AsyncClient:
        """Return the connected client."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
        try:
            await self._connecting
        except BaseException:
            self._connecting = None
            raise
        assert self._client is not None
        return self._client

    async def session(self) -> AsyncSession:
        """Return the session, beginning one when there is none yet."""
        client = await self.client()
        if self._session is None:
            if self._resume:
                self._session = await client.resume(self._resume)
            else:
                self._session = await client.session(self.folder, **vars(self.options))
            self._resume = self._session.id
            await self._update_status()
        return self._session

    async def switch(self, session: str) -> None:
        """Go on with another session."""
        self._session = await (await self.client()).resume(session)
        self._resume = self._session.id
        self.folder = self._session.folder
        await self._update_status()

    async def ask(self, question: str, *, lower: bool = True) -> str:
        """Ask the person a short question; no answer is an empty one."""
        answer = (await self.edit(question, "") or "").strip()
        return answer.lower() if lower else answer

    async def edit(self, question: str, text: str) -> str | None:
        """Have the person change a text; None when they gave up.

        What was typed before the question was on the screen is no answer to it, and is dropped.
        """
        asking: PromptSession[str] = PromptSession(multiline="\n" in text)
        clear_typeahead(asking.input)
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
        try:
            # Ctrl-C is a key here; taking the signal over as well would leave the turn without its handler.
            return await asking.prompt_async(display(question), default=text, handle_sigint=False)
        except (KeyboardInterrupt, EOFError):
            return None

    async def turn(self, line: str, *, dry_run: bool = False) -> None:
        """Run a turn, show it as it happens, and offer to write what it changed."""
        from llmasos.api import Diff
        from llmasos.events import ApprovalRequested, DiffOffered, TurnFinished
        from llmasos.shell.approval import answer_request
        from llmasos.shell.render import Renderer, make_console, show_diff

        session = await self.session()
        console = make_console()
        renderer = Renderer(console)
        offered: DiffOffered | None = None
        self._running = session
        try:
            async with session.turn(line, dry_run=dry_run) as events:
                async for event in events:
                    renderer.show(event)
                    if isinstance(event, ApprovalRequested) and event.expires is not None:
                        await answer_request(self, session, event)
                    elif isinstance(event, DiffOffered):
                        offered = event
                    elif isinstance(event, TurnFinished) and not event.answer and not event.error:
                        console.print("The model had nothing to say.", style="dim")
        finally:
            self._running = None
        await self._update_status()
        if offered is not None:
            diff = Diff(changes=offered.changes, omitted=offered.omitted, summary=offered.summary)
            show_diff(console, diff)
            if dry_run:
                say("This was a dry run: nothing was written, and the changes were dropped.")
            else:
                await self.offer_commit()

    async def offer_commit(self) -> None:
        """Ask what becomes of the changes that were shown."""
        from llmasos.shell.commands import COMMANDS

        answer = await self.ask("Write these changes to the folder? [y]es / [n]o, drop them / Enter: later ")
        if answer in ("y", "yes"):
            await COMMANDS["/commit"].run(self, "")
        elif answer in ("n", "no"):
            await COMMANDS["/discard"].run(self, "")
        else:
            say("Kept for later: /commit writes the changes, /discard drops them.")

    async def _interruptible(self, work: Awaitable[None]) -> None:
        """Do work that Ctrl-C stops: a running turn through the kernel, so that its end is still shown.

        A second Ctrl-C does not wait for the kernel.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work)
        cancelling: set[asyncio.Task[None]] = set()

        def interrupted() -> None:
            say()  # the terminal has written ^C
            if self._running is None or cancelling:
                task.cancel()
            else:
                cancelling.add(asyncio.create_task(_cancel(self._running)))

        loop.add_signal_handler(signal.SIGINT, interrupted)
        try:
            await task
        except asyncio.CancelledError:
            say("Stopped.")
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            await asyncio.gather(*cancelling)

    async def _connect(self) -> None:
        # Loading the client takes longer than drawing the prompt; a thread keeps the keys responsive.
        await asyncio.to_thread(_load_client)
        from llmasos.client import AsyncClient

        client = AsyncClient(progress=lambda text: self._show(f"starting the kernel … {text}"), name=CLIENT)
        if not client.socket.exists():
            self._show("starting the kernel …")
        try:
            await client.__aenter__()
        except LLMasOSError as error:
            self._show(f"no kernel: {error.message}")
            raise
        self._client = client
        await client.warm(self.options.model)
        await self._update_status()

    async def _forget_kernel(self) -> None:
        if self._client is not None:
            await self._client.__aexit__(None, None, None)
            self._show("the kernel has gone; the next request starts it again")
        self._client = self._session = self._connecting = None

    async def _update_status(self) -> None:
        assert self._client is not None
        info = await self._client.info()
        model = self._session.model if self._session is not None and self._session.model else info.model
        parts = [self.folder.name or str(self.folder), model, info.sandbox]
        if self._session is not None and self._session.in_place:
            parts.append("in place")
        ledger = info.ledger
        if ledger.head_block is None:
            parts.append("ledger: the chain is starting")
        else:
            parts.append(f"ledger {ledger.confirmed}/{ledger.records}" + (" !" if ledger.error else ""))
        if self._session is not None:
            parts.append(self._session.id)
        self._show(" · ".join(parts))

    def _toolbar(self) -> StyleAndTextTuples:
        columns = self._prompt.app.output.get_size().columns
        return [("fg:ansibrightblack", fit(self.status, columns))]

    def _show(self, status: str) -> None:
        self.status = display(status)
        if self._prompt.app.is_running:
            self._prompt.app.invalidate()


async def _cancel(session: AsyncSession) -> None:
    # A kernel that has gone is told by the turn's own stream.
    with contextlib.suppress(LLMasOSError):
        await session.cancel()


def _load_client() -> None:
    import llmasos.client  # noqa: F401


def _history_file() -> Path:
    file = paths.private_dir(paths.data_dir()) / "history"
    file.touch(mode=0o600, exist_ok=True)
    return file


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _accept(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    @keys.add("c-j")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def _completer() -> WordCompleter:
    from llmasos.shell.commands import COMMANDS

    return WordCompleter([*COMMANDS, "/quit"], sentence=True)
