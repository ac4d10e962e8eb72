"""A model hub: which files a name stands for, and what the hub's refusals mean."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from pydantic import BaseModel, SecretStr, ValidationError

from llmasos.config import ModelSettings
from llmasos.errors import ModelError
from llmasos.models.catalog.header import PICKLES, Format
from llmasos.models.catalog.source import HUB, HubSource, ModelFile, Reference
from llmasos.models.untrusted import read_json
from llmasos.net import OutOfReach, Reach

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 4.0
READ_SECONDS = 30.0

_WHERE = "HF_TOKEN or LLMASOS_MODELS__HUB_TOKEN"
_MAX_ANSWER = 32 * 2**20
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
_PREFERRED = ("q4_k_m", "q4_k", "q4_0", "q8_0")
# Beside the weights, what a tokenizer and a configuration consist of; never code.
SMALL_FILES = frozenset(
    {
        *("config.json", "generation_config.json", "model.safetensors.index.json"),
        *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
        *("vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model"),
        *("chat_template.jinja", "chat_template.json"),
    }
)


def _logged_in() -> str:
    """Return the token that the hub's own login command left, if it did."""
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    file = Path(os.environ.get("HF_TOKEN_PATH", home / "token"))
    try:
        return file.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


class Resolved(BaseModel, frozen=True):
    """What a reference stands for at one commit.

    Args:
        reference: The same with the commit in place of the branch.
        format: What the weights are stored in.
        files: The files to fetch, the first part of GGUF weights first.
        licence: What the hub says of the licence.
    """

    reference: Reference
    format: Format
    files: tuple[ModelFile, ...]
    licence: str = ""


class Hub(BaseModel, frozen=True):
    """A model hub with the HTTP API of Hugging Face's.

    Args:
        endpoint: Its base URL.
        token: Says who asks; it is sent to the hub and to nobody that it leads to.
        hosts: Hosts outside the open internet that it may lead to.
    """

    endpoint: str = HUB
    token: SecretStr = SecretStr("")
    hosts: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: ModelSettings) -> Self:
        """Return the hub of the settings, or else the one that the variables of its own tools describe."""
        endpoint = settings.hub or os.environ.get("HF_ENDPOINT", "") or HUB
        token = settings.hub_token.get_secret_value() or os.environ.get("HF_TOKEN", "") or _logged_in()
        return cls(
            endpoint=endpoint.strip().rstrip("/"), token=SecretStr(token.strip()), hosts=settings.hub_hosts
        )

    @property
    def reach(self) -> Reach:
        """Where its files may be fetched from."""
        named = () if self.endpoint == HUB else (self.endpoint,)
        return Reach(named, led_to=self.hosts)

    def own(self, url: str) -> str:
        """Return the URL of the same file at this hub, where it is a mirror."""
        return self.endpoint + url.removeprefix(HUB) if url.startswith(f"{HUB}/") else url

    def headers(self, url: str) -> dict[str, str]:
        """Return what a request for a URL has to say: the token, when the URL is the hub's own."""
        token = self.token.get_secret_value()
        own = url.startswith(f"{self.endpoint}/")
        return {"Authorization": f"Bearer {token}"} if token and own else {}

    def source(self, reference: Reference, file: ModelFile) -> HubSource:
        """Return where a file lies."""
        place = f"{reference.repository}/resolve/{quote(reference.revision, safe='')}/{quote(file.path)}"
        return HubSource(url=f"{self.endpoint}/{place}")

    def resolve(self, reference: Reference) -> Resolved:
        """Ask which files a reference stands for now.

        Raises:
            ModelError: The hub cannot be reached, has no such model, keeps it from this person, or has it
                only in a form that is not safe to load.
        """
        answer = self._ask(reference)
        commit = answer.get("sha")
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise self._nonsense(reference)
        try:
            files = tuple(
                found for entry in answer.get("siblings", ()) if (found := _file(entry)) is not None
            )
        except (AttributeError, TypeError, ValidationError) as error:
            raise self._nonsense(reference) from error
        chosen = choose_files(reference, files)
        card = answer.get("cardData")
        licence = card.get("license") if isinstance(card, dict) else ""
        return Resolved(
            reference=reference.model_copy(update={"revision": commit}),
            format="gguf" if chosen[0].name.endswith(".gguf") else "safetensors",
            files=chosen,
            licence=licence[:100] if isinstance(licence, str) else "",
        )

    def _ask(self, reference: Reference) -> dict[str, Any]:
        import httpx2

        from llmasos.net.transport import checked_client_now

        place = f"{reference.repository}/revision/{quote(reference.revision, safe='')}"
        url = f"{self.endpoint}/api/models/{place}"
        timeout = httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        try:
            with (
                checked_client_now(self.reach, timeout=timeout) as client,
                client.stream("GET", url, params={"blobs": "true"}, headers=self.headers(url)) as response,
            ):
                if response.is_error:
                    raise self.refusal(response, reference.repository, reference.revision)
                content = b""
                for block in response.iter_bytes():
                    content += block
                    if len(content) > _MAX_ANSWER:
                        raise self._nonsense(reference)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise self.out_of_reach(error) from error
        except OutOfReach as error:
            raise self.astray(error) from error
        try:
            answer = read_json(content)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._nonsense(reference)
        return answer

    def refusal(self, response: httpx2.Response, repository: str, revision: str = "") -> ModelError:
        """Return what a refusal means, with the next step."""
        code = response.headers.get("x-error-code", "")
        status = response.status_code
        if code == "GatedRepo" or (status == 403 and not code):
            return ModelError(
                f"{repository} is gated: its makers want their terms to be accepted first.",
                hint=f"Accept them at {self.endpoint}/{repository}, put a token of that account into "
                f"{_WHERE}, run `llmasos stop`, and try again.",
            )
        if code == "RevisionNotFound":
            return ModelError(
                f"{repository} has no revision {revision!r}.",
                hint="Leave it out, or name a branch, tag or commit.",
            )
        if code == "EntryNotFound":
            return ModelError(f"{repository} has this file no more.", hint="Pull the model again.")
        if status in (401, 404):
            wrong = " The token may be wrong." if status == 401 and self.token.get_secret_value() else ""
            return ModelError(
                f"The hub has no model {repository}, or keeps it private.{wrong}",
                hint=f"Check the name; for a private model, put a token that may read it into {_WHERE}.",
            )
        if status == 429:
            return ModelError(
                "The hub wants fewer requests.", hint=f"Wait some minutes, or put a token into {_WHERE}."
            )
        return ModelError(f"The hub failed with status {status}.", hint="Try again later.")

    def out_of_reach(self, error: Exception) -> ModelError:
        """Return what it means that the hub did not answer."""
        return ModelError(
            f"The model hub at {self.endpoint} cannot be reached ({type(error).__name__}).",
            hint="Check the network, or give the path to a GGUF file or to a folder with safetensors.",
        )

    def astray(self, error: OutOfReach) -> ModelError:
        """Return what it means that the hub leads to where nothing may be fetched from."""
        return ModelError(
            error.message,
            hint="Name a hub in a private network by LLMASOS_MODELS__HUB, and other hosts that it leads to "
            "by LLMASOS_MODELS__HUB_HOSTS.",
        )

    def _nonsense(self, reference: Reference) -> ModelError:
        return ModelError(
            f"What answers at {self.endpoint} for {reference.repository} is no model hub.",
            hint="Check LLMASOS_MODELS__HUB and HF_ENDPOINT.",
        )


def choose_files(reference: Reference, files: Sequence[ModelFile]) -> tuple[ModelFile, ...]:
    """Return the files of a repository that a reference stands for.

    Raises:
        ModelError: There are none that are safe to load, or it is not clear which are meant.
    """
    name = reference.repository
    ggufs = [file for file in files if file.path.endswith(".gguf") and "mmproj" not in file.name.lower()]
    top = {file.path: file for file in files if "/" not in file.path}
    weights = [file for file in top.values() if file.name.endswith(".safetensors")]
    model = [file for file in weights if file.name.startswith("model")] or weights
    if reference.file:
        return _gguf(name, ggufs, reference.file)
    if model and "config.json" in top and not any(file.name.startswith("adapter_") for file in model):
        return (*model, *(top[file] for file in sorted(SMALL_FILES & top.keys())))
    if ggufs:
        return _gguf(name, ggufs, "")
    if any(file.path.endswith(PICKLES) for file in files):
        raise ModelError(
            f"{name} has its weights only as pickles, which can run code when they are read.",
            hint="Choose a model with safetensors or GGUF files.",
        )
    raise ModelError(
        f"{name} holds no language model that can be loaded.",
        hint="Choose a model with config.json and *.safetensors, or with GGUF files.",
    )


def _gguf(name: str, files: Sequence[ModelFile], wanted: str) -> tuple[ModelFile, ...]:
    firsts = [file for file in files if not (part := _PART.search(file.name)) or part[1] == "00001"]
    text = wanted.lower()
    found = [file for file in firsts if wanted in (file.path, file.name)] or [
        file for file in firsts if text in file.name.lower()
    ]
    if len(found) > 1 and not wanted:
        preferred = ([file for file in found if kind in file.name.lower()] for kind in _PREFERRED)
        found = next(filter(None, preferred), found)
    if len(found) != 1:
        names = ", ".join(file.path for file in (found or firsts)[:12]) or "none"
        raise ModelError(
            f"{name} has {'several' if found else 'no'} GGUF files that fit: {names}."
            if found
            else f"{name} has no GGUF file {wanted!r}; it has {names}.",
            hint=f"Name one, as in {name}:FILE.gguf.",
        )
    part = _PART.search(found[0].name)
    if part is None:
        return (found[0],)
    stem = found[0].path.removesuffix(part[0])
    by_path = {file.path: file for file in files}
    paths = [f"{stem}-{number:05}-of-{part[2]}.gguf" for number in range(1, int(part[2]) + 1)]
    if missing := [path for path in paths if path not in by_path]:
        raise ModelError(f"{name} lacks the part {missing[0]}.", hint="Choose another file of it.")
    return tuple(by_path[path] for path in paths)


def _file(entry: dict[str, Any]) -> ModelFile | None:
    """Return a file of the hub's list; None when its name or its digest is missing or odd."""
    large = entry.get("lfs") or {}
    try:
        file = ModelFile(
            path=entry.get("rfilename", ""),
            size=large.get("size", entry.get("size")),
            sha256=large.get("sha256", ""),
            blob="" if large else entry.get("blobId", ""),
        )
    except ValidationError:
        return None
    return file if file.sha256 or file.blob else None
