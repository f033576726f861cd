"""The tables of a page: comparisons behind the verdicts, costs, all numbers."""

from flows.pipeline.timing import Took
from flows.report.csv_columns import metric_names
from flows.report.number_text import estimate_text, metric_text, nats_text
from flows.report.page_data import PageData
from flows.report.sortable_table import Cell, Line, SortableTable
from flows.report.table_rows import Row
from lsd_core.candidates.teacher import calls_a_path
from lsd_core.cards import plain
from lsd_core.numerics.number_text import entropy_text, signed


def comparisons(data: PageData, css: dict[str, str]) -> SortableTable:
    """Every comparison behind the verdicts of budgets."""
    named: dict[str, list[Row]] = {}
    for row in data.rows:
        for name in row.candidates:
            named.setdefault(name, []).append(row)
    lines = []
    for verdict in data.verdicts.values():
        for made in sorted(verdict.comparisons, key=lambda made: made.candidate != verdict.champion):
            rows, (low, high) = named[made.candidate], made.control_entropy
            row, label = rows[0], rows[0].label if len(rows) == 1 else made.candidate
            said = "wins" if made.wins else "not comparable" if made.difference is None else "does not win"
            cells = (
                Cell(str(row.nfe), row.nfe),
                Cell(label, label, css[row.label]),
                Cell(made.control, made.control),
                Cell("" if made.difference is None else signed(made.difference), made.difference),
                Cell("" if made.upper is None else signed(made.upper), made.upper),
                Cell(entropy_text(made.entropy), made.entropy),
                Cell(f"{entropy_text(low)} to {entropy_text(high)}", low),
                Cell(said, said),
            )
            lines.append(Line(cells, _facets(row), made.candidate == verdict.champion))
    columns = ("NFE", "candidate", "control", f"difference in {data.task.primary}", "95% bound", "entropy")
    return SortableTable(
        "comparisons", (*columns, "control's entropies", "verdict"), tuple(lines), (0, 1, 2, 3, 4, 5, 7)
    )


def costs_table(data: PageData, css: dict[str, str]) -> SortableTable:
    """What learning, the teacher's paths and the certificate cost."""
    timed = any(entry.spec.work.key in data.seconds for entry in data.entries)
    lines = []
    for entry in data.entries:
        spec, card, row = entry.spec, entry.card, entry.row
        learning = sum(table.sequences for table in entry.tables) / len(entry.tables)
        shared = (card.learning or {}).get("shared", 0)
        teacher = 0 if spec.teacher is None else calls_a_path(spec.teacher) * (spec.trajectories or 0)
        took = data.seconds.get(spec.work.key, Took())
        at_most = "" if f"{row.calls_mean:.4g}" == str(row.calls_max) else f" (at most {row.calls_max})"
        certificate = float((card.certificate or {}).get("sequences") or 0)
        seconds = [took.a_table_s, took.a_thousand_s] if timed else []
        cells = (
            Cell(str(row.nfe), row.nfe),
            Cell(row.label, row.label, css[row.label]),
            Cell(f"{row.calls_mean:.4g}{at_most}", row.calls_mean),
            *(
                Cell(_grouped(x), x)
                for x in (learning, shared, teacher, certificate, learning / row.calls_mean)
            ),
            *(Cell("" if value is None else f"{value:.3g}", value) for value in seconds),
        )
        lines.append(Line(cells, _facets(row), entry is data.champion(row.nfe)))
    columns = [
        "NFE",
        "method",
        "calls a sample",
        "learning",
        "of it shared",
        "teacher's paths",
        "certificate",
    ]
    columns += ["learning, in samples", *(["seconds to learn", "seconds for 1000 samples"] if timed else [])]
    return SortableTable("costs", tuple(columns), tuple(lines), tuple(range(len(columns))))


def orders_table(data: PageData, css: dict[str, str]) -> SortableTable:
    """One token a call along each order, and how far its distribution is from the uniform order's."""
    lines = []
    for row in data.one_by_one:
        gap = row.order_gap
        estimates = () if gap is None else (*gap.both, (gap.uniform_nats, gap.uniform_standard_error))
        cells = (
            Cell(row.sampler, row.sampler, css[row.label]),
            Cell(str(row.nfe), row.nfe),
            Cell(metric_text(row.primary), row.mean),
            Cell(entropy_text(row.entropy), row.entropy),
            *(Cell(estimate_text(nats, error), plain(nats)) for nats, error in estimates),
            *([Cell("")] * (3 - len(estimates))),
        )
        lines.append(Line(cells, (), False))
    apart = ("nats from uniform order", "and back", "two uniform orders")
    columns = ("order", "NFE", data.task.primary, data.task.diversity, *apart)
    return SortableTable("orders", columns, tuple(lines), tuple(range(len(columns))))


def numbers_table(data: PageData, css: dict[str, str]) -> SortableTable:
    """Every metric of every entry."""
    names = metric_names(data.rows)
    mixed = len({row.certificate_reference for row in data.rows} - {""}) > 1
    lines = []
    for row in data.rows:
        label = f"{row.label} ({' = '.join(row.samplers)})"
        metrics = [row.metrics.get(name) for name in names]
        cells = (
            Cell(str(row.nfe), row.nfe),
            Cell(label, label, css[row.label]),
            Cell(row.steps_in, row.steps_in),
            *(Cell(metric_text(m), m.mean) if m else Cell("") for m in metrics),
            Cell(nats_text(row), row.certificate_at_most_nats),
            *([Cell(row.certificate_reference, row.certificate_reference or None)] if mixed else []),
            Cell(", ".join(row.aliases)),
        )
        lines.append(Line(cells, _facets(row), bool(row.aliases)))
    columns = (
        "NFE",
        "method",
        "steps in",
        *names,
        "certificate_value_nats",
        *(["certificate_reference"] if mixed else []),
    )
    sort_by = (0, 1, *range(2, 4 + len(names)))
    return SortableTable("numbers", (*columns, "holds"), tuple(lines), sort_by)


def _facets(row: Row) -> tuple[str, str, str]:
    return f"{row.nfe} calls", row.method, row.sampler


def _grouped(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\u2009")
