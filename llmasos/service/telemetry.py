"""Telemetry: hands what models measure to the exporter that OpenTelemetry's own variables name."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from llmasos.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader

_EXPORTERS = "OTEL_METRICS_EXPORTER"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_OTLP = {"": "otlp_proto_http", "http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
_INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
_NAME = "service.name"


def start_telemetry() -> None:
    """Export metrics from now on, where `OTEL_METRICS_EXPORTER` or an endpoint for OTLP asks for it.

    Everything else, such as the interval, headers and the service's name, is read from `OTEL_*`, too.

    Raises:
        ConfigError: The exporter is not known, not installed, or cannot be made; none has begun then.
    """
    names = _wanted()
    if not names:
        return
    try:
        from opentelemetry.metrics import set_meter_provider
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.resources import Resource
    except ImportError as error:
        raise _absent(", ".join(names)) from error
    named = "OTEL_SERVICE_NAME" in os.environ or f"{_NAME}=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if named else {_NAME: "llmasos"})
    exporters = [_exporter(name) for name in names]
    set_meter_provider(MeterProvider([_reader(exporter) for exporter in exporters], resource))


def _wanted() -> list[str]:
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return []
    # An endpoint alone means that something listens there.
    given = os.environ.get(_EXPORTERS) or ("otlp" if any(map(os.environ.get, _ENDPOINTS)) else "")
    names = [name.strip() for name in given.split(",")]
    return [name for name in names if name not in ("", "none")]


def _exporter(name: str) -> MetricExporter | MetricReader:
    entry = name
    if name == "otlp":
        protocol = next(filter(None, map(os.environ.get, _PROTOCOLS)), "")
        entry = _OTLP.get(protocol, protocol)
    found = next(iter(entry_points(group="opentelemetry_metrics_exporter", name=entry)), None)
    if found is None:
        raise _absent(name)
    try:
        exporter: MetricExporter | MetricReader = found.load()()
    except Exception as error:  # What a variable of the exporter's own says may be wrong in its own way.
        raise ConfigError(
            f"The metrics exporter {name!r} cannot be made: {error}.", hint="Correct its OTEL_* variables."
        ) from error
    return exporter


def _reader(exporter: MetricExporter | MetricReader) -> MetricReader:
    """Return what reads for an exporter, which has a thread that goes on for ever."""
    from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader

    if isinstance(exporter, MetricReader):
        return exporter
    try:
        return PeriodicExportingMetricReader(exporter)
    except ValueError as error:
        raise ConfigError(
            f"{_INTERVAL} is {os.environ.get(_INTERVAL)!r}, which is no time.",
            hint="Give it milliseconds of more than 0.",
        ) from error


def _absent(name: str) -> ConfigError:
    return ConfigError(
        f"Metrics cannot be exported: {name!r} is not installed.",
        hint=f"pip install 'llmasos[telemetry]' brings `otlp`; or correct {_EXPORTERS}.",
    )
