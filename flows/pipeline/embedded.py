"""The flow in this process: no server, no account. The same code path; only the URLs differ."""

from rich.console import Console

from flows.config import GridConfig
from flows.settings import EMBEDDED, quiet_console, resolve


def run_embedded(config: GridConfig, console: Console) -> int:
    """Run the flow and show how far it is; returns the exit code."""
    settings = resolve(config=config.places)
    settings.apply()  # before Prefect is imported
    quiet_console()
    from flows.distill_grid import lsd, prepare
    from flows.pipeline.final_screen import print_ending
    from flows.pipeline.progress import progress_on, showing

    plan = prepare(config, settings)  # bad input ends here, before a flow run exists
    where = "this process" if settings.prefect_api_url == EMBEDDED else settings.prefect_api_url
    console.print(
        f"[bold]{config.name}[/]: {len(plan.candidates)} candidates for {', '.join(config.backbones)}; "
        f"flow in {where}",
        highlight=False,
    )
    if config.sizes:
        console.print(config.sizes, style="yellow", highlight=False)
    with showing(progress_on(console)) as shown:
        state = lsd(config, return_state=True)
    return print_ending(state, shown.run, shown.outcome, settings, console)
