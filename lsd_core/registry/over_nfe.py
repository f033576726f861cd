"""Metrics over network calls: a run for each base sampler and method, whose step axis in MLflow is the budget.

The runs of candidates have one value a metric each, of which MLflow draws bars; of these it draws lines.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lsd_core.numerics.canonical import digest
from lsd_core.registry.card_fields import Series
from lsd_core.registry.model_page import OVER_NFE
from lsd_core.registry.writing import entries

Points = dict[int, dict[str, float]]
BUDGETS = range(1, 1 << 16)  # a tag that says more is nobody's budget, and a line has a place for each


def log_over_nfe(client: Any, experiment: str, rows: Sequence[Mapping[str, Any]], fingerprint: str) -> None:
    """Log each line as a run, in place of the run that had other points; a line that is logged stays."""
    from mlflow.entities import RunTag

    wanted = f"tags.kind = '{OVER_NFE}' and tags.fingerprint = '{fingerprint}'"
    logged = client.search_runs([experiment], wanted, max_results=1000)
    known = {run.data.tags.get("points_sha256"): run.info for run in logged if run.info.status == "FINISHED"}
    kept = set[str]()
    for title, points in lines_of(rows, fingerprint).items():
        sha256 = digest([title, [[nfe, points[nfe]] for nfe in sorted(points)]])
        if sha256 in known:
            kept.add(known[sha256].run_id)
            continue
        sampler, method = title.split(" ")
        tags = {"kind": OVER_NFE, "fingerprint": fingerprint, "points_sha256": sha256}
        tags |= {"sampler": sampler, "method": method}
        run_id = client.create_run(experiment, run_name=title).info.run_id
        client.log_batch(
            run_id, entries(_series(points)), tags=[RunTag(key, value) for key, value in tags.items()]
        )
        client.set_terminated(run_id)
    for run in logged:
        if run.info.run_id not in kept:
            client.delete_run(run.info.run_id)


def lines_of(rows: Sequence[Mapping[str, Any]], fingerprint: str) -> dict[str, Points]:
    """Title -> budget -> metrics of the newest version, for the versions of these weights with nothing given."""
    lines: dict[str, Points] = {}
    for row in sorted(rows, key=lambda row: row["version"]):
        mine = row["fingerprint"] == fingerprint and row["given"] is None
        if mine and row["primary"] is not None and row["nfe"] in BUDGETS:
            lines.setdefault(f"{row['sampler']} {row['method']}", {})[row["nfe"]] = _values(row)
    return lines


def _values(row: Mapping[str, Any]) -> dict[str, float]:
    """The metrics that a list of versions knows."""
    found = {
        row["primary_metric"] or "primary": row["primary"],
        row["diversity_metric"] or "entropy": row["entropy"],
        "certificate_value_nats": row["certificate"].get("value_nats"),
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def _series(points: Points) -> dict[str, Series]:
    """Each metric by budget, from 0 on."""
    names = dict.fromkeys(name for values in points.values() for name in values)
    budgets = range(max(points) + 1)
    return {name: [points.get(nfe, {}).get(name) for nfe in budgets] for name in names}
