"""Metrics reach an exporter that OpenTelemetry's variables name; each case has a process of its own."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from llmasos.errors import ConfigError
from llmasos.models.scheduler.metrics import Metrics
from llmasos.service.telemetry import start_telemetry

ROOT = Path(__file__).parents[3]
MEASURE = """
from llmasos.service.telemetry import start_telemetry
start_telemetry()
from llmasos.models.scheduler.metrics import Metrics
from llmasos.models.scheduler.types import Client, Job
Metrics(lambda: 0.0).wrote(Job(1, "tiny", Client(), 1, 1), 7)
"""


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({"OTEL_METRICS_EXPORTER": "console"}, "llmasos"),
        ({"OTEL_METRICS_EXPORTER": "none, console", "OTEL_SERVICE_NAME": "mine"}, "mine"),
        ({"OTEL_METRICS_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"}, ""),
        ({"OTEL_METRICS_EXPORTER": "none"}, ""),
        ({}, ""),
    ],
)
def test_what_is_measured_is_exported_at_the_latest_at_the_end(env: dict[str, str], name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], env={"PYTHONPATH": str(ROOT), **env}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    if not name:
        assert done.stdout == ""
        return
    assert '"llmasos.models.tokens"' in done.stdout and '"gen_ai.request.model": "tiny"' in done.stdout
    assert f'"service.name": "{name}"' in done.stdout


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_METRICS_EXPORTER", "console,nothing", "'nothing' is not installed"),
        ("OTEL_METRICS_EXPORTER", "otlp", "'otlp' is not installed"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318", "'otlp' is not installed"),
    ],
)
def test_an_exporter_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon")
    monkeypatch.setenv(variable, value)
    before = set(threading.enumerate())
    with pytest.raises(ConfigError, match=said) as caught:
        start_telemetry()
    assert "llmasos[telemetry]" in caught.value.hint
    assert set(threading.enumerate()) <= before, "those that are installed have not begun"


def test_an_interval_that_is_no_time_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "console")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "0")
    with pytest.raises(ConfigError, match="OTEL_METRIC_EXPORT_INTERVAL is '0'"):
        start_telemetry()


def test_the_page_names_every_metric() -> None:
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("llmasos.models")
    made = {name for name in vars(Metrics(lambda: 0.0, meter)).values() if hasattr(name, "name")}
    names = {instrument.name for instrument in made}
    told = set(re.findall(r"`((?:gen_ai|llmasos)\.[a-z_.]+)`", (ROOT / "docs/how-to/running.md").read_text()))
    assert names <= told, names - told
