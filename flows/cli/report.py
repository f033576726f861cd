"""`lsd report`: one page that compares a backbone's samplers."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.cli.shared import Registry, Store, app, console


@app.command
def report(
    backbone: str,
    *,
    out: Path | None = None,
    samples: Annotated[bool, Parameter(help="show samples; draws them where they were not kept")] = True,
    store: Store = None,
    registry: Registry = None,
) -> int:
    """Write one HTML page that compares a backbone's samplers and says in words who won and who lost.

    It needs nothing beside it; numbers (CSV) and a picture (PNG) lie next to it. It is logged in MLflow too.

    Parameters
    ----------
    out:
        folder of the three files; ./lsd-data/reports if left out.
    """
    from flows.report.publish import report_backbone
    from flows.settings import resolve

    settings = resolve(command_line={"store": store, "tracking_uri": registry})
    page = report_backbone(backbone, settings, out, samples)
    for file in page.files:
        console.print(str(file), soft_wrap=True)
    console.print(f"filed as run {page.run_id} in {settings.tracking_uri}", soft_wrap=True)
    return 0
