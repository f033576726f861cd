"""Which table of a sampler that looks at the tokens has the least reverse bound, on paths that chose none of them.

Costs along a sampler's own choices depend on the steps before, so that the schedule they prefer can be worse than equal
quotas, and gains worse than none: where all positions look alike at first, they say little. So both are measured, and
the least decides, with the same uniform numbers for all tables and all learning seeds.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lsd_core.certificates.masked import reverse
from lsd_core.distillation.controls import plain
from lsd_core.distillation.learned import CostKey, Learned, Problem
from lsd_core.numerics.canonical import canonical_json, derive_seed
from lsd_core.paths.model import LEAST_PATHS
from lsd_core.samplers.table import StepTable

STOPS = 2
TABLES = 3


def of_least_bound(problem: Problem, learned: Learned, max_sequences: int) -> Learned:
    """The learned table, the same without gains, or equal quotas; with what was measured counted and recorded.

    About `max_sequences` sequences go through the network, and at least LEAST_PATHS paths of each table. What several
    learning runs ask for, tables without gains, is measured once.
    """
    table, tables = learned.table, dict[StepTable, str]()
    tables[table] = "learned"
    tables.setdefault(table.with_gains(1.0), "without gains")
    tables.setdefault(plain(problem.sampler, table.num_steps, problem.backbone.length), "equal quotas")
    num_paths = max(LEAST_PATHS, max_sequences // (TABLES * (table.num_steps + 2 * STOPS)))
    found = {each: _bound(problem, each, num_paths) for each in tables}
    best = min(found, key=lambda each: found[each]["value_nats"])
    sequences = learned.sequences + sum(bound["sequences"] for bound in found.values())
    bounds = {tables[each]: bound["value_nats"] for each, bound in found.items()}
    diagnostics = learned.diagnostics | {"taken": tables[best], "bounds_nats": bounds}
    return replace(learned, table=best, sequences=sequences, diagnostics=diagnostics)


def _bound(problem: Problem, table: StepTable, num_paths: int) -> Mapping[str, Any]:
    """The reverse bound of a table in nats, and the sequences it took."""
    seed = derive_seed("least bound", problem.root)

    def measure() -> Mapping[str, Any]:
        bound = reverse(
            problem.absorbing,
            problem.sampler,
            table,
            num_paths=num_paths,
            seed=seed,
            batch=problem.batch,
            stops=STOPS,
        )
        return {"value_nats": bound.value_nats, "sequences": bound.sequences}

    of = (problem.sampler, canonical_json(table.to_dict()), num_paths, STOPS, seed, problem.batch)
    return problem.measured_once(CostKey(kind="bound", of=of, stored=False), measure)
