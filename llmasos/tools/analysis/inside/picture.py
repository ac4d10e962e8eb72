"""A chart as a PNG."""

from __future__ import annotations

import io
from typing import Any


def draw(chart: dict[str, Any]) -> bytes:
    """Return the picture of a chart.

    Args:
        chart: `kind` (bar, line or scatter), `title`, `x` and `y` (names), `points` (pairs).
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    labels = [point[0] for point in chart["points"]]
    values = [point[1] for point in chart["points"]]
    figure, axes = pyplot.subplots(figsize=(8, 4.5), dpi=120)
    if chart["kind"] == "bar":
        places = range(len(labels))
        axes.barh(places, values, color="#3b6ea8")
        axes.set_yticks(places, [str(label)[:30] for label in labels])
        axes.invert_yaxis()
        axes.set_xlabel(chart["y"])
    elif chart["kind"] == "line":
        axes.plot(range(len(labels)), values, color="#3b6ea8", marker="o" if len(labels) <= 60 else None)
        step = max(1, len(labels) // 8)
        axes.set_xticks(range(0, len(labels), step), [str(label)[:12] for label in labels[::step]])
        axes.set_xlabel(chart["x"])
        axes.set_ylabel(chart["y"])
        figure.autofmt_xdate()
    else:
        axes.scatter(labels, values, s=12, color="#3b6ea8", alpha=0.6)
        axes.set_xlabel(chart["x"])
        axes.set_ylabel(chart["y"])
    axes.set_title(chart["title"][:90], fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    pyplot.close(figure)
    return picture.getvalue()
