"""Devices: whose memory models share."""

from pathlib import Path

import pytest

from llmasos.config import ModelSettings
from llmasos.errors import ConfigError
from llmasos.models.devices import memory, nvml
from llmasos.models.devices.choose import choose_device
from llmasos.models.devices.cpu import CpuDevice
from llmasos.models.devices.cuda import CudaDevice, present
from llmasos.models.devices.nvml import GpuMemory
from llmasos.models.devices.port import Device
from llmasos.models.devices.sim import SimDevice
from llmasos.models.engines.port import OutOfMemory

GIB = 1024**3
MEMINFO = "MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n"


def machine(tmp_path: Path, groups: str, files: dict[str, str]) -> tuple[Path, Path]:
    """Make a machine of 16 GiB with half of it available, and its control groups."""
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(MEMINFO)
    (proc / "self" / "cgroup").write_text(groups)
    for name, text in files.items():
        (cgroups / name).parent.mkdir(parents=True, exist_ok=True)
        (cgroups / name).write_text(text)
    return proc, cgroups


def test_without_a_limit_the_machines_memory_counts(tmp_path: Path) -> None:
    place = machine(tmp_path, "0::/\n", {"memory.max": "max\n", "memory.current": "5\n", "memory.stat": ""})
    assert (memory.total(*place), memory.available(*place)) == (16 * GIB, 8 * GIB)


def test_the_tightest_control_group_counts(tmp_path: Path) -> None:
    files = {
        "a/memory.max": str(4 * GIB),
        "a/memory.current": str(3 * GIB),
        "a/memory.stat": f"anon 1\ninactive_file {GIB}\n",
        "a/b/memory.max": "max",
        "a/b/memory.current": "0",
        "a/b/memory.stat": "",
    }
    place = machine(tmp_path, "0::/a/b\n", files)
    assert (memory.total(*place), memory.available(*place)) == (4 * GIB, 2 * GIB)


def test_control_groups_of_the_first_version_count_too(tmp_path: Path) -> None:
    files = {
        "memory/memory.limit_in_bytes": str(2 * GIB),
        "memory/memory.usage_in_bytes": str(GIB),
        "memory/memory.stat": "total_inactive_file 0\n",
    }
    place = machine(tmp_path, "9:cpu:/x\n4:memory:/docker/123\n", files)
    assert (memory.total(*place), memory.available(*place)) == (2 * GIB, GIB)


def test_this_machine_says_what_it_has() -> None:
    device = CpuDevice()
    free = device.free()
    assert free is not None and 0 < free <= memory.total()
    assert 0 < device.budget < memory.total()
    assert "MiB" in device.title


def test_a_budget_is_taken_as_it_is() -> None:
    def broken() -> int:
        raise OSError

    device = CpuDevice(5 * GIB, total=broken, available=broken)
    assert (device.name, device.budget, device.free()) == ("cpu", 5 * GIB, None)
    assert CpuDevice(total=lambda: 10 * GIB).budget == 6 * GIB


def test_simulated_memory_runs_out() -> None:
    device = SimDevice(100)
    device.take("a", 60)
    with pytest.raises(OutOfMemory, match="no 50 bytes for b"):
        device.take("b", 50)
    device.take("a", 30)
    device.take("b", 50)
    assert (device.taken, device.free()) == (80, 20)
    device.give("a")
    device.fail()
    with pytest.raises(OutOfMemory):
        device.take("c", 1)
    device.take("c", 1)
    assert device.taken == 51


def test_a_gpu_is_the_one_that_torch_means(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def read(gpu: str) -> GpuMemory:
        asked.append(gpu)
        return GpuMemory(name="GPU", total=80 * GIB, free=70 * GIB)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    device = CudaDevice(1, read=read)
    assert (device.name, device.budget, device.free()) == ("cuda:1", 72 * GIB, 70 * GIB)
    assert device.title == "GPU, 72.0 GiB for models"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-123, 3")
    assert CudaDevice(0, GIB, read=read).budget == GIB
    CudaDevice(1, read=read)
    with pytest.raises(ConfigError, match="cuda:2"):
        CudaDevice(2, read=read)
    assert asked == ["1", "1", "GPU-123", "3"]


def test_a_gpu_that_stops_answering_has_unknown_memory() -> None:
    answers = [GpuMemory(name="GPU", total=GIB, free=GIB)]

    def read(gpu: str) -> GpuMemory:
        if not answers:
            raise ConfigError("gone")
        return answers.pop()

    assert CudaDevice(read=read).free() is None


def test_without_a_driver_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmasos.models.devices.nvml._LIBRARY", "libnone.so.0")
    with pytest.raises(ConfigError, match=r"libnone\.so\.0"):
        nvml.read("0")


def gpu(index: int, budget: int) -> Device:
    return SimDevice(budget or GIB, name=f"cuda:{index}")


@pytest.mark.parametrize(
    ("device", "has_gpu", "name"),
    [
        ("auto", False, "cpu"),
        ("auto", True, "cuda:0"),
        ("cpu", True, "cpu"),
        ("cuda", True, "cuda:0"),
        ("cuda:3", True, "cuda:3"),
    ],
)
def test_the_device_is_chosen(device: str, has_gpu: bool, name: str) -> None:
    settings = ModelSettings(device=device, memory_mb=512)
    chosen = choose_device(settings, has_gpu=lambda: has_gpu, gpu=gpu)
    assert (chosen.name, chosen.budget) == (name, 512 * 1024**2)


@pytest.mark.parametrize("device", ["cuda:0", "cuda:x", "cuda:-1", "tpu", ""])
def test_a_device_that_is_not_there_is_named(device: str) -> None:
    with pytest.raises(ConfigError, match=f"'?{device}'?"):
        choose_device(ModelSettings(device=device), has_gpu=lambda: False, gpu=gpu)


def test_gpus_are_found_by_their_files(tmp_path: Path) -> None:
    (tmp_path / "nvidiactl").touch()
    assert not present(tmp_path)
    (tmp_path / "nvidia0").touch()
    assert present(tmp_path)


@pytest.mark.gpu
@pytest.mark.skipif(not present(), reason="there is no GPU")
def test_a_real_gpu_says_what_it_has() -> None:
    device = CudaDevice()
    free = device.free()
    assert free is not None and 0 < free <= device.budget / 0.9 + 1
