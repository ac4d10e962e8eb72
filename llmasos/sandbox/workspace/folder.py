"""A person's folder as it lies on the disk: whether it can be used, what is in it, and whether it changed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import stat
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from llmasos import paths
from llmasos.errors import WorkspaceError
from llmasos.events import display
from llmasos.sandbox.workspace.files import join, too_deep
from llmasos.sandbox.workspace.secrets import Secrets

_LISTED = 24
_LISTED_FOLDERS = 12
_RETRY_SECONDS = 0.02


def files(folder: str, secrets: Secrets, most: int) -> Iterator[str]:
    """Yield up to `most` files below a folder, relative to it, leaving out secrets and folders with a dot."""
    pending = [""]
    while pending:
        here = pending.pop()
        try:
            with os.scandir(os.path.join(folder, here)) as entries:
                found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        except OSError:
            continue
        for name, is_folder in found:
            if is_folder:
                if not name.startswith(".") and not secrets.match(here, name):
                    pending.append(join(here, name))
            elif not secrets.match(here, name):
                if most == 0:
                    return
                most -= 1
                yield join(here, name)


def outline(names: Sequence[str]) -> str:
    """Return in a few lines which files there are: by name when they are few, else by folder and ending.

    Args:
        names: Paths of files relative to the folder, those nearest to the top first.
    """
    if len(names) <= _LISTED:
        return f"Files: {', '.join(map(display, names)) or 'none'}"
    top = [name for name in names if "/" not in name]
    below: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name in names[len(top) :]:
        below[name.partition("/")[0]][os.path.splitext(name)[1] or "other"] += 1
    lines = [f"Files: {', '.join(map(display, top[:_LISTED]))}" + (" …" if len(top) > _LISTED else "")]
    for folder, endings in list(below.items())[:_LISTED_FOLDERS]:
        most = ", ".join(f"{count} {display(ending)}" for ending, count in endings.most_common(3))
        lines.append(f"{display(folder)}/: {most}")
    return "\n".join(lines)


def usable(folder: Path, state: Path) -> Path:
    """Return the folder's real path.

    Raises:
        WorkspaceError: It is not there, is not a folder, cannot be read, or holds the system's own state.
    """
    try:
        real = folder.expanduser().resolve(strict=True)
    except FileNotFoundError:
        if state.exists():
            raise folder_gone(folder) from None
        raise WorkspaceError(
            f"There is no folder {folder}.", hint="Make it, or name another with -C."
        ) from None
    except OSError as error:
        raise WorkspaceError(f"The folder {folder} cannot be opened: {error.strerror}.") from error
    if not real.is_dir():
        raise WorkspaceError(f"{folder} is not a folder.", hint="Name the folder that holds it, with -C.")
    if not os.access(real, os.R_OK | os.X_OK):
        raise WorkspaceError(f"The folder {folder} cannot be read.", hint="Check its permissions.")
    for own, what, variable in (
        (state, "data", "LLMASOS_DATA_DIR"),
        (paths.config_dir(), "settings and rules", "LLMASOS_CONFIG_DIR"),
    ):
        if own.resolve().is_relative_to(real):
            raise WorkspaceError(
                f"{folder} holds the system's own {what} ({own}).",
                hint=f"Choose a folder further down, or move them with {variable}.",
            )
    return real


def folder_gone(folder: Path) -> WorkspaceError:
    """Return the error for a session's folder that was there when the session began."""
    return WorkspaceError(
        f"The folder {folder} is not there any more.",
        hint="Put it back, or work in another one: `llmasos -C DIR`.",
    )


@contextlib.contextmanager
def locked(folder: Path, patience: float) -> Iterator[None]:
    """Keep other sessions from changing a folder meanwhile.

    Args:
        folder: The folder.
        patience: Seconds to wait for whoever has locked it.

    Raises:
        WorkspaceError: It stays locked; code that works in place can do that as well as another session.
            Or it is gone, or cannot be opened any more.
    """
    try:
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        raise folder_gone(folder) from None
    except OSError as error:
        raise WorkspaceError(
            f"The folder {folder} cannot be opened: {error.strerror}.", hint="Check its permissions."
        ) from error
    try:
        end = time.monotonic() + patience
        while not _lock(number):
            if time.monotonic() >= end:
                raise WorkspaceError(
                    f"The folder {folder} has been locked by another program for {patience:g} s.",
                    hint=f"Wait for it, or end it: `fuser {shlex.quote(str(folder))}` names it.",
                )
            time.sleep(_RETRY_SECONDS)
        yield
    finally:
        os.close(number)


def _lock(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def changed_since(folder: Path, moment: int) -> bool:
    """Tell whether anything below a folder, `.git` left out, was changed after a moment.

    Args:
        folder: The folder.
        moment: A time in ns, as the file system has it.
    """
    pending = [""]
    while pending:
        here = pending.pop()
        full = os.path.join(folder, here)
        try:
            if os.lstat(full).st_ctime_ns > moment:
                return True
            with os.scandir(full) as entries:
                for entry in entries:
                    info = entry.stat(follow_symlinks=False)
                    if info.st_ctime_ns > moment:
                        return True
                    inner = join(here, entry.name)
                    # What is too deep is not shown either.
                    if stat.S_ISDIR(info.st_mode) and entry.name != ".git" and not too_deep(inner):
                        pending.append(inner)
        except PermissionError:
            continue  # What we cannot read, the sandbox cannot either.
        except FileNotFoundError:
            return True
    return False
