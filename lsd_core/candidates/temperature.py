"""The temperature control: plain steps, cooled as far as diversity allows. It learns nothing else."""

from lsd_core.candidates.results import Results
from lsd_core.distillation.learned import Learned
from lsd_core.statistics.envelope import TOLERANCE
from lsd_core.tasks.catalog import get_task


def choose_temperature(plain: Results) -> Learned:
    """The plain table at the temperature with the lowest primary metric on the selection seeds.

    Only temperatures whose diversity is at most 0.02 nat below that of the uncooled sampler may be chosen:
    any error can be had by drawing the same thing over and over.
    """
    spec = plain.spec
    task = get_task(spec.evaluation.task)
    sweep = {}
    for temperature in spec.evaluation.temperatures:
        seeds = [
            plain.read_measurement("selection", which, temperature).metrics
            for which in range(spec.evaluation.seeds)
        ]
        sweep[temperature] = tuple(
            sum(metrics[name] for metrics in seeds) / len(seeds) for name in (task.primary, task.diversity)
        )
    floor = sweep[1.0][1] - TOLERANCE
    allowed = {temperature: error for temperature, (error, entropy) in sweep.items() if entropy >= floor}
    best = min(allowed, key=lambda temperature: (allowed[temperature], -temperature))
    table = plain.read_learned(0).table.with_gains(1 / best)
    sweep_rows = [
        {"temperature": temperature, task.primary: error, task.diversity: entropy}
        for temperature, (error, entropy) in sweep.items()
    ]
    return Learned(table=table, sequences=0, diagnostics={"temperature": best, "sweep": sweep_rows})
