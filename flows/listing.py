"""The registry's versions as a table."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table


def samplers_table(backbone: str, rows: Sequence[dict[str, Any]]) -> Table:
    """One row a version; those with an alias in bold."""
    metric = next((row["primary_metric"] for row in rows), "primary")
    table = Table(title=f"samplers of {backbone}", title_justify="left", header_style="bold")
    for column, justify in (
        ("NFE", "right"),
        ("sampler", "left"),
        ("method", "left"),
        (str(metric), "right"),
        ("entropy", "right"),
        ("alias", "left"),
        ("URI", "left"),
    ):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(
            str(row["nfe"]),
            row["sampler"],
            row["method"],
            "" if row["primary"] is None else f"{row['primary']:.4f}",
            "" if row["entropy"] is None else f"{row['entropy']:.3f}",
            ", ".join(row["aliases"]),
            row["uri"],
            style="bold" if row["aliases"] else "",
        )
    return table
