"""A sandbox without walls, for tests of what uses sandboxes: it runs on a plain folder."""

from __future__ import annotations

import ast
import contextlib
import fnmatch
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread

from llmasos.errors import SandboxError, ToolError
from llmasos.sandbox.port import (
    Artifact,
    FileContent,
    FileError,
    FileInfo,
    Job,
    JobOutput,
    Listing,
    Match,
    Matches,
    OnCall,
    OnOutput,
    OnRefused,
    Outcome,
    View,
    ViewKind,
)

# A test that means to show that a command is refused must not cost the machine its files when it is not.
_GUARD = """
import os, sys
sys.path.insert(0, sys.argv[1])
from worker.landlock import restrict, version
if version():
    restrict(["/"], [*sys.argv[2:4], "/dev"])
os.execvp(sys.argv[4], sys.argv[4:])
"""


class FakeSandbox:
    """Runs commands as subprocesses and cells in this process, directly in `folder`.

    A cell's timeout is not kept; a command's is. Where the kernel has Landlock, commands change nothing but
    the folder and temporary files; cells may change everything.
    """

    def __init__(self, folder: Path, *, backend: str = "fake") -> None:
        self.backend = backend
        self.folder = folder
        self.closed = False
        self.lost = False
        self._namespace = _namespace()
        self.home: dict[str, str] = {}
        self._environment: dict[str, str] = {}
        self._states: dict[str, dict[str, Any]] = {}
        self._jobs: dict[str, tuple[Job, str]] = {}

    async def run_command(
        self,
        command: str | Sequence[str],
        *,
        timeout: float,
        on_output: OnOutput | None = None,
        env: Mapping[str, str] | None = None,
        keep_background: bool = False,
    ) -> Outcome:
        """Run a line of bash, or a program, in the folder."""
        started = time.monotonic()
        with anyio.move_on_after(timeout) as scope:
            done = await anyio.run_process(
                [
                    *(sys.executable, "-S", "-c", _GUARD, str(Path(__file__).parent)),
                    *(str(self.folder), tempfile.gettempdir()),
                    *(["/bin/bash", "-c", command] if isinstance(command, str) else command),
                ],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, **self._environment, **(env or {})},
                check=False,
            )
        seconds = time.monotonic() - started
        if scope.cancelled_caught:
            return Outcome(status="timeout", seconds=seconds, backend=self.backend)
        output = done.stdout.decode("utf-8", "replace")
        if on_output and output:
            on_output("stdout", output)
        return Outcome(
            status="ok" if done.returncode == 0 else "failed",
            exit_code=done.returncode,
            output=output,
            seconds=seconds,
            backend=self.backend,
        )

    async def run_python(
        self,
        code: str,
        *,
        timeout: float,
        on_output: OnOutput | None = None,
        on_call: OnCall | None = None,
        functions: Mapping[str, tuple[str, ...]] | None = None,
        fresh: bool = False,
    ) -> Outcome:
        """Run a cell in this process; `keep(data, name)` inside hands out bytes."""
        started = time.monotonic()
        names = _namespace() if fresh else self._namespace
        kept: list[Artifact] = []
        names["keep"] = lambda data, name="file": kept.append(_artifact(len(kept) + 1, data))
        for name, parameters in (functions or {}).items():
            names[name] = _function(name, parameters, on_call)
        ok, output, result = await anyio.to_thread.run_sync(_cell, code, names)
        if on_output and output:
            on_output("stdout", output)
        return Outcome(
            status="ok" if ok else "failed",
            exit_code=0 if ok else 1,
            output=output,
            result=result,
            seconds=time.monotonic() - started,
            backend=self.backend,
            artifacts=tuple(kept),
        )

    async def set_environment(self, variables: Mapping[str, str]) -> None:
        """Add variables to those that commands and jobs see; cells run in this process."""
        self._environment.update(variables)

    async def furnish(self, files: Mapping[str, str]) -> None:
        """Remember what the home would hold; commands see that of whoever runs them."""
        self.home.update(files)

    async def save_state(self, name: str) -> None:
        """Keep a shallow copy of the variables."""
        self._states[name] = dict(self._namespace)

    async def restore_state(self, name: str) -> None:
        """Go back to variables that were kept."""
        if name not in self._states:
            raise SandboxError(f"No state is kept under the name {name!r}.")
        self._namespace = dict(self._states[name])

    async def start_job(self, command: str, *, env: Mapping[str, str] | None = None) -> Job:
        """Run a line of bash to its end at once, and keep what it printed."""
        outcome = await self.run_command(command, timeout=60, env=env)
        job = Job(
            id=f"j-{len(self._jobs) + 1}",
            command=command,
            running=False,
            exit_code=outcome.exit_code,
            written=len(outcome.output.encode()),
        )
        self._jobs[job.id] = (job, outcome.output)
        return job

    async def jobs(self) -> Sequence[Job]:
        """Return the jobs started so far."""
        return [job for job, _ in self._jobs.values()]

    async def job_output(self, job: str, *, offset: int = 0, wait: float = 0.0) -> JobOutput:
        """Return what a job has printed."""
        if job not in self._jobs:
            raise ToolError(f"There is no job {job!r}.", hint="background_jobs lists them.")
        known, output = self._jobs[job]
        return JobOutput(text=output.encode()[offset:].decode(errors="replace"), offset=offset, job=known)

    async def stop_job(self, job: str) -> Job:
        """Return a job, which has long ended."""
        return (await self.job_output(job)).job

    async def read(self, path: str, *, offset: int = 0, limit: int = 1_000_000) -> FileContent:
        """Read a piece of a file."""
        file = self._resolve(path)
        if not file.is_file():
            raise ToolError(f"{path}: no such file")
        data = file.read_bytes()
        return FileContent(data=data[offset : offset + limit], size=len(data), offset=offset)

    async def write(self, path: str, data: bytes) -> None:
        """Write a whole file."""
        file = self._resolve(path)
        if file.is_dir():
            raise ToolError(f"{path} is a folder")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    async def stat(self, path: str) -> FileInfo:
        """Describe a path."""
        file = self._resolve(path)
        try:
            size = file.stat().st_size
        except OSError as error:
            raise FileError(f"{path}: {error.strerror}", errno=error.errno or 0) from None
        return FileInfo(path=path, kind="folder" if file.is_dir() else "file", size=size)

    async def scan(self, path: str) -> Sequence[FileInfo]:
        """Describe everything in a folder."""
        return [await self.stat(f"{path}/{file.name}") for file in sorted(self._resolve(path).iterdir())]

    async def make_folder(self, path: str) -> None:
        """Make a folder."""
        self._resolve(path).mkdir(parents=True, exist_ok=True)

    async def remove(self, path: str) -> None:
        """Remove a file or a folder."""
        file = self._resolve(path)
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink()

    async def realpath(self, path: str) -> str:
        """Resolve links."""
        return str((self.folder / path).resolve())

    async def list(
        self, path: str = ".", *, pattern: str = "*", depth: int | None = None, limit: int = 1000
    ) -> Listing:
        """List a folder."""
        top = self._resolve(path)
        if not top.is_dir():
            raise ToolError(f"{path} is not a folder")
        entries = []
        for file in sorted(top.rglob("*")):
            shown = file.relative_to(self.folder).as_posix()
            if (depth is not None and len(file.relative_to(top).parts) > depth) or ".git" in file.parts:
                continue
            if fnmatch.fnmatch(shown if "/" in pattern else file.name, pattern):
                kind = "link" if file.is_symlink() else "folder" if file.is_dir() else "file"
                entries.append(FileInfo(path=shown, kind=kind, size=file.lstat().st_size))
        return Listing(entries=tuple(entries[:limit]), omitted=max(0, len(entries) - limit))

    async def search(self, pattern: str, *, path: str = ".", glob: str = "*", limit: int = 200) -> Matches:
        """Find lines."""
        try:
            wanted = re.compile(pattern)
        except re.error as error:
            raise ToolError(f"the pattern is not a regular expression: {error}") from None
        if self._resolve(path).is_file():
            entries: Sequence[FileInfo] = [await self.stat(path)]
        else:
            entries = (await self.list(path, pattern=glob, limit=1_000_000)).entries
        matches = []
        for entry in entries:
            if entry.kind == "file":
                text = (self.folder / entry.path).read_text(errors="replace")
                for line, words in enumerate(text.splitlines(), 1):
                    if wanted.search(words):
                        matches.append(Match(path=entry.path, line=line, text=words))
        return Matches(matches=tuple(matches[:limit]), omitted=max(0, len(matches) - limit))

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = self.lost = True

    def _resolve(self, path: str) -> Path:
        full = (self.folder / path).resolve()
        if not full.is_relative_to(self.folder.resolve()):
            raise ToolError(f"{path} lies outside the folder")
        return full


class FakeProvider:
    """Opens fake sandboxes, on the view's copy of the folder or on another folder."""

    def __init__(self, folder: Path | None = None, *, backend: str = "fake") -> None:
        self.backend = backend
        self.reason = "A fake was asked for."
        self.view_kind: ViewKind = "snapshot"
        self.folder = folder
        self.opened: list[FakeSandbox] = []
        self.hosts: tuple[str, ...] = ()

    async def open(
        self, view: View, *, session: str, hosts: Sequence[str] = (), on_refused: OnRefused | None = None
    ) -> FakeSandbox:
        """Open a fake sandbox."""
        self.hosts = tuple(hosts)
        sandbox = FakeSandbox(self.folder or view.upper, backend=self.backend)
        self.opened.append(sandbox)
        return sandbox

    async def warm(self) -> None:
        """Nothing has to be warm."""

    async def sweep(self, states: Path) -> None:
        """Nothing is left behind."""

    async def close(self) -> None:
        """Close every sandbox that was opened."""
        for sandbox in self.opened:
            await sandbox.close()


def _function(name: str, parameters: tuple[str, ...], on_call: OnCall | None) -> Callable[..., object]:
    def function(*args: object, **kwargs: object) -> object:
        if on_call is None:
            raise ToolError(f"{name} cannot be called here.")
        arguments = {**dict(zip(parameters, args, strict=False)), **kwargs}

        async def call() -> object:
            return await on_call(name, arguments)

        return anyio.from_thread.run(call)

    return function


def _namespace() -> dict[str, Any]:
    return {"__name__": "__main__", "ToolError": ToolError}


def _artifact(number: int, data: bytes) -> Artifact:
    return Artifact(name=f"file-{number}.bin", media_type="application/octet-stream", data=data)


def _cell(code: str, names: dict[str, Any]) -> tuple[bool, str, str]:
    output = io.StringIO()
    result = ""
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            tree = ast.parse(code, "<cell>")
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, "<cell>", "exec"), names)  # noqa: S102
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)  # noqa: S307
                result = "" if value is None else repr(value)
        except Exception:
            output.write(traceback.format_exc(limit=-1))
            return False, output.getvalue(), ""
    return True, output.getvalue(), result
