"""The doctor: looks at each part the system needs, and names the command that mends what is missing.

It runs in a process of its own (`python -m llmasos.doctor`), so that it works when the kernel does not.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread
from rich.cells import cell_len

from llmasos.api import Check
from llmasos.config import Settings, load_settings
from llmasos.display import display
from llmasos.errors import LLMasOSError
from llmasos.extras import installed, pinned
from llmasos.language import translated
from llmasos.listen import tcp_listeners, tls_context
from llmasos.models import Administration, Models
from llmasos.models.devices import cuda
from llmasos.models.devices.choose import choose_device
from llmasos.models.remote.errors import shown
from llmasos.models.remotes import Remotes
from llmasos.sandbox import docker_problem, jail_problems, jail_weakness, landlock_problem
from llmasos.secrets import Redactor, secrets_of_settings
from llmasos.store import Store
from llmasos.streams import exit_code

_FREE_BYTES = 2_000_000_000
_UPSTREAM_SECONDS = 20.0


async def examine(settings: Settings) -> list[Check]:
    """Look at each part and return what was found.

    Args:
        settings: The configuration in force.
    """
    looks: list[Callable[[Settings], Awaitable[Check]]] = [
        _data,
        _database,
        _sandbox,
        _engine,
        _transformers,
        _memory,
        _model,
        _upstreams,
        _service,
        _chain,
    ]
    return [await look(settings) for look in looks]


async def _data(settings: Settings) -> Check:
    folder = settings.data_dir
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        return Check(
            part="data folder",
            ok=False,
            message=f"{settings.data_dir} cannot be written.",
            fix="Fix its permissions, or choose another with LLMASOS_DATA_DIR.",
        )
    free = shutil.disk_usage(folder).free
    if free < _FREE_BYTES:
        return Check(
            part="data folder",
            ok=False,
            message=f"{settings.data_dir} has only {free / 1e9:.1f} GB of free space.",
            fix="Free space, or choose another folder with LLMASOS_DATA_DIR.",
        )
    return Check(part="data folder", ok=True, message=f"{settings.data_dir}, {free / 1e9:.0f} GB free")


async def _database(settings: Settings) -> Check:
    def connect() -> None:
        store = Store(settings.database)
        try:
            with store.engine.connect():
                return
        finally:
            store.close()

    if not settings.database_url and not settings.data_dir.exists():
        return Check(part="database", ok=True, message="made at the first start")
    try:
        await anyio.to_thread.run_sync(connect)
    except LLMasOSError as error:
        return Check(part="database", ok=False, message=error.message, fix=error.hint)
    except Exception as error:  # Every driver has its own errors; each of them means the same here.
        return Check(
            part="database",
            ok=False,
            message=f"The database does not answer: {error}",
            fix="Check LLMASOS_DATABASE_URL.",
        )
    return Check(part="database", ok=True, message=settings.database.split("@")[-1])


async def _sandbox(settings: Settings) -> Check:
    wanted = settings.sandbox
    if wanted == "landlock":
        problem = landlock_problem()
        return Check(
            part="sandbox",
            ok=not problem,
            message=problem
            or "landlock-weak, as the settings ask; it hides neither processes nor the kernel",
            fix="Set LLMASOS_SANDBOX=auto." if problem else "",
        )
    docker = await docker_problem()
    jail = "; ".join(jail_problems())
    if wanted != "bubblewrap" and not docker:
        return Check(part="sandbox", ok=True, message="docker")
    if wanted != "docker" and not jail:
        note = f" (docker: {docker})" if wanted == "auto" else ""
        return Check(part="sandbox", ok=True, message=f"bubblewrap{note} {jail_weakness()}".strip())
    problems = [
        text
        for text in (docker if wanted != "bubblewrap" else "", jail if wanted != "docker" else "")
        if text
    ]
    fix = (
        "apt-get install bubblewrap" if wanted != "docker" else "apt-get install docker.io, and start dockerd"
    )
    return Check(part="sandbox", ok=False, message="; ".join(problems), fix=fix)


async def _engine(settings: Settings) -> Check:
    if settings.model_url:
        return Check(part="engine", ok=True, message=f"the endpoint {shown(settings.model_url)}")
    if importlib.util.find_spec("xllamacpp") is None:
        return Check(
            part="engine",
            ok=False,
            message="The embedded engine is not installed.",
            fix="pip install 'llmasos[embedded]', or set LLMASOS_MODEL_URL to an endpoint.",
        )
    return Check(part="engine", ok=True, message="embedded (xllamacpp)")


async def _transformers(settings: Settings) -> Check:
    part, wanted = "transformers", pinned("transformers")
    found = {name: installed(name) for name in wanted}
    missing = [name for name, version in found.items() if not version]
    if len(missing) == len(wanted) or "torch" in missing:
        # Only safetensors need it.
        return Check(part=part, ok=True, message="not installed; pip install 'llmasos[transformers]' adds it")
    wrong = [
        f"{name} {found[name] or 'is missing'}, not {version}"
        for name, version in wanted.items()
        if found[name] != version
    ]
    if wrong:
        return Check(
            part=part,
            ok=False,
            message=f"Other versions are installed than it was built for: {'; '.join(wrong)}.",
            fix="pip install 'llmasos[transformers]'",
        )
    shown = ", ".join(f"{name} {version}" for name, version in found.items())
    return Check(part=part, ok=True, message=shown)


async def _memory(settings: Settings) -> Check:
    try:
        device = choose_device(settings.models)
    except LLMasOSError as error:
        return Check(part="memory", ok=False, message=error.message, fix=error.hint)
    if device.name == "cpu" and settings.models.device == "auto" and cuda.present():
        return Check(
            part="memory",
            ok=False,
            message=f"There is a GPU, which needs torch; models are loaded beside it: {device.title}.",
            fix="pip install 'llmasos[transformers]', or set LLMASOS_MODELS__DEVICE=cpu.",
        )
    return Check(part="memory", ok=True, message=device.title)


async def _upstreams(settings: Settings) -> Check:
    part = "upstreams"
    if not settings.models.upstreams:
        return Check(part=part, ok=True, message="none")
    with anyio.move_on_after(_UPSTREAM_SECONDS):
        found = await Remotes(settings, lambda: ()).check()
        failed = {one.url: one.reason for each in found.values() for one in each if one.reason}
        if failed:
            return Check(
                part=part,
                ok=False,
                message=" ".join(f"{url}: {reason}" for url, reason in failed.items()),
                fix="Start what serves there, or correct LLMASOS_MODELS__UPSTREAMS and its keys.",
            )
        return Check(part=part, ok=True, message=", ".join(found))
    return Check(
        part=part,
        ok=False,
        message=f"They did not all answer within {_UPSTREAM_SECONDS:g} seconds.",
        fix="Start what serves there, or correct LLMASOS_MODELS__UPSTREAMS.",
    )


async def _service(settings: Settings) -> Check:
    part, service = "service", settings.service
    if not service.port:
        return Check(part=part, ok=True, message="the user's own socket only")
    where = f"{service.host} port {service.port}"
    try:
        spoken = "TLS" if tls_context(service) else "no TLS"
        if await _lives(settings):
            return Check(part=part, ok=True, message=f"{where}, {spoken}; a kernel runs")
        for listener in tcp_listeners(service):
            listener.close()
    except LLMasOSError as error:
        return Check(part=part, ok=False, message=error.message, fix=error.hint)
    return Check(part=part, ok=True, message=f"{where}, {spoken}, free")


async def _lives(settings: Settings) -> bool:
    """Return whether this user's kernel runs, which then holds the port."""
    try:
        async with await anyio.connect_unix(settings.socket):
            return True
    except OSError:
        return False


async def _model(settings: Settings) -> Check:
    models = Models(settings)
    try:
        default = models.status()[0]
        if default.state == "remote":
            await models.resolve()
    except LLMasOSError as error:
        return Check(part="model", ok=False, message=error.message, fix=error.hint)
    if default.state == "absent" and not settings.allow_download:
        return Check(
            part="model",
            ok=False,
            message=f"{default.name} is not on the disk, and fetching is switched off.",
            fix="Set LLMASOS_ALLOW_DOWNLOAD=true, or LLMASOS_MODEL to a GGUF file.",
        )
    if default.state == "cached":
        try:
            shown = await Administration(settings, models).show("")
        except LLMasOSError as error:
            return Check(part="model", ok=False, message=error.message, fix=error.hint)
        needed = shown.memory.total if shown.memory is not None else 0
        if shown.fits is False:
            return Check(
                part="model",
                ok=False,
                message=f"{default.name} needs {needed / 1e6:,.0f} MB, more than models may take.",
                fix="Raise LLMASOS_MODELS__MEMORY_MB, or set LLMASOS_MODEL to a smaller model.",
            )
    where = "fetched at its first use" if default.state == "absent" else default.title
    return Check(part="model", ok=True, message=f"{default.name}, {where}")


async def _chain(settings: Settings) -> Check:
    missing = [name for name in ("eth", "eth_account", "coincurve") if importlib.util.find_spec(name) is None]
    if missing:
        return Check(
            part="chain", ok=False, message=f"Not installed: {', '.join(missing)}.", fix="pip install llmasos"
        )
    ledger = settings.ledger
    if ledger.chain == "embedded":
        return Check(part="chain", ok=True, message="embedded")
    from llmasos.ledger.chains.choice import choose_chain

    try:
        choose_chain(ledger, settings.data_dir)
    except LLMasOSError as error:
        return Check(part="chain", ok=False, message=error.message, fix=error.hint)
    asked = "`llmasos ledger status` says whether it answers"
    return Check(part="chain", ok=True, message=f"{ledger.chain}; {asked}")


def main() -> int:
    """Print the report; the exit code is 1 when something is missing."""
    try:
        settings = load_settings()
        checks = Redactor(secrets_of_settings(settings)).value(anyio.run(examine, settings))
    except LLMasOSError as error:
        _report(f"✗ {translated('settings')}", error.message, error.hint)
        return 1
    for check in checks:
        _report(f"{'✓' if check.ok else '✗'} {translated(check.part)}", check.message, check.fix)
    return 0 if all(check.ok for check in checks) else 1


def _report(part: str, message: str, fix: str) -> None:
    print(f"{part}{' ' * max(0, 14 - cell_len(part))} {display(translated(message))}")
    if fix:
        print(f"{'':<14} {display(translated(fix))}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
