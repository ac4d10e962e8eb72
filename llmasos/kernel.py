"""The kernel: builds everything from the settings, and is the only place that knows every package."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import anyio
import anyio.to_thread

import llmasos
from llmasos import paths
from llmasos.agent import Books, Services, Sessions, definition, policy_for, record, record_start
from llmasos.agent.explain import Explainer, PolicyArchive
from llmasos.api import Check, Fingerprints, KernelInfo, ToolInfo
from llmasos.config import Settings, load_settings
from llmasos.doctor import examine
from llmasos.errors import KernelError
from llmasos.extras import installed
from llmasos.federated.events import RunEvent
from llmasos.federated.records import facts_of
from llmasos.federated.runs import BACKENDS, Runs, installed_runs
from llmasos.fingerprints import fingerprints
from llmasos.knowledge import Library, choose_embedder
from llmasos.ledger import SYSTEM, ChainLedger, Ledger
from llmasos.models import Administration, LoadPlan, Models, Place
from llmasos.sandbox import SandboxProvider, choose_provider, sweep_private
from llmasos.secrets import Canaries, Redactor, secrets_of_environment, secrets_of_files, secrets_of_settings
from llmasos.store import Store
from llmasos.tools import Registry, builtin_tools, extra_tools
from llmasos.tools.knowledge import Shelf
from llmasos.tools.mcp import Servers
from llmasos.tools.others import Others
from llmasos.tools.plugins import Plugins

_log = logging.getLogger(__name__)
_ENDING_SECONDS = 3.0
_POLL_SECONDS = 0.05


class Kernel:
    """Everything of one user: sessions, models, sandboxes and the ledger, on one data folder.

    Use it in-process with `async with Kernel() as kernel:`; `llmasos serve` runs the same object behind HTTP.

    Args:
        settings: The configuration; read from the environment and the configuration file when missing.
        models: Replaces the models, in tests.
        provider: Replaces the choice of the sandbox, in tests.
        ledger: Replaces the ledger, in tests.
        registry: Replaces the built-in tools, in tests.
        redactor: Takes out secrets; one that knows those of the settings and the environment when missing.
        backends: Replaces the modules of the backends of trainings, in tests.
        progress: Told what is under way when the start takes long.
        ended: Called when everything has ended, just before the data folder is let go.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        models: Models | None = None,
        provider: SandboxProvider | None = None,
        ledger: Ledger | None = None,
        registry: Registry | None = None,
        redactor: Redactor | None = None,
        backends: Mapping[str, str] = BACKENDS,
        progress: Callable[[str], None] = lambda text: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings or load_settings()
        self.started = datetime.now(UTC)
        self.registry = registry or Registry([*builtin_tools(), *extra_tools()])
        self.redactor = redactor or redactor_of(self.settings)
        self._backends = backends if installed("flwr") else {}
        self._runs: Runs | None = None
        self._models = models
        self._provider = provider
        self._ledger = ledger
        self._progress = progress
        self._ended = ended
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start everything.

        Raises:
            KernelError: Another kernel uses the data folder.
            ConfigError: The settings do not describe a ledger.
            LedgerError: What the kernel starts with cannot be recorded.
            SandboxError: There is no sandbox on this machine.
        """
        async with AsyncExitStack() as stack:
            data_dir = paths.private_dir(self.settings.data_dir)
            stack.callback((await _Lock.take(data_dir / "kernel.lock")).close)
            stack.callback(self._ended)
            self.store = Store(self.settings.database)
            stack.callback(self.store.close)
            await anyio.to_thread.run_sync(_migrate, self.store, self._progress)
            self.ledger: Ledger
            if self._ledger is not None:
                self.ledger = self._ledger
                self.ledger.redactor = self.redactor
            else:
                chain_ledger = _chain_ledger(self.settings, self.store, data_dir, self.redactor)
                self.ledger = await stack.enter_async_context(chain_ledger)
                self.redactor.learn(secrets_of_files(_key_files(self.settings)))
            self.books = Books(self.settings.ledger, self.store, self.ledger)
            policies = partial(policy_for, self.settings)
            self.explainer = Explainer(self.store, self.ledger, PolicyArchive(data_dir), policies)
            reserved = [tool.name for tool in self.registry]
            decided = partial(record, self.ledger, SYSTEM, "plugin")
            replace = self.registry.replace
            plugins = Plugins(data_dir / "plugins.json", reserved, partial(replace, "plugins"), decided)
            for notice in await plugins.refresh():
                _log.warning("%s", notice)
            await record_start(self.ledger, self.registry, self.settings)
            self.provider = self._provider or await choose_provider(self.settings, self._progress)
            stack.push_async_callback(self.provider.close)
            await self.provider.sweep(data_dir / "workspaces")
            await anyio.to_thread.run_sync(sweep_private, self.settings)
            self.models = await stack.enter_async_context(self._models or _models(self.settings, stack))
            tools = [definition(tool) for tool in builtin_tools()]
            self.administration = Administration(self.settings, self.models, tools)
            tasks = await stack.enter_async_context(anyio.create_task_group())
            # What still runs in the background at the end, such as a model that warms up, is not waited for.
            stack.callback(tasks.cancel_scope.cancel)
            servers = Servers(
                self.settings.mcp, data_dir, tasks, reserved, partial(replace, "servers"), decided
            )
            stack.push_async_callback(servers.close)
            for notice in await servers.refresh():
                _log.warning("%s", notice)
            self.others = Others(plugins, servers)
            if self._backends:
                cluster = self.settings.models.cluster
                root = data_dir / "federated"
                runs = self._runs = Runs(root, tasks, self._record_run, self._backends, cluster)
                stack.push_async_callback(runs.close)
                await runs.recover()
            self.shelf = self._shelf(data_dir)
            stack.push_async_callback(self.shelf.close)
            services = Services(
                settings=self.settings,
                store=self.store,
                models=self.models,
                provider=self.provider,
                ledger=self.ledger,
                registry=self.registry,
                canaries=Canaries(self.redactor),
                trainings=self._runs,
                shelf=self.shelf,
                refresh_others=self.others.refresh,
            )
            self.sessions = Sessions(services, tasks)
            tasks.start_soon(self.provider.warm)
            stack.push_async_callback(self.sessions.close)
            await self.sessions.recover()
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit.__aexit__(kind, error, trace)

    @property
    def runs(self) -> Runs:
        """The federated trainings.

        Raises:
            FederatedError: The extra is not installed.
        """
        return installed_runs(self._runs)

    def _shelf(self, data_dir: Path) -> Shelf:
        embedder = choose_embedder()
        model = embedder.name if embedder else ""
        decided = partial(record, self.ledger, SYSTEM, "knowledge")
        knowledge = data_dir / "knowledge"
        read = Library(knowledge / "read", model)
        return Shelf(Library(knowledge, model), read, embedder, self.provider, self.settings, decided)

    async def _record_run(self, event: RunEvent) -> None:
        facts = facts_of(event)
        if facts:
            await record(self.ledger, event.run, "round", **facts)

    async def info(self) -> KernelInfo:
        """Return the kernel as `llmasos status` shows it."""
        model = self.models.status()[0]
        info = KernelInfo(
            version=llmasos.__version__,
            pid=os.getpid(),
            started=self.started,
            data_dir=str(self.settings.data_dir),
            model=model.name,
            model_resident=model.state in ("resident", "remote"),
            model_state=model.state,
            sandbox=self.provider.backend,
            sandbox_reason=self.provider.reason,
            service=self.settings.service.url,
            sessions=self.sessions.running,
            ledger=await self.books.info(),
            spent=self.models.spent(),
            keys=self.settings.shell.keys,
            language=self.settings.shell.language,
        )
        return self.redactor.value(info)

    def fingerprints(self) -> Fingerprints:
        """Return keyed digests of the settings: a shell finds out which of its own have no effect."""
        key = secrets.token_hex(16)
        return Fingerprints(key=key, settings=fingerprints(self.settings, key))

    async def doctor(self) -> list[Check]:
        """Look at each part and say what is missing, with the command that mends it."""
        return self.redactor.value(await examine(self.settings))

    def tools_info(self) -> list[ToolInfo]:
        """Return the tools as the model sees them."""
        return [
            ToolInfo(
                name=tool.name,
                description=tool.description,
                parameters=tool.parameters,
                capabilities=tool.capabilities.names(),
                origin=tool.origin,
            )
            for tool in self.registry
        ]


def redactor_of(settings: Settings) -> Redactor:
    """Return what takes out secrets, and knows those of the settings and of this process's environment."""
    redactor = Redactor(secrets_of_settings(settings))
    redactor.learn(secrets_of_environment(os.environ))
    return redactor


def _key_files(settings: Settings) -> list[Path]:
    given = (settings.ledger.key_file, settings.ledger.anchor_key_file, settings.service.tls_key)
    return [*(file for file in given if file is not None), *settings.data_dir.glob("*/*.key*")]


class _Lock:
    """Holds the data folder for one kernel; the operating system lets go of it when the process ends."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    @classmethod
    async def take(cls, path: Path) -> Self:
        """Take the lock, waiting a little for a kernel that is just ending.

        Raises:
            KernelError: Another kernel holds it.
        """
        file = path.open("a+")
        try:
            with anyio.fail_after(_ENDING_SECONDS):
                while not _locked(file):
                    await anyio.sleep(_POLL_SECONDS)
        except TimeoutError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise KernelError(
                f"Another kernel (process {holder}) uses the data folder {path.parent}.",
                hint="Use it, stop it with `llmasos stop`, or choose another folder with LLMASOS_DATA_DIR.",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        return cls(file)

    def close(self) -> None:
        """Let go of the lock."""
        self._file.close()


def _locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _chain_ledger(settings: Settings, store: Store, data_dir: Path, redactor: Redactor) -> ChainLedger:
    """Return the ledger that the settings describe; the chain is reached when it is entered."""
    from llmasos.ledger.anchors.choice import open_anchors
    from llmasos.ledger.chains.choice import anchor_chain, choose_chain

    chosen = settings.ledger
    return ChainLedger(
        store,
        choose_chain(chosen, data_dir),
        mode=chosen.mode,
        batch=chosen.batch,
        wait=chosen.wait,
        backlog=chosen.backlog,
        spend_per_day=chosen.spend_per_day,
        anchors=open_anchors(chosen, partial(anchor_chain, chosen)),
        anchor_hours=chosen.anchor_hours,
        retention_days=chosen.retention_days,
        redactor=redactor,
    )


def _models(settings: Settings, stack: AsyncExitStack) -> Models:
    """Return the models; those with replicas are loaded on the cluster, which ends after them."""
    replicas = settings.models.replicas
    if not replicas:
        return Models(settings)
    from llmasos.cluster import RayCluster, Share

    cluster = RayCluster(settings.models.cluster)
    stack.push_async_callback(cluster.close)

    def place(plan: LoadPlan) -> Place:
        gpus = 1 if plan.device.startswith("cuda") else 0
        return partial(cluster.place, share=Share(cpus=max(1, plan.threads), gpus=gpus))

    return Models(settings, place=place)


def _migrate(store: Store, progress: Callable[[str], None]) -> None:
    from llmasos.migrations import upgrade

    upgrade(store, progress)
