"""`lsd doctor`: show what works and what to fix."""

import json
from dataclasses import asdict

from rich.text import Text

from flows.cli.shared import Json, Registry, Store, app, care, console


@app.command(group=care)
def doctor(*, store: Store = None, registry: Registry = None, json_: Json = False) -> int:
    """Try every connection a run needs, and say what to fix; exit 1 if anything does not work."""
    from flows.pipeline.doctor import examine
    from flows.settings import quiet_console, resolve

    settings = resolve(command_line={"store": store, "tracking_uri": registry})
    settings.apply()
    quiet_console()
    findings = []
    for finding in examine(settings):
        findings.append(finding)
        if json_:
            continue
        mark = ("works", "green") if finding.ok else ("fails", "bold red")
        console.print(Text.assemble(mark, f"  {finding.what:<9} {finding.where}"), soft_wrap=True)
        console.print(f"       {finding.words}", soft_wrap=True)
        if finding.remedy:
            console.print(f"       fix: {finding.remedy}", soft_wrap=True)
    if json_:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    return 0 if all(finding.ok for finding in findings) else 1
