"""The settings that the shell was started with: whether they can be used, and whether the kernel has them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from llmasos import paths
from llmasos.shell.output import say_wrapped

if TYPE_CHECKING:
    from llmasos.client import AsyncClient
    from llmasos.config import Settings
    from llmasos.strays import Stray

# What the shell itself obeys, whatever the kernel has.
_OWN = "shell.language"


def check_settings() -> Settings:
    """Return the settings, and say which variables and keys of the configuration file set nothing.

    Raises:
        ConfigError: A setting has a wrong value, or the file cannot be read.
    """
    from llmasos.config import load_settings
    from llmasos.strays import strays

    settings = load_settings()
    for stray in strays(os.environ, paths.config_dir() / "config.toml"):
        say_wrapped(_stray_line(stray), 2)
    return settings


async def say_differing(client: AsyncClient) -> None:
    """Say which settings the kernel was started with otherwise, as those given here have no effect."""
    from llmasos.amounts import some
    from llmasos.config import load_settings
    from llmasos.fingerprints import differing

    known = await client.fingerprints()
    names = [name for name in differing(load_settings(), known.settings, known.key) if name != _OWN]
    if names:
        say_wrapped(
            f"The kernel runs with other settings than are given here: {some(names)}. "
            "`llmasos stop` ends it; the next request starts it with these.",
            2,
        )


def _stray_line(stray: Stray) -> str:
    place = f" in {stray.file}" if stray.file else ""
    meant = f" Did you mean {stray.meant}?" if stray.meant else ""
    return f"{stray.name}{place} sets nothing, as there is no such setting.{meant}"
