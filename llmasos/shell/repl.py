"""The interactive shell: lines that a person sends, carried out one after the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmasos.display import display
from llmasos.errors import KernelError, LLMasOSError
from llmasos.language import translated, use_language
from llmasos.shell.ask import CLIENT
from llmasos.shell.folds import Folds
from llmasos.shell.known import Known
from llmasos.shell.output import say
from llmasos.shell.screen import Line, Screen
from llmasos.shell.status import status_line
from llmasos.shell.words import count, english_answer

if TYPE_CHECKING:
    from rich.console import Console

    from llmasos.client import AsyncClient, AsyncSession
    from llmasos.events import FileChange
    from llmasos.shell.render import Renderer


_CHAIN_SECONDS = 1.0


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
        screen: Where the person types and reads.
        resume: The session to go on with, or empty for a new one.
    """

    def __init__(self, folder: Path, options: SessionOptions, screen: Screen, *, resume: str = "") -> None:
        self.folder = folder
        self.options = options
        self.screen = screen
        self.folds = Folds()
        self.known = Known()
        self.renderer: Renderer | None = None
        self.changed: tuple[str, ...] = ()
        self.kept: tuple[FileChange, ...] = ()
        self._resume = resume
        self._client: AsyncClient | None = None
        self._session: AsyncSession | None = None
        self._running: AsyncSession | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._errands: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Carry out lines until the person leaves; return the exit code."""
        with self.screen.open():
            self._show("connecting to the kernel …")
            self._connecting = asyncio.create_task(self._connect())
            try:
                if self._resume:
                    await self.session()
                    await self._guarded(self._take_up())
                else:
                    say("Say what you want. /help has the commands and the keys.")
                while await self._carry_out(await self.screen.next_line()):
                    pass
            except EOFError:
                pass
            finally:
                if unsent := self.screen.unsent():
                    say(f"Not sent: {count(unsent, 'line')} that waited. ↑ finds them again.")
                await self._end()
        return 0

    async def _carry_out(self, line: Line) -> bool:
        """Carry out a line; return whether the shell goes on."""
        from llmasos.shell.commands import COMMANDS
        from llmasos.shell.render import say_line

        if not line.text:
            return True
        say_line(line.text)
        name, _, rest = line.text.partition(" ")
        if line.text in ("/quit", "/exit", "quit", "exit"):
            return False
        if name.startswith("/") and "/" not in name[1:]:
            work = COMMANDS[name].run(self, rest.strip()) if name in COMMANDS else self._own(line)
        else:
            work = self.send(line)
        return await self._guarded(self._in_turn(work, line))

    async def _in_turn(self, work: Awaitable[None], line: Line) -> None:
        """Do what a line asks for; while a turn that was begun elsewhere runs, it waits."""
        try:
            await work
        except LLMasOSError as error:
            if error.code != "running":
                raise
            from llmasos.shell.turn import follow_running

            self.screen.put_back(line)
            await follow_running(self, await self.session())

    async def _own(self, line: Line) -> None:
        from llmasos.shell.own.running import run_own

        await run_own(self, line)

    async def send(self, line: Line) -> None:
        """Carry out a line that is no command of the shell."""
        from llmasos.shell.turn import run_command, run_turn

        if line.text.startswith("!"):
            await run_command(self, line.text[1:].strip())
        else:
            await run_turn(self, line)

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

    @property
    def connected(self) -> bool:
        """Whether the kernel has answered."""
        return self._client is not None

    async def session(self) -> AsyncSession:
        """Return the session, beginning one when there is none yet."""
        client = await self.client()
        if self._session is None:
            if self._resume:
                self._session = await client.resume(self._resume)
            else:
                self._session = await client.session(self.folder, **vars(self.options))
            self._resume = self._session.id
            self.folder = self._session.folder
            await self.update_status()
        return self._session

    async def switch(self, session: str) -> None:
        """Go on with another session."""
        self._session = await (await self.client()).resume(session)
        self._resume = self._session.id
        self.folder = self._session.folder
        await self.update_status()

    async def ask(self, question: str, *, lower: bool = True) -> str:
        """Ask the person a short question; no answer is an empty one."""
        answer = (await self.screen.ask(translated(question)) or "").strip()
        return english_answer(answer) if lower else answer

    async def agreed(self, question: str) -> bool:
        """Ask the person for a yes; what is neither yes nor no is the next thing that they want."""
        said = await self.ask(question, lower=False)
        answer = english_answer(said)
        if answer not in ("", "y", "yes", "n", "no"):
            self.screen.put_back(Line(said))
        return answer in ("y", "yes")

    async def edit(self, question: str, text: str) -> str | None:
        """Have the person change a text; None when they gave up."""
        return await self.screen.ask(question, text)

    def make_renderer(self, console: Console, *, text: bool = True, joined: bool = False) -> Renderer:
        """Return what writes events above the prompt.

        Args:
            console: Where they are written.
            text: Whether the model's words are, too.
            joined: Whether the beginning of what the model says now was missed.
        """
        from llmasos.shell.render import Renderer

        defaults = self.known.defaults
        return Renderer(console, text=text, folds=self.folds, beneath=True, defaults=defaults, joined=joined)

    @contextlib.contextmanager
    def shown(self, renderer: Renderer, session: AsyncSession) -> Iterator[None]:
        """Show what a renderer has beneath the written lines, and let Ctrl-C cancel the session's turn."""
        self.renderer, self._running = renderer, session
        try:
            yield
        finally:
            self.renderer = self._running = None

    def errand(self, work: Awaitable[None]) -> None:
        """Do something beside what is carried out."""

        async def done() -> None:
            await self._guarded(work, stoppable=False)

        task = asyncio.create_task(done())
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def update_status(self) -> None:
        """Show how things stand."""
        client = await self.client()
        info = await client.info()
        session = await self._session.info() if self._session is not None else None
        self._show(status_line(self.folder, info, session))

    async def _guarded(self, work: Awaitable[None], *, stoppable: bool = True) -> bool:
        """Do work, and say what went wrong; return whether the shell goes on.

        Args:
            work: The work.
            stoppable: Whether the person can stop it.
        """
        from llmasos.shell.render import print_error

        try:
            if stoppable:
                return await self._interruptible(work)
            await work
        except LLMasOSError as error:
            if isinstance(error, KernelError):
                await self._forget_kernel()
            print_error(error)
        except Exception as error:
            # A fault of ours costs this line, and not the shell with what waits in it.
            told = f"The shell failed at this: {type(error).__name__}: {error}"
            print_error(LLMasOSError(told, hint="What was done so far is kept; /sessions lists it."))
        return True

    async def _interruptible(self, work: Awaitable[None]) -> bool:
        """Do work that can be stopped: a running turn through the kernel, so that its end is still shown.

        Who insists does not wait for the kernel; who leaves has a turn go on.
        """
        task = asyncio.ensure_future(_done(work))
        left = asyncio.create_task(self.screen.left())
        cancelling: set[asyncio.Task[None]] = set()

        def stop() -> None:
            if self._running is None or cancelling:
                for each in (task, *cancelling):
                    each.cancel()
            else:
                cancelling.add(asyncio.create_task(_cancel(self._running)))

        try:
            with self.screen.busy(stop, self._live):
                await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                running = self._running
                # What was said so far is written to its end first.
                task.cancel()
                await asyncio.wait({task})
                if running is not None:
                    say(f"The turn goes on: llmasos --resume {running.id}")
                return False
            await task
        except asyncio.CancelledError:
            if not task.done():
                raise
            say("Stopped.")
        finally:
            task.cancel()
            left.cancel()
            await asyncio.gather(task, left, *cancelling, return_exceptions=True)
        return True

    def _live(self, columns: int) -> str:
        return self.renderer.live(columns) if self.renderer is not None else ""

    async def _take_up(self) -> None:
        from llmasos.shell.turn import show_last_turns

        await show_last_turns(self, await self.session())

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
        info = await client.info()
        self.screen.use_keys(info.keys == "vi")
        use_language(info.language)
        self._show(status_line(self.folder, info, None))
        self.errand(self._settle(client))

    async def _settle(self, client: AsyncClient) -> None:
        """Do what can wait until the person has sent something."""
        from llmasos.shell.settings import say_differing

        await asyncio.to_thread(_load_turn)
        with contextlib.suppress(LLMasOSError):
            await say_differing(client)
            await self.known.learn(client)
            while (await client.info()).ledger.head_block is None:
                await asyncio.sleep(_CHAIN_SECONDS)
            await self.update_status()

    async def _forget_kernel(self) -> None:
        if self._client is not None:
            await self._client.__aexit__(None, None, None)
            self._show("the kernel has gone; the next request starts it again")
        self._client = self._session = self._connecting = None

    async def _end(self) -> None:
        tasks = [*self._errands, *([self._connecting] if self._connecting is not None else [])]
        for task in tasks:
            task.cancel()
        # What the kernel says against starting was on the screen, or is of no interest any more.
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.__aexit__(None, None, None)

    def _show(self, status: str) -> None:
        self.screen.show_status(display(translated(status)))


async def _done(work: Awaitable[None]) -> None:
    await work


async def _cancel(session: AsyncSession) -> None:
    # A kernel that has gone is told by the turn's own stream.
    with contextlib.suppress(LLMasOSError):
        await session.cancel()


def _load_client() -> None:
    import llmasos.client  # noqa: F401


def _load_turn() -> None:
    import llmasos.shell.turn  # noqa: F401
