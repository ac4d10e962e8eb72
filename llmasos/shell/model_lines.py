"""What a terminal shows of models, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len

from llmasos.display import display
from llmasos.language import translated
from llmasos.shell.words import MODEL_STATES, fit, pad

if TYPE_CHECKING:
    from llmasos.api import ModelInfo
    from llmasos.api.models import BenchReport, BenchRow, DeviceShare, ModelDetails, ModelProgress, ModelsTop

_WIDEST = 48
_KINDS = {"tuning": "open requests", "held out": "other requests", "results": "answers from results"}


def list_lines(models: Sequence[ModelInfo]) -> Iterator[str]:
    """Yield a line for each model: name, state, size, title."""
    names = [display(model.name) for model in models]
    width = max(24, *map(cell_len, names), 0)
    for name, model in zip(names, models, strict=True):
        size = f"{size_text(model.size):>9}" if model.size else " " * 9
        state = pad(translated(MODEL_STATES[model.state]), 16)
        default = f" {translated('(the default)')}" if model.default else ""
        yield f"{pad(name, width)} {state} {size}  {display(model.title)}{default}"


def detail_lines(model: ModelDetails) -> Iterator[str]:
    """Yield everything that is known of a model."""
    yield f"{display(model.name)}: {display(model.title)}, {translated(MODEL_STATES[model.state])}"
    facts = {
        "licence": display(model.licence),
        "source": display(model.source),
        "path": display(model.path),
        "pulled": f"{model.pulled.astimezone():%Y-%m-%d %H:%M}" if model.pulled else "",
        "format": model.format,
        "size": size_text(model.size) if model.size else "",
        "parameters": f"{model.parameters / 1e9:.2f} billion" if model.parameters else "",
        "context": _context(model),
        "sha256": model.sha256,
        "family": model.family,
        "driven by": _drive(model),
        "memory": _memory(model),
    }
    for name, value in facts.items():
        if value:
            yield f"  {pad(translated(name), 11)} {translated(value)}"
    for file in model.files:
        yield f"  {pad(translated('file'), 11)} {display(file.name)}, {size_text(file.size)}"


def progress_text(step: ModelProgress) -> str:
    """Return how much is done, of how much."""
    if step.unit == "bytes":
        of = translated(" of ")
        return f"{size_text(step.done)}{of}{size_text(step.total)}" if step.total else ""
    amount = translated(f"{step.done:.0f} of {step.total:.0f}")
    return f"{amount} {translated(step.unit)}" if step.total else ""


def top_lines(top: ModelsTop) -> Iterator[str]:
    """Yield how models share the machine."""
    for device in top.devices:
        yield _device(device)
    if top.host.budget or top.host.used:
        yield _device(top.host)
    if top.draining:
        yield "The kernel is stopping: no new requests are taken."
    names = [fit(display(model.name) + (" *" if model.pinned else ""), _WIDEST) for model in top.models]
    elsewhere = [fit(display(remote.name), _WIDEST) for remote in top.remotes]
    width = max([*map(len, names), *map(len, elsewhere), len("ELSEWHERE" if elsewhere else "MODEL")])
    yield ""
    yield (
        f"{'MODEL':<{width}} {'STATE':<10} {'MEMORY':>9} {'RUN':>5} {'WAIT':>5} {'P50':>7} {'P90':>7} "
        f"{'FIRST':>7} {'TOK/S':>7} {'LOADS':>5} {'OUT':>4} {'IDLE':>7}"
    )
    for name, model in zip(names, top.models, strict=True):
        idle = None if model.running else model.idle
        yield (
            f"{name:<{width}} {model.state:<10} "
            f"{size_text(model.bytes) if model.state != 'absent' else '-':>9} "
            f"{model.running:>2}/{model.slots:<2} {model.waiting:>5} "
            f"{_seconds(model.wait_p50):>7} {_seconds(model.wait_p90):>7} {_seconds(model.first_token):>7} "
            f"{model.tokens_per_second:>7.1f} {model.loads:>5} {model.evictions:>4} {_seconds(idle):>7}"
        )
    if any(model.pinned for model in top.models):
        yield "* pinned"
    if top.sessions:
        yield ""
        yield f"{'SESSION':<28} {'BAND':<12} {'SHARE':>6} {'RUN':>4} {'WAIT':>5}"
        for session in top.sessions:
            yield (
                f"{display(session.id) or '-':<28} {session.band:<12} {session.share:>6.0%} "
                f"{session.running:>4} {session.waiting:>5}"
            )
    if top.remotes:
        yield ""
        yield (
            f"{'ELSEWHERE':<{width}} {'STATE':<10} {'RUN':>5} {'DONE':>6} {'TOKENS':>9} {'COST':>8}  ENDPOINT"
        )
        for name, remote in zip(elsewhere, top.remotes, strict=True):
            for place in remote.endpoints:
                url, why = display(place.url), display(place.reason)
                told = why if url in why else f"{url}: {why}" if why else url
                # Its pause is over, and nothing has shown that it works again.
                state = "failing" if why and place.state == "healthy" else place.state
                cost = "-" if place.cost is None else f"{place.cost:.2f}"
                yield (
                    f"{name:<{width}} {state:<10} {place.outstanding:>5} {place.requests:>6} "
                    f"{place.tokens:>9,} {cost:>8}  {told}"
                )


def report_lines(report: BenchReport) -> Iterator[str]:
    """Yield a measurement as a table, with the verdict at its end."""
    if report.misses:
        yield "Wrong, and what came instead (of the other requests, only numbers are shown):"
    for miss in report.misses:
        yield f"  {display(miss)}"
    name = fit(display(report.model), 24)
    yield f"{name:<24} {'requests':>9} {'right tool':>11} {'usable':>7} {'all right':>10} {'seconds':>8}"
    for row in report.rows:
        yield (
            f"{_KINDS.get(row.kind, row.kind):<24} {row.requests:>9} {_share(row, row.tool, 11)} "
            f"{_share(row, row.valid, 7)} {_share(row, row.arguments, 10)} {row.seconds:>8.1f}"
        )
    yield (
        f"Reads {report.read_per_second:,.0f} and writes {report.written_per_second:,.1f} tokens a second; "
        f"first token after {report.first_token:.1f} s; {report.cpu_seconds:.1f} CPU-seconds a request."
    )
    yield report.verdict


def size_text(size: float) -> str:
    """Return bytes as people write them."""
    return f"{size / 1e9:,.1f} GB" if size >= 10e9 else f"{size / 1e6:,.0f} MB"


def _device(device: DeviceShare) -> str:
    free = f", {size_text(device.free)} free" if device.free is not None else ""
    title = f" ({display(device.title)})" if device.title else ""
    return f"{device.name}{title}: {size_text(device.used)} of {size_text(device.budget)}{free}"


def _drive(model: ModelDetails) -> str:
    if model.drive == "native":
        return f"its own tool format ({model.tool_format})"
    return "call syntax under a grammar" if model.drive else ""


def _context(model: ModelDetails) -> str:
    view = f"; {model.view:,} in view" if model.view else ""
    return f"{model.context:,} tokens{view}" if model.context else ""


def _memory(model: ModelDetails) -> str:
    if model.memory is None:
        return ""
    parts = (
        ("weights", model.memory.weights),
        ("context", model.memory.cache),
        ("work", model.memory.workspace),
    )
    shown = ", ".join(f"{size_text(size)} {name}" for name, size in parts)
    fits = {True: "", False: "; it does not fit", None: ""}[model.fits]
    return f"{size_text(model.memory.total)} ({shown}){fits}"


def _share(row: BenchRow, number: int, width: int) -> str:
    return f"{100 * number / max(row.requests, 1):>{width - 1}.0f}%"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
