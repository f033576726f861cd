"""A grid run on the stack as people run it: `prefect deployment run lsd/distill-grid`, watched to its end."""

import json
import subprocess

from flows.config import load_grid
from flows.pipeline.final_screen import program
from infra.stack.packages import clean_environment
from infra.stack.server import ROOT, python_path, tool
from infra.stack.stack import Stack

DEPLOYMENT = "lsd/distill-grid"


def run_demo(stack: Stack, grid: str) -> int:
    """Run it and return 0 where it ends Completed, else 1."""
    config = load_grid(grid)
    parameter = f"config={json.dumps(config.model_dump(mode='json', exclude_unset=True))}"
    stack.say(f"runs           prefect deployment run {DEPLOYMENT} (grid {config.name})")
    command = [tool("prefect"), "deployment", "run", DEPLOYMENT, "--param", parameter, "--watch"]
    env = clean_environment() | python_path() | stack.env
    done = subprocess.run(command, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        stack.say(f"not Completed: see {stack.facts.url('prefect')} and {stack.home / 'logs'}")
        return 1
    backbone = config.backbones[0]
    stack.say(f"store          {stack.env['LSD_STORE']} on {stack.facts.url('s3')}")
    stack.say(f"registry       {stack.facts.url('mlflow', f'/#/models/{backbone}')}")
    stack.say(f"next           set -a; . {stack.env_path}; set +a; {program('lsd')} samplers {backbone}")
    return 0
