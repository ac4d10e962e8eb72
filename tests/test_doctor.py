"""The doctor's report on the models and the service: what is wrong, and what mends it."""

import socket
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from llmasos import doctor
from llmasos.api import Check
from llmasos.config import LedgerSettings, ModelSettings, ServiceSettings, Settings
from llmasos.extras import pinned
from llmasos.models.devices import cuda
from llmasos.models.devices.cpu import CpuDevice
from tests.models.catalog.files import gguf


def looked(part: str, settings: Settings) -> Check:
    check: Check = anyio.run(getattr(doctor, f"_{part}"), settings)
    return check


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_other_versions_of_the_extra_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = pinned("transformers")
    assert {"torch", "transformers"} <= set(wanted)
    versions = dict(wanted)
    monkeypatch.setattr(doctor, "installed", lambda name: versions[name])
    settings = Settings(data_dir=tmp_path)
    assert looked("transformers", settings).ok
    versions["transformers"] = "1.0"
    check = looked("transformers", settings)
    assert not check.ok and "transformers 1.0, not" in check.message and "torch" not in check.message
    assert check.fix == "pip install 'llmasos[transformers]'"
    versions["torch"] = ""
    assert looked("transformers", settings).ok, "the extra is not needed"


def test_the_memory_for_models_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    check = looked("memory", Settings(data_dir=tmp_path, models=ModelSettings(device="cpu", memory_mb=3000)))
    assert check.ok and "3,000 MiB" in check.message
    check = looked("memory", Settings(data_dir=tmp_path, models=ModelSettings(device="tpu")))
    assert not check.ok and "LLMASOS_MODELS__DEVICE" in check.fix
    monkeypatch.setattr(cuda, "present", lambda: True)
    monkeypatch.setattr(doctor, "choose_device", lambda _: CpuDevice())
    check = looked("memory", Settings(data_dir=tmp_path))
    assert not check.ok and "needs torch" in check.message and "llmasos[transformers]" in check.fix


def test_an_upstream_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
    check = looked(
        "upstreams", Settings(data_dir=tmp_path, models=ModelSettings(upstreams={"m": (url, url)}))
    )
    assert not check.ok and url in check.message and "LLMASOS_MODELS__UPSTREAMS" in check.fix
    assert looked("upstreams", Settings(data_dir=tmp_path)).ok


def test_a_port_that_is_taken_and_bad_tls_are_named(tmp_path: Path, taken: int) -> None:
    def service(**given: object) -> Settings:
        return Settings(
            data_dir=tmp_path, runtime_dir=tmp_path, service=ServiceSettings.model_validate({**given})
        )

    check = looked("service", service(port=taken))
    assert not check.ok and str(taken) in check.message and "LLMASOS_SERVICE__PORT" in check.fix
    check = looked("service", service(port=taken, tls_certificate=tmp_path / "none.pem"))
    assert not check.ok and "none.pem cannot be read" in check.message
    with socket.socket(socket.AF_UNIX) as kernel:
        kernel.bind(str(tmp_path / "kernel.sock"))
        kernel.listen()
        check = looked("service", service(port=taken))
    assert check.ok and "a kernel runs" in check.message


def test_a_model_that_is_too_large_for_the_memory_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(gguf(metadata={"qwen2.attention.head_count_kv": 60_000}))
    small, large = (
        Settings(
            data_dir=tmp_path,
            model=str(tmp_path / "m.gguf"),
            models=ModelSettings(device="cpu", memory_mb=memory),
        )
        for memory in (1, 1_000_000)
    )
    assert looked("model", large).ok
    check = looked("model", small)
    assert not check.ok and "m.gguf needs" in check.message and "LLMASOS_MODELS__MEMORY_MB" in check.fix


def test_the_chain_of_the_settings_is_named(tmp_path: Path) -> None:
    def chain(**given: object) -> Check:
        return looked("chain", Settings(data_dir=tmp_path, ledger=LedgerSettings.model_validate(given)))

    assert chain().message == "embedded"
    check = chain(chain="rpc")
    assert not check.ok and "LLMASOS_LEDGER__URL" in check.fix
    check = chain(chain="rpc", url="http://127.0.0.1:9", chain_id=5, key="0x" + "1" * 64)
    assert check.ok and check.message.startswith("rpc;")
