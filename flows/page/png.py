"""The page's main figures as one PNG, for slides and READMEs."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from flows.looks import CONTROL, colour_and_line, marks
from flows.page.book import Book
from flows.page.figures import FLOOR
from flows.pipeline.standings import family
from lsd_core.distillation.methods import get_method


def draw_png(book: Book, path: Path) -> None:
    """Quality against calls, then against entropy at each budget."""
    panels = 1 + len(book.budgets)
    figure = Figure(figsize=(4.6 * panels + 2, 4.2), layout="constrained")
    axes = [figure.add_subplot(1, panels, column + 1) for column in range(panels)]
    labels = list(dict.fromkeys(entry.label for entry in book.entries))
    mark = marks(entry.spec.sampler for entry in book.entries)
    for label in labels:
        mine = sorted((e for e in book.entries if e.label == label), key=lambda e: e.spec.nfe)
        style: dict[str, Any] = dict(
            zip(("color", "linestyle"), colour_and_line(mine[0].spec.method), strict=True)
        )
        own: dict[str, Any] = {"marker": mark[mine[0].spec.sampler], "color": style["color"]}
        own["markerfacecolor"] = "white" if style["linestyle"] == CONTROL else style["color"]
        means = [max(e.card.primary.mean or 0.0, FLOOR) for e in mine]
        ends = [(e.card.primary.low, e.card.primary.high) for e in mine]
        below = [
            0.0 if low is None else max(0.0, m - max(low, FLOOR))
            for m, (low, _) in zip(means, ends, strict=True)
        ]
        above = [
            0.0 if high is None else max(0.0, high - m) for m, (_, high) in zip(means, ends, strict=True)
        ]
        axes[0].errorbar(
            [e.spec.nfe for e in mine],
            means,
            yerr=[below, above],
            capsize=3,
            label=label,
            **own | style,
        )
        for entry, mean in zip(mine, means, strict=True):
            panel = axes[1 + book.budgets.index(entry.spec.nfe)]
            if get_method(entry.spec.method).sweep:
                points = sorted(family(book.store, entry.spec), key=lambda point: point.entropy)
                errors = [max(float(p.report.mean()), FLOOR) for p in points]
                panel.plot([p.entropy for p in points], errors, marker=".", **style)
            panel.plot([entry.card.diversity.mean or 0.0], [mean], **own)
    if book.teacher is not None:
        error, entropy = (book.teacher.metrics[name] for name in (book.task.primary, book.task.diversity))
        name = f"teacher, {book.teacher.calls_max} calls"
        axes[0].axhline(max(error, FLOOR), color="black", linestyle=":", label=name)
        for panel in axes[1:]:
            panel.plot([entropy], [max(error, FLOOR)], marker="*", color="black")
    axes[0].set(
        xscale="log",
        yscale="log",
        xlabel="network calls (NFE)",
        ylabel=book.task.primary,
        title=book.backbone,
    )
    axes[0].set_xticks(book.budgets, [str(nfe) for nfe in book.budgets])
    axes[0].minorticks_off()
    named = axes[0].get_legend_handles_labels()
    figure.legend(*named, loc="outside right upper", fontsize=8)
    for panel, nfe in zip(axes[1:], book.budgets, strict=True):
        panel.set(yscale="log", xlabel=f"{book.task.diversity} (nat)", title=f"{nfe} calls")
    figure.savefig(path, dpi=130, metadata={"Software": None})
