"""Asking a plugin what tools it has: in a jail without files, network and time, since that runs its code."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path
from subprocess import DEVNULL, PIPE

import anyio
import anyio.to_thread
from anyio.abc import ByteReceiveStream
from pydantic import ValidationError

import llmasos
from llmasos.errors import ToolError
from llmasos.sandbox import machine_mounts
from llmasos.sandbox.worker.channel import parse
from llmasos.tools.plugins.bundle import Bundle
from llmasos.tools.plugins.definition import Definition
from llmasos.tools.plugins.discovery import Plugin
from llmasos.tools.schema import check_schema

_SECONDS = 30.0
_LARGEST = 1_000_000
_INSIDE = "/plugin"
_TMP = 64 << 20


async def describe(plugin: Plugin, bundle: Bundle) -> tuple[Definition, ...]:
    """Return the tools of a plugin.

    Raises:
        ToolError: It fails or hangs while it is imported, or what it has cannot be a tool; or this machine
            has no jail to look at it in.
    """
    with tempfile.TemporaryDirectory(prefix="llmasos-plugin-") as name:
        await anyio.to_thread.run_sync(_unpack, bundle, Path(name))
        said = await _asked(plugin, Path(name))
    try:
        told = parse(said)
        if error := told.get("error"):
            raise ToolError(f"The plugin {plugin.name} cannot be used: {error}")
        found = tuple(Definition.model_validate(one) for one in told["tools"])
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        raise ToolError(
            f"The plugin {plugin.name} describes a tool as none can be: "
            f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ToolError(f"The plugin {plugin.name} ended while it was imported.") from None
    if len({tool.name for tool in found}) < len(found):
        raise ToolError(f"The plugin {plugin.name} describes several tools of one name.")
    for tool in found:
        check_schema(tool.parameters)
        check_schema(tool.returns)
    return found


async def _asked(plugin: Plugin, code: Path) -> bytes:
    command = [*_jail(code), sys.executable, "-m", "llmasos.tools.plugins.describe"]
    command += [plugin.module, plugin.attribute, _INSIDE]
    process = await anyio.open_process(command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    said, complaints = bytearray(), bytearray()
    with anyio.move_on_after(_SECONDS) as patience:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_drain, process.stderr, complaints)
                await _drain(process.stdout, said)
                # What the plugin has started may hold standard error open.
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.aclose()
    if patience.cancelled_caught:
        raise ToolError(f"The plugin {plugin.name} did not end its import within {_SECONDS:.0f} s.")
    if not said and complaints.startswith(b"bwrap:"):
        why = complaints.decode(errors="replace").strip()
        raise ToolError(f"The plugin {plugin.name} cannot be looked at, for want of a jail: {why}.")
    return bytes(said)


async def _drain(stream: ByteReceiveStream, into: bytearray) -> None:
    async for piece in stream:
        if len(into) < _LARGEST:
            into += piece


def _unpack(bundle: Bundle, folder: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(bundle.archive)) as archive:
        # Ours is the installed one there.
        archive.extractall(folder, [name for name in archive.namelist() if not name.startswith("llmasos/")])
    folder.chmod(0o755)


def _jail(code: Path) -> list[str]:
    """Return the command of a jail with this Python, the packages beside it and a plugin's code.

    Raises:
        ToolError: bubblewrap is not installed.
    """
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        raise ToolError(
            "A plugin is looked at in a jail, and bubblewrap is not installed.",
            hint="Install it: apt-get install bubblewrap",
        )
    site = {Path(path) for path in sys.path if Path(path).name in ("site-packages", "dist-packages")}
    shown = {Path(sys.prefix), Path(sys.base_prefix), Path(sysconfig.get_path("purelib")), *site}
    shown.add(Path(llmasos.__file__).parent)
    arguments = [bubblewrap, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    arguments += ["--uid", "65534", "--gid", "65534", *machine_mounts()]
    arguments += ["--proc", "/proc", "--dev", "/dev", "--size", str(_TMP), "--tmpfs", "/tmp"]  # noqa: S108 - inside
    # What is shown may itself lie below /tmp.
    for path in sorted(shown):
        if path.is_dir() and not path.is_relative_to("/usr"):
            arguments += ["--ro-bind", str(path), str(path)]
    arguments += ["--ro-bind", str(code), _INSIDE, "--remount-ro", "/", "--chdir", "/tmp", "--clearenv"]  # noqa: S108
    environment = {"HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}  # noqa: S108
    environment["PYTHONPATH"] = str(Path(llmasos.__file__).parent.parent)
    for name, value in environment.items():
        arguments += ["--setenv", name, value]
    return arguments
