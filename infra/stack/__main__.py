"""`python -m infra.stack up | down | status | demo`: the real servers on this machine, from one command."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from infra.stack.packages import StackError
from infra.stack.stack import Stack

DEFAULT_HOME = Path("lsd-data/stack")
Home = Annotated[Path, Parameter(help="folder of what is stored, the logs and the credentials")]

app = App(name="stack", help="Real servers on this machine's loopback: start, stop, look, and try.")


def say(text: str) -> None:
    print(text, flush=True)


@app.command
def up(*, home: Home = DEFAULT_HOME, nodes: int = 1) -> int:
    """Start what does not run, wait until all is healthy, deploy the flows.

    Parameters
    ----------
    nodes: Ray nodes beside the head.
    """
    from flows.pipeline.final_screen import program

    stack = Stack(home, nodes=nodes, say=say)
    if stack.database == "sqlite":
        from infra.stack.postgres import why_not

        say(f"records        SQLite files: {why_not(stack.home / 'postgres')}")
    stack.up()
    say(f"logs           {stack.home / 'logs'}")
    say(f"To use it:     set -a; . {stack.env_path}; set +a; {program('lsd')} doctor")
    say("To stop it:    make stack-down")
    return 0


@app.command
def down(*, home: Home = DEFAULT_HOME, nodes: int = 1) -> int:
    """Stop everything by pid; what is stored stays."""
    Stack(home, nodes=nodes, say=say).down()
    say("stopped")
    return 0


@app.command
def status(*, home: Home = DEFAULT_HOME, nodes: int = 1) -> int:
    """Say which servers run; exit 1 unless all do."""
    stack = Stack(home, nodes=nodes)
    running = {name: stack.runs(name) for name in stack.names}
    for name, runs in running.items():
        say(f"{name:<14} {'runs' if runs else 'does not run'}")
    return 0 if all(running.values()) else 1


@app.command
def demo(grid: str = "demo", *, home: Home = DEFAULT_HOME, nodes: int = 1) -> int:
    """Start the stack, run a grid on it as a deployment, and wait until the run is Completed.

    Parameters
    ----------
    grid: a ready grid, or a .yaml file.
    """
    from infra.stack.demo import run_demo

    up(home=home, nodes=nodes)
    return run_demo(Stack(home, nodes=nodes, say=say), grid)


def main() -> None:
    """Run a command; what cannot be started is one line."""
    try:
        sys.exit(app(result_action="return_value"))
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
