"""The flow in this process: no server, no account. The same code path; only the URLs differ."""

from typing import TYPE_CHECKING, Any

from rich.console import Console

from flows.config import GridConfig
from flows.pipeline.watcher import end_with_this_process
from flows.settings import EMBEDDED, quiet_console, resolve

if TYPE_CHECKING:
    from flows.pipeline.run import Run
    from flows.report.run_report import Outcome


def run_embedded(config: GridConfig, console: Console) -> int:
    """Run the flow and show how far it is; returns the exit code."""
    settings = resolve(config=config.places)
    settings.apply()  # before Prefect is imported
    quiet_console()
    if settings.prefect_api_url == EMBEDDED:
        end_with_this_process()  # Prefect's temporary server does not by itself
    from prefect import flow

    from flows.pipeline.driver import prepare
    from flows.pipeline.final_screen import print_ending
    from flows.pipeline.grid_flow import OPTIONS, final_state, run_grid
    from flows.pipeline.progress import progress_on

    plan = prepare(config, settings)  # bad input ends here, before a flow run exists
    where = "this process" if settings.prefect_api_url == EMBEDDED else settings.prefect_api_url
    console.print(
        f"[bold]{config.name}[/]: {len(plan.candidates)} candidates for {', '.join(config.backbones)}; "
        f"flow in {where}",
    )
    if config.sizes:
        console.print(config.sizes, style="yellow")
    ended: tuple[Run, Outcome] | None = None

    @flow(name="lsd", flow_run_name="{config.name}", **OPTIONS)
    def lsd(config: GridConfig) -> Any:
        """The flow of flows/distill_grid.py, on the plan that is made."""
        nonlocal ended
        ended = run_grid(plan, settings, progress_on(console))
        return final_state(*ended)

    state = lsd(config, return_state=True)
    return print_ending(state, ended, settings, console)
