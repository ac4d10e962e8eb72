"""The llama.cpp server inside this process, and its loopback port."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from llmasos.errors import ModelError
from llmasos.models.catalog.gguf import read_added_tokens
from llmasos.models.engines.port import InvalidRequest, LoadPlan
from llmasos.models.engines.spelled import Spelled

# One batch is the unit in which a cancelled prompt stops: small enough to be prompt, large enough
# not to slow reading down.
_BATCH = 128
_TIMEOUT = 60.0
# A text to embed is read in one batch, whose size costs memory.
_EMBEDDED = 2048

Event = dict[str, Any]
Handler = Callable[[int, FrameType | None], Any] | int | None


class LlamaServer:
    """One loaded model; every method may be called from several threads at once, and blocks.

    Args:
        server: The loaded `xllamacpp.Server`.
        secret: The key of its loopback port.
        spelled: Breaks the model's special tokens.
    """

    def __init__(self, server: Any, secret: str, spelled: Spelled) -> None:
        self._server = server
        self._spelled = spelled
        self._secret = secret
        address = urlsplit(server.listening_address)
        self._host, self._port = address.hostname or "", address.port

    @classmethod
    def start(cls, plan: LoadPlan, threads: int) -> LlamaServer:
        """Load a model to generate text with.

        Args:
            plan: What to load.
            threads: Threads to compute with.

        Raises:
            ModelError: The engine is not installed, or a file cannot be loaded.
        """
        params = _params(plan, threads)
        params.n_ctx = plan.context * plan.slots
        params.n_parallel = plan.slots
        params.n_batch = params.n_ubatch = max(_BATCH, plan.slots)
        params.endpoint_slots = True
        # What a slot holds goes to open files, by their numbers.
        params.slot_save_path = "/proc/self/fd/"
        return cls._started(params, plan)

    @classmethod
    def start_embedding(cls, plan: LoadPlan, threads: int) -> LlamaServer:
        """Load the model once more, to embed texts with: the server does one or the other.

        A model that does not say how its vectors become one gets their mean.

        Raises:
            ModelError: As `start`.
        """
        kinds = _xllamacpp().llama_pooling_type
        for pooling in (kinds.LLAMA_POOLING_TYPE_UNSPECIFIED, kinds.LLAMA_POOLING_TYPE_MEAN):
            params = _params(plan, threads)
            params.embedding = True
            params.pooling_type = pooling
            params.n_ctx = params.n_batch = params.n_ubatch = min(plan.context, _EMBEDDED)
            server = cls._started(params, plan)
            with contextlib.suppress(ModelError):
                server.embed(["a"])
                break
        return server

    @classmethod
    def _started(cls, params: Any, plan: LoadPlan) -> LlamaServer:
        xllamacpp = _xllamacpp()
        secret = secrets.token_urlsafe(32)
        # The server listens on a loopback port of its own choosing; nobody else knows the key.
        params.api_keys = [secret]
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(path), 0.0) for _, path in plan.adapters]
        try:
            return cls(xllamacpp.Server(params), secret, Spelled(read_added_tokens(plan.path)))
        except RuntimeError as error:
            what = " or one of its adapters" if plan.adapters else ""
            raise ModelError(
                f"The model file {plan.path}{what} cannot be loaded; it is damaged, incomplete or of an "
                "unknown kind.",
                hint="Remove it to fetch it again, or choose another model.",
            ) from error

    def complete(self, body: dict[str, Any], on_event: Callable[[Event], bool]) -> None:
        """Generate text, calling back between steps until that returns True.

        Raises:
            InvalidRequest: The server refuses the request.
            ModelError: The server failed.
            Exception: What `on_event` raises.
        """
        failures: list[Exception] = []

        def on_data(data: bytes) -> bool:
            # An exception would be lost in the binding, and the request go on.
            try:
                event = json.loads(data)
                if "error" in event:
                    raise _failure(event["error"])
                return on_event(event["__verbose"])
            except Exception as error:
                failures.append(error)
                return True

        # Of OpenAI's format only the part that llama.cpp's own has is used.
        self._server.handle_completions(_encoded({**body, "stream": True, "verbose": True}), on_data)
        if failures:
            raise failures[0]

    def embed(self, texts: list[str]) -> dict[str, Any]:
        """Return embeddings in OpenAI's format.

        Raises:
            InvalidRequest: The server refuses the texts.
        """
        reply: dict[str, Any] = json.loads(self._server.handle_embeddings(_encoded({"input": texts})))
        if "data" not in reply:
            error = reply.get("error", reply)
            # The server takes this for a fault of its own.
            raise _refusal(error) if "too large" in _message(error) else _failure(error)
        return reply

    def render(self, messages: list[Any], tools: list[Any]) -> str:
        """Return the prompt that the model's template makes; special tokens in messages are broken.

        Raises:
            InvalidRequest: The template refuses the messages.
        """
        body = {"messages": messages, **({"tools": tools} if tools else {})}
        return str(self._call("/apply-template", self._spelled.broken(body))["prompt"])

    def tokenize(self, text: str, *, prompt: bool) -> list[int]:
        """Return the tokens of a text; only in a prompt are special tokens read, and the first one added."""
        body = {"content": text, "add_special": prompt, "parse_special": prompt}
        tokens: list[int] = self._call("/tokenize", body)["tokens"]
        return tokens

    def save(self, slot: int, file: int) -> bool:
        """Write a slot's state to an open file and return whether that worked."""
        return self._slot(slot, "save", file)

    def restore(self, slot: int, file: int) -> bool:
        """Restore a slot's state from an open file and return whether that worked."""
        return self._slot(slot, "restore", file)

    def _slot(self, slot: int, action: str, file: int) -> bool:
        try:
            self._call(f"/slots/{slot}?action={action}", {"filename": str(file)})
        except ModelError:
            return False
        return True

    def _call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT)
        headers = {"Authorization": f"Bearer {self._secret}", "Content-Type": "application/json"}
        try:
            connection.request("POST", path, _encoded(body), headers)
            response = connection.getresponse()
            reply: dict[str, Any] = json.loads(response.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ModelError(f"The engine does not answer: {error}.", hint="Try again.") from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise _refusal(reply.get("error", {}))
        return reply


class Signals:
    """The process's own handlers of signals, which the server replaces when it starts."""

    def __init__(self) -> None:
        self._handlers: dict[signal.Signals, Handler] = {
            number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)
        }

    def restore(self) -> None:
        """Put them back, where this thread may."""
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._handlers.items():
                if handler is not None:
                    signal.signal(number, handler)


def version() -> str:
    """Return the engine's version."""
    return str(_xllamacpp().__version__)


def _xllamacpp() -> Any:
    # Read when it is imported: threads that wait by spinning make two on busy cores far slower than one.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ImportError as error:
        raise ModelError(
            "The embedded engine is not installed.",
            hint="Install it with: pip install 'llmasos[embedded]', or set LLMASOS_MODEL_URL.",
        ) from error
    return xllamacpp


def _params(plan: LoadPlan, threads: int) -> Any:
    params = _xllamacpp().CommonParams()
    params.model.path = str(plan.path)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    # The server's own memory of prompts knows no tenants, and its checkpoints of slots outlive their owners.
    params.cache_ram_mib = params.n_ctx_checkpoints = 0
    params.cache_idle_slots = False
    params.warmup = False
    params.verbosity = -1
    params.ui = False
    return params


def _encoded(body: dict[str, Any]) -> bytes:
    """Return JSON; what is no text in it, such as half a surrogate pair, becomes a question mark."""
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def _failure(error: dict[str, Any]) -> ModelError:
    if error.get("type") in ("invalid_request_error", "exceed_context_size_error"):
        return _refusal(error)
    return ModelError(f"The engine failed: {_message(error)}.", hint="Try again.")


def _refusal(error: dict[str, Any]) -> InvalidRequest:
    return InvalidRequest(f"The engine refused the request: {_message(error)}.", hint="Change the request.")


def _message(error: dict[str, Any]) -> str:
    return str(error.get("message", "unknown error")).rstrip(".")
