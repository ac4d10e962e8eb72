"""The interactive shell: a prompt, turns as they happen, and the diff before anything is written."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.formatted_text import HTML
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.patch_stdout import patch_stdout

from llmasos import paths
from llmasos.errors import KernelError, LLMasOSError

if TYPE_CHECKING:
    from llmasos.client import AsyncClient, AsyncSession
    from llmasos.events import ApprovalRequested


class Shell:
    """The shell on one folder.

    The prompt is on the screen before the client's libraries are loaded and the kernel is asked; both
    happen while the person types.

    Args:
        folder: The folder to work on.
        model: The model, or empty for the default.
        resume: The session to go on with, or empty for a new one.
    """

    def __init__(self, folder: Path, *, model: str = "", resume: str = "") -> None:
        self.folder = folder
        self.model = model
        self.status = "connecting to the kernel …"
        self._resume = resume
        self._client: AsyncClient | None = None
        self._session: AsyncSession | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._prompt: PromptSession[str] = PromptSession(
            history=FileHistory(str(_history_file())),
            multiline=True,
            key_bindings=_keys(),
            bottom_toolbar=lambda: HTML("<style fg='ansibrightblack'>{}</style>").format(self.status),
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
            self._connecting.cancel()
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
                await self._turn(line)
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
                self._session = await client.session(self.folder, model=self.model)
            self._resume = self._session.id
            await self._update_status()
        return self._session

    async def switch(self, session: str) -> None:
        """Go on with another session."""
        self._session = await (await self.client()).resume(session)
        self._resume = self._session.id
        self.folder = self._session.folder
        await self._update_status()

    async def ask(self, question: str) -> str:
        """Ask the person a short question; no answer is an empty one."""
        asking: PromptSession[str] = PromptSession()
        try:
            return (await asking.prompt_async(question)).strip().lower()
        except (KeyboardInterrupt, EOFError):
            return ""

    async def _turn(self, line: str) -> None:
        from llmasos.api import Diff
        from llmasos.events import ApprovalRequested, DiffOffered, TurnFinished
        from llmasos.shell.render import Renderer, make_console, show_diff

        session = await self.session()
        console = make_console()
        renderer = Renderer(console)
        offered: DiffOffered | None = None
        with _on_interrupt(session.cancel):
            async with session.turn(line) as events:
                async for event in events:
                    renderer.show(event)
                    if isinstance(event, ApprovalRequested):
                        await self._approve(session, event)
                    elif isinstance(event, DiffOffered):
                        offered = event
                    elif isinstance(event, TurnFinished) and not event.answer and not event.error:
                        console.print("[dim]The model had nothing to say.[/]")
        await self._update_status()
        if offered is not None:
            show_diff(console, Diff(changes=offered.changes, omitted=offered.omitted))
            await self.offer_commit()

    async def offer_commit(self) -> None:
        """Ask what becomes of the changes that were shown."""
        from llmasos.shell.commands import COMMANDS

        answer = await self.ask("Write these changes to the folder? [y]es / [n]o, drop them / Enter: later ")
        if answer in ("y", "yes"):
            await COMMANDS["/commit"].run(self, "")
        elif answer in ("n", "no"):
            await COMMANDS["/discard"].run(self, "")

    async def _approve(self, session: AsyncSession, request: ApprovalRequested) -> None:
        from llmasos.events import display

        arguments = "\n".join(
            f"  {name} = {display(str(value), keep_newlines=True)}"
            for name, value in request.arguments.items()
        )
        print(f"{request.tool} asks for your approval: {display(request.reason)}\n{arguments}")
        answer = await self.ask("Allow it this once? [y/N] ")
        await session.answer(request.action, request.digest, approve=answer in ("y", "yes"))

    async def _interruptible(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)

        async def cancel() -> None:
            task.cancel()

        with _on_interrupt(cancel):
            try:
                await task
            except asyncio.CancelledError:
                print("Stopped.")

    async def _connect(self) -> None:
        # Loading the client takes longer than drawing the prompt; a thread keeps the keys responsive.
        await asyncio.to_thread(_load_client)
        from llmasos.client import AsyncClient

        client = AsyncClient()
        if not client.socket.exists():
            self._show("starting the kernel …")
        try:
            await client.__aenter__()
        except LLMasOSError as error:
            self._show(f"no kernel: {error.message}")
            raise
        self._client = client
        await self._update_status()

    async def _forget_kernel(self) -> None:
        if self._client is not None:
            await self._client.__aexit__(None, None, None)
        self._client = self._session = self._connecting = None
        self._show("the kernel has gone; the next request starts it again")

    async def _update_status(self) -> None:
        assert self._client is not None
        info = await self._client.info()
        model = self._session.model if self._session is not None and self._session.model else info.model
        parts = [self.folder.name or str(self.folder), model, info.sandbox]
        ledger = info.ledger
        parts.append(f"ledger {ledger.confirmed}/{ledger.records}" + (" !" if ledger.error else ""))
        if self._session is not None:
            parts.append(self._session.id)
        self._show(" · ".join(parts))

    def _show(self, status: str) -> None:
        self.status = status
        if self._prompt.app.is_running:
            self._prompt.app.invalidate()


class _on_interrupt:
    """Calls back on Ctrl-C, instead of ending the shell."""

    def __init__(self, callback: Callable[[], Awaitable[None]]) -> None:
        self._callback = callback
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._interrupted)

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)

    def _interrupted(self) -> None:
        task = asyncio.ensure_future(self._callback())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


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
