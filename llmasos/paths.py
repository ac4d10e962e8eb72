"""Where things lie on this machine, without importing anything heavy."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from platformdirs import PlatformDirs

from llmasos.errors import ConfigError

_DIRS = PlatformDirs("llmasos", appauthor=False)


def data_dir() -> Path:
    """Return the folder for the database, the chain and workspaces."""
    return _override("LLMASOS_DATA_DIR") or Path(_DIRS.user_data_dir)


def cache_dir() -> Path:
    """Return the folder for what can be fetched or made again: models, images, prompt caches."""
    return _override("LLMASOS_CACHE_DIR") or Path(_DIRS.user_cache_dir)


def config_dir() -> Path:
    """Return the folder of the user's configuration file."""
    return _override("LLMASOS_CONFIG_DIR") or Path(_DIRS.user_config_dir)


def runtime_dir() -> Path:
    """Return the folder of the kernel's socket."""
    return _override("LLMASOS_RUNTIME_DIR") or _system_runtime_dir() / "llmasos"


def kernel_socket() -> Path:
    """Return the path of the kernel's Unix socket."""
    return runtime_dir() / "kernel.sock"


def private_dir(path: Path) -> Path:
    """Make a folder that only this user can enter, and return it.

    Raises:
        ConfigError: The folder belongs to somebody else, or cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = path.lstat()
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
            raise ConfigError(
                f"{path} is not a folder of yours.", hint="Remove it, or choose another with LLMASOS_*_DIR."
            )
        if stat.S_IMODE(info.st_mode) & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise ConfigError(
            f"Cannot use the folder {path}: {error.strerror}.",
            hint="Free space or fix its permissions, or choose another with LLMASOS_*_DIR.",
        ) from error
    return path


def _system_runtime_dir() -> Path:
    """Return the folder of the XDG base directory specification, or one of the user's own in its place."""
    for candidate in (os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{os.getuid()}"):
        if candidate and os.access(candidate, os.W_OK):
            return Path(candidate)
    return private_dir(Path(tempfile.gettempdir()) / f"runtime-{os.getuid()}")


def _override(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else None


def write_whole(file: Path, text: str) -> None:
    """Write a file of ours in a private folder; a crash leaves what it held before, or the text.

    Raises:
        ConfigError: The folder is not this user's.
        OSError: It cannot be written.
    """
    private_dir(file.parent)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as part:
            part.write(text)
            part.flush()
            os.fsync(part.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
