"""`lsd bench`: measure the program itself."""

from typing import Annotated

from cyclopts import Parameter

from flows.bench.questions import QUESTIONS, SLOW
from flows.cli.shared import Json, Whole, app, console


@app.command
def bench(
    *questions: Annotated[str, Parameter(help=", ".join((*QUESTIONS, *SLOW)))],
    shape: str = "sedd-small",
    device: str = "cpu",
    body: str = "float32",
    batch: Whole = 1,
    rounds: Whole = 5,
    threads: Whole = 1,
    grid: str = "demo",
    json_: Json = False,
) -> int:
    """Measure what things cost, as ratios to the network's own work in the same run; all questions but `grid` and
    `scale`.

    Exit code 1 if a figure misses its target.

    Parameters
    ----------
    shape:
        sizes of the network: sedd-small, middle or countdown.
    device:
        cpu or cuda.
    body:
        precision of the network's body: float32 or bfloat16.
    batch:
        sequences a network call.
    rounds:
        rounds whose median is taken.
    threads:
        threads of a network call on a CPU.
    grid:
        what the question `grid` runs.
    """
    import torch

    from flows.bench import run
    from flows.bench.figures import Figure, Setting, table_of, to_json
    from lsd_core.numerics.environment import environment

    setting = Setting(shape=shape, device=device, body_dtype=body, batch=batch, rounds=rounds, grid=grid)
    asked = run.check(questions, setting)
    torch.set_num_threads(threads)
    figures: list[Figure] = []
    for question, title, found in run.ask(asked, setting):
        figures += found
        if not json_:
            console.print(table_of(question, title, found))
    if json_:
        print(to_json(setting, figures, environment(device, threads)))
    return 1 if any(figure.met is False for figure in figures) else 0
