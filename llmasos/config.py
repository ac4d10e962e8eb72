"""The one typed configuration object."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from llmasos import paths
from llmasos.errors import ConfigError

# Secrets by the names that programs give them.
HIDDEN = (
    *(".env", ".env.*", ".envrc", ".netrc", ".pgpass", ".npmrc", ".pypirc", ".git-credentials", ".htpasswd"),
    *(
        "id_rsa",
        "id_dsa",
        "id_ecdsa",
        "id_ed25519",
        "*.pem",
        "*.key",
        "*.p12",
        "*.pfx",
        "*.jks",
        "*.keystore",
    ),
    *("*.kdbx", "credentials.json", "service-account*.json", ".aws/credentials", ".docker/config.json"),
    *(".kube/config", ".ssh", ".gnupg", "*.tfstate", "secrets.y*ml"),
)


def _web(url: str) -> str:
    if not re.match(r"https?://[^/]", url):
        raise ValueError("it must begin with http:// or https://")
    return url


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Urls = Annotated[
    tuple[Annotated[str, AfterValidator(_web)], ...], BeforeValidator(_listed), Field(min_length=1)
]
"""One base URL, or several."""


class TurnLimits(BaseModel, frozen=True):
    """What one turn may use before it is ended."""

    steps: int = Field(12, ge=1, description="Requests to the model.")
    tokens: int = Field(24_000, ge=1, description="Tokens generated, over all requests.")
    seconds: float = Field(600.0, gt=0, description="Wall-clock time, waiting for approvals excluded.")


class SandboxLimits(BaseModel, frozen=True):
    """What one sandbox may use."""

    memory_mb: int = Field(2048, ge=64, description="Memory in MiB.")
    cpus: float = Field(0.0, ge=0, description="Cores; 0 means all.")
    cpu_seconds: int = Field(600, ge=1, description="CPU time of one process of a cell or command.")
    processes: int = Field(256, ge=8, description="Processes and threads.")
    open_files: int = Field(1024, ge=64, description="Files that one process may hold open.")
    files: int = Field(200_000, ge=100, description="Files that a sandbox may add.")
    disk_mb: int = Field(4096, ge=16, description="Disk space in MiB that a sandbox may add.")
    scratch_mb: int = Field(
        512, ge=16, description="Size of /tmp in MiB, which counts as memory: at most a quarter of it."
    )
    seconds: float = Field(60.0, gt=0, description="Time of one cell or command.")
    output_bytes: int = Field(200_000, ge=1000, description="Output kept of one cell or command.")
    flood_mb: int = Field(4096, ge=1, description="Output in MiB after which a cell or command is stopped.")


class PolicySettings(BaseModel, frozen=True):
    """What is possible, and when a person is asked."""

    access: Literal["read-only", "workspace", "open"] = Field(
        "workspace",
        description="What is possible: only looking; changing the view; reaching hosts when a person agrees.",
    )
    asking: Literal["always", "on-risk", "never"] = Field(
        "on-risk",
        description="When a person is asked: before every effect; where a rule says so; never, which denies.",
    )
    administrator: Path = Field(
        Path("/etc/llmasos/policy.toml"),
        description="The administrator's rules, which nobody overrides.",
    )
    approval_seconds: float = Field(
        3600.0, gt=0, description="Seconds after which a request for approval is refused by itself."
    )


class LedgerSettings(BaseModel, frozen=True):
    """Where actions are recorded, and what it may cost."""

    chain: Literal["embedded", "anvil", "rpc"] = Field(
        "embedded", description="The chain: our own, a development node that is started, or one at `url`."
    )
    url: str = Field("", description="The JSON-RPC URL of an EVM node, for the chain `rpc`.")
    chain_id: int = Field(0, ge=0, description="The id that this chain must have.")
    key_file: Path | None = Field(None, description="A file with the account's private key in hexadecimal.")
    key: SecretStr = Field(SecretStr(""), description="The account's private key, instead of a file.")
    mode: Literal["each", "batch", "merkle"] = Field(
        "each", description="Records in a transaction: one, several of a session, or the root of a tree."
    )
    batch: int = Field(0, ge=0, le=10_000, description="Records in one transaction at most; 0 chooses.")
    wait: float = Field(5.0, ge=0, description="Seconds that a batch or tree waits for more records.")
    max_fee_gwei: float = Field(100.0, gt=0, description="The most to offer for one unit of gas, in gwei.")
    spend_per_day: float = Field(
        0.0, ge=0, description="The most to spend in 24 hours, in the chain's coin; 0 means no limit."
    )
    backlog: int = Field(
        100_000, ge=1, description="Records that may wait for the chain before actions are refused."
    )
    retention_days: int = Field(
        0, ge=0, description="Days after which bodies of records are erased; 0 keeps them."
    )
    anchors: tuple[str, ...] = Field(
        (),
        description="Places outside that vouch for the ledger: `file:PATH`, `git:PATH[#BRANCH]`, "
        "`rfc3161:URL[#ROOTS]`, `evm:ID@URL[#BLOCK]`.",
    )
    anchor_hours: float = Field(24.0, gt=0, description="Hours between two anchors.")
    anchor_key_file: Path | None = Field(
        None, description="A file with the key of the account on `evm` anchors."
    )
    anchor_key: SecretStr = Field(SecretStr(""), description="That key, instead of a file.")


class ModelSettings(BaseModel, frozen=True):
    """How models share the machine."""

    device: str = Field("auto", description="Where models are loaded: `cpu`, `cuda:0`, or `auto`.")
    memory_mb: int = Field(0, ge=0, description="Memory in MiB for resident models; 0 chooses.")
    host_memory_mb: int = Field(
        0, ge=0, description="Memory in MiB for models that were moved off the device; 0 chooses."
    )
    keep_alive: float = Field(
        0.0, ge=0, description="Seconds that an unused model stays; 0 keeps it while there is room."
    )
    slots: int = Field(0, ge=0, le=1024, description="Requests that one model runs at once; 0 chooses.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="The type of weights of safetensors models."
    )
    queue: int = Field(4096, ge=1, description="Requests that may wait for models, over all.")
    session_queue: int = Field(64, ge=1, description="Requests of one session that may wait.")
    wait_seconds: float = Field(
        15.0, gt=0, description="How long a model in use may keep another one from being loaded."
    )
    adapters: dict[str, dict[str, Path]] = Field(
        {}, description="LoRA adapters: for each model, files by the adapters' names."
    )
    upstreams: dict[str, Urls] = Field(
        {},
        description="Models behind OpenAI-compatible endpoints: for each name, base URLs, "
        "of which the least busy is asked.",
    )
    upstream_keys: dict[str, SecretStr] = Field({}, description="Keys of such endpoints, by base URL.")
    prices: dict[str, tuple[float, float]] = Field(
        {}, description="Price of a million tokens read and written, by model, for budgets and spend."
    )
    cluster: str = Field(
        "", description="Address of the Ray cluster for replicas, `auto`, or empty for one of our own."
    )
    hub: str = Field("", description="Base URL of the model hub; empty means `HF_ENDPOINT`, or Hugging Face.")
    hub_token: SecretStr = Field(
        SecretStr(""), description="The hub's token for gated models; empty means `HF_TOKEN`."
    )
    hub_hosts: tuple[str, ...] = Field(
        (), description="Hosts of a private network that a hub may lead to, such as `files.example:9000`."
    )
    replicas: dict[str, int] = Field({}, description="Replicas on the cluster, by model.")


class ToolSettings(BaseModel, frozen=True):
    """What tools get."""

    secrets: dict[str, SecretStr] = Field(
        {}, description="Secrets by name; a tool gets those that it declares and was enabled with."
    )
    spend: float = Field(
        1.0, ge=0, description="What the calls of one turn may cost together, by what tools declare."
    )
    models: dict[str, str] = Field(
        {}, description="Models that tools ask in place of the session's, by the tool's name."
    )


class McpServer(BaseModel, frozen=True):
    """A server of tools: a program that is started, or an address that is reached."""

    command: tuple[str, ...] = Field((), description="The program with its arguments.")
    url: str = Field("", description="In its place, the address of a server on the network.")
    environment: dict[str, SecretStr] = Field({}, description="Variables that the program is given.")
    headers: dict[str, SecretStr] = Field({}, description="Headers that the server on the network is sent.")
    tools: tuple[str, ...] = Field(("*",), description="Which of its tools are offered, as globs.")
    read_only: tuple[str, ...] = Field(
        (), description="Which of them only look, as globs; a person is asked about all others."
    )
    seconds: float = Field(60.0, gt=0, description="Seconds that one call may take.")

    @model_validator(mode="after")
    def _one_way(self) -> McpServer:
        if bool(self.command) == bool(self.url):
            raise ValueError("give either a command or a url")
        if self.url:
            _web(self.url)
        return self


CONSOLE_PORT = 7717
"""Where the console is when no port is given."""

ServerName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]


class ServiceSettings(BaseModel, frozen=True):
    """How other programs reach the kernel over the network."""

    host: str = Field("127.0.0.1", description="Address to listen on, where `port` is given.")
    port: int = Field(0, ge=0, le=65535, description="TCP port to listen on; 0 listens on the socket only.")
    console: bool = Field(
        False, description=f"Serve the console, a web page, on `port`, or on {CONSOLE_PORT} where that is 0."
    )
    tls_certificate: Path | None = Field(None, description="A file with the certificate and its chain.")
    tls_key: Path | None = Field(None, description="A file with the certificate's key.")
    origins: tuple[str, ...] = Field((), description="Web origins whose pages may call the API.")
    names: tuple[str, ...] = Field(
        (), description="Host names of a proxy before a loopback address, whose requests are answered."
    )
    drain_seconds: float = Field(10.0, ge=0, description="How long calls may take to end at a stop.")
    body_mb: int = Field(32, ge=1, description="The largest request in MiB.")
    responses: int = Field(
        1000, ge=1, description="Responses of `/v1/responses` that are kept for each key; the oldest go."
    )

    @property
    def tcp_port(self) -> int:
        """The TCP port that is listened on; 0 for none."""
        return self.port or (CONSOLE_PORT if self.console else 0)

    @property
    def url(self) -> str:
        """Where other programs reach the kernel; empty without a port."""
        if not self.tcp_port:
            return ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls_certificate else 'http'}://{host}:{self.tcp_port}"


class ShellSettings(BaseModel, frozen=True):
    """How the interactive shell is typed at, and what it speaks."""

    keys: Literal["emacs", "vi"] = Field("emacs", description="The keys that edit a line: `emacs` or `vi`.")
    language: Literal["auto", "en", "zh"] = Field(
        "auto",
        description="The language of the shell and the command line; `auto` is that of the locale. In "
        "`config.toml` it is the shell's alone, once it is connected.",
    )


class Settings(BaseSettings):
    """Every setting, from `LLMASOS_*` variables and then `config.toml` in the configuration folder."""

    model_config = SettingsConfigDict(env_prefix="LLMASOS_", env_nested_delimiter="__", extra="ignore")

    data_dir: Path = Field(default_factory=paths.data_dir, description="Database, chain and workspaces.")
    cache_dir: Path = Field(default_factory=paths.cache_dir, description="Models, images and prompt caches.")
    runtime_dir: Path = Field(default_factory=paths.runtime_dir, description="The kernel's socket.")
    database_url: str = Field("", description="Any SQLAlchemy URL; empty means SQLite in the data folder.")

    model: str = Field(
        "qwen2.5-coder-1.5b", description="A name from `llmasos models`, a hub's `org/name`, or a path."
    )
    model_url: str = Field("", description="Base URL of an OpenAI-compatible endpoint, used instead.")
    model_key: SecretStr = Field(SecretStr(""), description="The endpoint's key.")
    model_threads: int = Field(0, ge=0, description="Threads of the embedded engine; 0 is one for each core.")
    model_context: int = Field(8192, ge=2048, description="Tokens the embedded engine keeps in view.")
    allow_download: bool = Field(True, description="Whether models may be fetched.")

    sandbox: Literal["auto", "docker", "bubblewrap", "landlock"] = Field(
        "auto", description="Which sandbox to use; `landlock` is weak and never chosen by itself."
    )
    sandbox_image: str = Field("llmasos/sandbox:latest", description="The Docker image of the sandbox.")
    sandbox_pull: bool = Field(False, description="Whether `python:3.12-slim` may be pulled for it.")
    sandbox_pool: int = Field(1, ge=0, le=16, description="Sandboxes kept warm for the next session.")
    sandbox_hosts: tuple[str, ...] = Field(
        (), description="Hosts that code may reach, such as `example.org` or `*.example.net`."
    )
    in_place: bool = Field(False, description="Work on the folder itself, without a view to discard.")
    hidden: tuple[str, ...] = Field(
        HIDDEN, description="Names of files that sandboxes do not see, as globs on a name or a path's end."
    )
    granted: tuple[str, ...] = Field(
        (".env.example", ".env.sample", ".env.template"),
        description="Hidden files that sandboxes do see, as globs.",
    )
    limits: TurnLimits = TurnLimits()
    sandbox_limits: SandboxLimits = SandboxLimits()
    policy: PolicySettings = PolicySettings()
    ledger: LedgerSettings = LedgerSettings()
    models: ModelSettings = ModelSettings()
    tools: ToolSettings = ToolSettings()
    mcp: dict[ServerName, McpServer] = Field({}, description="MCP servers by name, each a table of its own.")
    service: ServiceSettings = ServiceSettings()
    shell: ShellSettings = ShellSettings()

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in force."""
        return self.database_url or f"sqlite:///{self.data_dir / 'llmasos.db'}"

    @property
    def socket(self) -> Path:
        """The kernel's Unix socket."""
        return self.runtime_dir / "kernel.sock"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_file())


def _file() -> Path:
    return paths.config_dir() / "config.toml"


def load_settings() -> Settings:
    """Read the settings of this user.

    Raises:
        ConfigError: A setting has a wrong value, which the message names, or the file cannot be read.
    """
    file = _file()
    try:
        if os.path.lexists(file) and not file.is_file():
            raise ConfigError(f"{file} is not a file.", hint="Move it away, and write the settings anew.")
        return Settings()
    except OSError as error:
        raise ConfigError(
            f"{error.filename or file} cannot be read: {error.strerror}.", hint="Check its permissions."
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = [str(part) for part in first["loc"]]
        name, variable = ".".join(path), "__".join(path).upper()
        # A whole table may hold a key.
        got = "" if isinstance(first["input"], dict | list) else f" (got {first['input']!r})"
        raise ConfigError(
            f"The setting {name!r} cannot be used: {first['msg']}{got}.",
            hint=f"Correct {name} in {file} or LLMASOS_{variable}.",
        ) from None
    except SettingsError as error:
        found = re.search(r'field "(\w+)"', str(error))
        variable = f"LLMASOS_{found[1].upper()}" if found else "LLMASOS_*"
        # Not chained: the cause might hold a key.
        raise ConfigError(
            f"A variable {variable} or {variable}__* cannot be read: it is no JSON.",
            hint="Write lists and tables as JSON: "
            """LLMASOS_LEDGER__ANCHORS='["git:/srv/anchors"]', LLMASOS_MODELS__REPLICAS='{"NAME": 2}'.""",
        ) from None
    except ValueError as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.", hint="Correct the file.") from error
