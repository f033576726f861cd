"""The flow in this process: no server, no account. The same code path; only the URLs differ."""

import logging
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from flows.config import GridConfig
from flows.pipeline.watcher import end_with_this_process
from flows.settings import EMBEDDED, quiet_console, resolve
from lsd_core.errors import InputError, Unreachable

if TYPE_CHECKING:
    from flows.pipeline.run import Run
    from flows.report.run_report import Outcome


def _knock(url: str) -> None:
    """Raise InputError where no server answers, which takes Prefect half a minute. Any answer will do."""
    try:
        urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=10).close()
    except urllib.error.HTTPError:
        return
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        remedy = "start the server, or unset PREFECT_API_URL and LSD_PREFECT_API_URL to run without one"
        raise InputError(
            "prefect_api_url", "be a Prefect API that answers", f"{url} ({reason})", remedy
        ) from None


def run_embedded(config: GridConfig, console: Console) -> int:
    """Run the flow and show how far it is; returns the exit code."""
    settings = resolve(config=config.places)
    settings.apply()  # before Prefect is imported
    quiet_console()
    if settings.prefect_api_url == EMBEDDED:
        end_with_this_process()  # Prefect's temporary server does not by itself
    from httpx import TransportError
    from prefect import flow

    from flows.pipeline.driver import prepare
    from flows.pipeline.final_screen import print_ending
    from flows.pipeline.flow_options import OPTIONS
    from flows.pipeline.grid_flow import final_state, run_grid
    from flows.pipeline.progress import progress_on

    if settings.prefect_api_url != EMBEDDED:
        _knock(settings.prefect_api_url)
    plan = prepare(config, settings)  # bad input ends here, before a flow run exists
    where = "this process" if settings.prefect_api_url == EMBEDDED else settings.prefect_api_url
    console.print(
        Text.assemble(
            (config.name, "bold"),
            f": {len(plan.candidates)} candidates for {', '.join(config.backbones)}; flow in {where}",
        )
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

    again = "run the same command again: what is done is kept"
    try:
        with _without_complaints_of_logging():
            state = lsd(config, return_state=True)
    except RuntimeError as error:
        if "ephemeral Prefect API server" not in str(error):
            raise
        raise Unreachable("Prefect's temporary server", "start", str(error), again) from None
    except TransportError as error:  # after Prefect's own retries
        named = "Prefect's temporary server" if settings.prefect_api_url == EMBEDDED else "prefect_api_url"
        shown = f"{settings.prefect_api_url} ({type(error).__name__}: {error})"
        raise Unreachable(named, "answer until the run ends", shown, again) from None
    return print_ending(state, ended, settings, console)


@contextmanager
def _without_complaints_of_logging() -> Iterator[None]:
    """Log lines that a server does not take are dropped silently: what ends the run says that it is gone."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = before
