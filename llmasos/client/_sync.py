"""The synchronous client: the asynchronous one, run on a thread of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from llmasos.api import (
    AnchorInfo,
    Check,
    Fact,
    KernelInfo,
    KeyCreated,
    KeyInfo,
    KeyRequest,
    LedgerInfo,
    ModelInfo,
    PluginInfo,
    RecordFilter,
    RecordInfo,
    RecordQuery,
    SearchHit,
    SessionInfo,
    ToolInfo,
    VerifyProgress,
    VerifyReport,
)
from llmasos.api.console import ConsoleLink
from llmasos.api.explaining import Explanation
from llmasos.api.federated import RunInfo, RunPlanned, RunStep, RunVerified
from llmasos.api.knowledge import KnowledgeDocument, KnowledgeInfo
from llmasos.api.models import BenchReport, ModelDetails, ModelsTop
from llmasos.api.suggesting import Suggestion, SuggestRequest
from llmasos.client._async import AsyncClient
from llmasos.client._sync_session import Session, iterate

T = TypeVar("T")


class Client:
    """Synchronous client of the kernel; the same calls as `AsyncClient`, run on a thread of its own."""

    def __init__(self, socket: Path | None = None, *, start: bool = True) -> None:
        self._make = lambda: AsyncClient(socket, start=start)
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._portal: BlockingPortal = stack.enter_context(start_blocking_portal())
            client = self._portal.call(_made, self._make)
            self._client: AsyncClient = stack.enter_context(self._portal.wrap_async_context_manager(client))
            self._exit = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.__exit__(kind, error, trace)

    def session(self, folder: str | Path = ".", **options: Any) -> Session:
        """Begin a session on a folder; takes what `AsyncClient.session` takes."""
        return Session(self._call, self._wrap, self._call(self._client.session(folder, **options)))

    def resume(self, session: str) -> Session:
        """Return a session that exists."""
        return Session(self._call, self._wrap, self._call(self._client.resume(session)))

    def sessions(self, folder: str | Path | None = None) -> list[SessionInfo]:
        """Return the newest sessions, of one folder or of all."""
        return self._call(self._client.sessions(folder))

    def search(self, query: str, limit: int = 20) -> list[SearchHit]:
        """Return where words stand in past sessions, the best places first."""
        return self._call(self._client.search(query, limit))

    def info(self) -> KernelInfo:
        """Return the kernel's state."""
        return self._call(self._client.info())

    def doctor(self) -> list[Check]:
        """Return what the doctor found in each part."""
        return self._call(self._client.doctor())

    def models(self) -> list[ModelInfo]:
        """Return the models that can be chosen."""
        return self._call(self._client.models())

    def warm(self, model: str = "") -> None:
        """Have a model loaded in the background, the default one if none is named."""
        self._call(self._client.warm(model))

    def show_model(self, model: str = "") -> ModelDetails:
        """Return everything that is known of a model, the default one if none is named."""
        return self._call(self._client.show_model(model))

    def models_top(self) -> ModelsTop:
        """Return how models share the machine now."""
        return self._call(self._client.models_top())

    def pull_model(self, model: str, **options: Any) -> ModelDetails:
        """Have a model fetched; takes what `AsyncClient.pull_model` takes."""
        return self._call(self._client.pull_model(model, **options))

    def load_model(self, model: str = "", **options: Any) -> ModelDetails:
        """Have a model resident; takes what `AsyncClient.load_model` takes."""
        return self._call(self._client.load_model(model, **options))

    def unload_model(self, model: str = "") -> None:
        """Have a model leave the memory."""
        self._call(self._client.unload_model(model))

    def pin_model(self, model: str = "") -> None:
        """Keep a model resident, whatever else is asked for."""
        self._call(self._client.pin_model(model))

    def unpin_model(self, model: str = "") -> None:
        """Let a model go when others need its memory."""
        self._call(self._client.unpin_model(model))

    def bench_model(self, model: str = "", limit: int = 0, **options: Any) -> BenchReport:
        """Measure what a model can be trusted with; takes what `AsyncClient.bench_model` takes."""
        return self._call(self._client.bench_model(model, limit, **options))

    def tools(self) -> list[ToolInfo]:
        """Return the tools as the model sees them."""
        return self._call(self._client.tools())

    def plugins(self) -> list[PluginInfo]:
        """Return the plugins that are installed or were enabled."""
        return self._call(self._client.plugins())

    def plugin(self, name: str) -> PluginInfo:
        """Return a plugin with its tools."""
        return self._call(self._client.plugin(name))

    def enable_plugin(self, name: str, sha256: str, **options: Any) -> PluginInfo:
        """Offer the tools of a plugin; takes what `AsyncClient.enable_plugin` takes."""
        return self._call(self._client.enable_plugin(name, sha256, **options))

    def disable_plugin(self, name: str) -> PluginInfo:
        """Offer the tools of a plugin no longer."""
        return self._call(self._client.disable_plugin(name))

    def collections(self) -> list[KnowledgeInfo]:
        """Return the collections of documents."""
        return self._call(self._client.collections())

    def documents(self, collection: str) -> list[KnowledgeDocument]:
        """Return the documents of a collection."""
        return self._call(self._client.documents(collection))

    def add_document(self, collection: str, name: str, data: bytes, **options: Any) -> KnowledgeDocument:
        """Add a document; takes what `AsyncClient.add_document` takes."""
        return self._call(self._client.add_document(collection, name, data, **options))

    def remove_knowledge(self, collection: str, document: str = "") -> None:
        """Remove a document, or without one the whole collection."""
        self._call(self._client.remove_knowledge(collection, document))

    def facts(self, folder: str | Path | None = None) -> list[Fact]:
        """Return what is remembered, the newest first: for a folder and everywhere, or all."""
        return self._call(self._client.facts(folder))

    def remember(self, text: str, folder: str | Path | None = None) -> Fact:
        """Have something remembered, in a folder or everywhere."""
        return self._call(self._client.remember(text, folder))

    def change_fact(self, fact: str, text: str) -> Fact:
        """Put another text in the place of what is remembered."""
        return self._call(self._client.change_fact(fact, text))

    def forget(self, fact: str) -> None:
        """Have something forgotten."""
        self._call(self._client.forget(fact))

    def ledger(self) -> LedgerInfo:
        """Return where the ledger stands."""
        return self._call(self._client.ledger())

    def verify(self, progress: Callable[[VerifyProgress], None] = lambda step: None) -> VerifyReport:
        """Have the whole ledger verified; `progress` is told how far it is, on the client's thread."""
        return self._call(self._client.verify(progress))

    def records(self, session: str | None = None, limit: int = 100, **options: Any) -> list[RecordInfo]:
        """Return the newest records of the ledger; takes what `AsyncClient.records` takes."""
        return self._call(self._client.records(session, limit, **options))

    @contextmanager
    def follow_records(self, wanted: RecordQuery) -> Iterator[Iterator[RecordInfo]]:
        """Follow the ledger: the records that are there, then those to come."""
        with self._wrap(self._client.follow_records(wanted)) as records:
            yield iterate(self._call, records)

    def show_record(self, what: str) -> list[RecordInfo]:
        """Return everything that is recorded of an action, or the record of a number."""
        return self._call(self._client.show_record(what))

    def prove(self, what: str, *, up_to_anchor: bool = False) -> dict[str, Any]:
        """Return the proof of an action, or of the record of a number."""
        return self._call(self._client.prove(what, up_to_anchor=up_to_anchor))

    @contextmanager
    def export(
        self, which: RecordFilter, format: Literal["html", "json"] = "html"
    ) -> Iterator[Iterator[bytes]]:
        """Read records with their proofs: one page, or JSON lines."""
        with self._wrap(self._client.export(which, format)) as pieces:
            yield iterate(self._call, pieces)

    def explain(self, id: str = "last") -> Explanation:
        """Return why an action or a turn was done, from the log alone; `last` is the last turn of all."""
        return self._call(self._client.explain(id))

    def suggest(self, wanted: SuggestRequest) -> Suggestion:
        """Return a command line for a sentence; nothing is run, and there is no session."""
        return self._call(self._client.suggest(wanted))

    def anchor(self, target: str = "") -> list[AnchorInfo]:
        """Tell one place outside, or all, of the records so far."""
        return self._call(self._client.anchor(target))

    def erase(self, which: RecordFilter, reason: str = "", *, count_only: bool = False) -> int:
        """Erase the bodies of records, which stay provable, and return how many there were."""
        return self._call(self._client.erase(which, reason, count_only=count_only))

    def rotate_key(self, key: str = "") -> str:
        """Hand the ledger to another key, and return the address of its account."""
        return self._call(self._client.rotate_key(key))

    def create_key(self, wanted: KeyRequest) -> KeyCreated:
        """Make a key; its secret is in the answer, and cannot be had again."""
        return self._call(self._client.create_key(wanted))

    def console_link(self, key: str = "") -> ConsoleLink:
        """Return a link that opens the console in one browser, once."""
        return self._call(self._client.console_link(key))

    def keys(self) -> list[KeyInfo]:
        """Return every key, with what it has used."""
        return self._call(self._client.keys())

    def key(self, key: str) -> KeyInfo:
        """Return one key, with what it has used."""
        return self._call(self._client.key(key))

    def revoke_key(self, key: str) -> KeyInfo:
        """End a key at once."""
        return self._call(self._client.revoke_key(key))

    def plan_run(self, data: Sequence[str | Path], **options: Any) -> RunPlanned:
        """Plan a federated training; takes what `AsyncClient.plan_run` takes."""
        return self._call(self._client.plan_run(data, **options))

    def start_run(self, run: str) -> RunInfo:
        """Begin a training that was planned, or go on with one that was stopped or interrupted."""
        return self._call(self._client.start_run(run))

    def runs(self) -> list[RunInfo]:
        """Return all trainings, the oldest first."""
        return self._call(self._client.runs())

    def run(self, run: str) -> RunInfo:
        """Return how a training stands."""
        return self._call(self._client.run(run))

    def remove_run(self, run: str) -> None:
        """Remove a training that is not under way; the ledger keeps its records."""
        self._call(self._client.remove_run(run))

    def stop_run(self, run: str) -> RunInfo:
        """Stop a training; it can be gone on with."""
        return self._call(self._client.stop_run(run))

    def verify_run(self, run: str) -> RunVerified:
        """Return whether a training's model is the one that the ledger names."""
        return self._call(self._client.verify_run(run))

    def export_run(self, run: str, folder: str | Path) -> list[Path]:
        """Copy a training's results to a folder that is not there yet."""
        return self._call(self._client.export_run(run, folder))

    @contextmanager
    def follow_run(self, run: str, after: int = 0) -> Iterator[Iterator[RunStep]]:
        """Follow what a training tells, until it has ended."""
        with self._wrap(self._client.follow_run(run, after)) as steps:
            yield iterate(self._call, steps)

    def stop(self) -> None:
        """Stop the kernel and return when it is gone."""
        self._call(self._client.stop())

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        done: T = self._portal.call(_awaited, work)
        return done

    def _wrap(self, manager: AbstractAsyncContextManager[T]) -> AbstractContextManager[T]:
        return self._portal.wrap_async_context_manager(manager)


async def _made(make: Callable[[], AsyncClient]) -> AsyncClient:
    return make()


async def _awaited(work: Coroutine[Any, Any, T]) -> T:
    return await work
