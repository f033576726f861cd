"""`lsd study`: answer a question about methods."""

from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from flows.cli.options import options_of
from flows.cli.shared import app, console
from flows.study.config import StudyConfig, load_study, study_names
from lsd_core.errors import InputError


@app.command
@options_of(StudyConfig, without=("name", "question", "kind"))
def study(
    name: Annotated[str | None, Parameter(help="a ready study, or a .yaml file")] = None,
    *,
    list_: Annotated[bool, Parameter(name="--list", negative="", help="show the ready studies")] = False,
    given: Mapping[str, Any],
) -> int:
    """Answer a question about methods: one table, one figure, one sentence computed from the numbers.

    Nothing is registered. Run it again to resume, or to see it again.
    """
    from flows.settings import resolve

    if list_:
        for ready in study_names():
            console.print(Text.assemble((f"{ready:<16}", "bold"), load_study(ready).question))
        return 0
    if name is None:
        raise InputError("study", f"be one of {', '.join(study_names())}", name, "or name a .yaml file")
    config = load_study(name, **given)
    settings = resolve(config={"store": config.store, "ray_address": config.ray_address})
    settings.apply()  # before Ray is imported
    from flows.study.run import run_study

    return run_study(config, settings, console)
