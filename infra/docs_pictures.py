"""Pictures of the documentation that are drawn by the samplers themselves: `python -m infra.docs_pictures`.

Each is a function of the code and a seed, so a test can ask whether the file is what the code draws.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.metrics.countdown import violations
from lsd_core.samplers.loop import walk
from lsd_core.samplers.state import Draws, start
from lsd_core.samplers.table import StepTable

DOCS = Path(__file__).parents[1] / "docs"
LENGTH, VALUES, SEED = 32, 16, 0
MANY = 4096  # chains of an average
CELL, LEFT, TOP, GAP = 22, 64, 30, 26  # pixels
EQUAL = (32, 24, 16, 8, 0)
DOUBLED = (32, 28, 24, 16, 0)
PANELS = (
    ("uniform order, 8 tokens a call", "fixed_counts", EQUAL),
    ("Halton order, 8 tokens a call", "halton", EQUAL),
    ("Halton order, 4, 4, 8 and 16 tokens a call", "halton", DOUBLED),
)
STYLE = """
text { font: 12px sans-serif; fill: #1a1a2e }
.title { font-weight: bold }
.cell { stroke: #ffffff; stroke-width: 2 }
.masked { fill: #d9dbe3 }
.new { fill: #f2a541 }
.known { fill: #bcd0f5 }
.token { text-anchor: middle; font-size: 11px }
.broken { fill: #c1121f }
"""


def steps_picture() -> str:
    """A chain of countdowns unmasked in four calls, a row a call, in each of PANELS; as SVG."""
    panel = TOP + CELL * 4 + GAP
    width, height = LEFT + CELL * LENGTH + 12, panel * len(PANELS) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for number, (title, sampler, counts) in enumerate(PANELS):
        states = _states(sampler, counts)
        mean = float(violations(states[-1]).sum(1).double().mean())
        parts += _panel(title, mean, [state[0].tolist() for state in states], panel * number)
    return "\n".join([*parts, "</svg>"]) + "\n"


@torch.inference_mode()
def _states(sampler: str, counts: Sequence[int]) -> list[Tensor]:
    """The tokens (MANY, LENGTH) after each call; VALUES where one is masked."""
    backbone = exact_backbone("countdown", LENGTH, VALUES)
    draws = Draws(SEED, torch.arange(MANY))
    steps = walk(backbone, sampler, StepTable(counts=tuple(counts)), start(backbone, draws), draws)
    return [after.x for _, _, after in steps]


def _panel(title: str, mean: float, states: Sequence[Sequence[int]], top: int) -> Iterator[str]:
    broken = violations(torch.tensor([states[-1]]))[0].tolist()
    said = f"{title}: {sum(broken)} of {LENGTH - 1} transitions broken here, {mean:.2f} on average"
    yield f'<text class="title" x="{LEFT}" y="{top + 20}">{said}</text>'
    before: Sequence[int] = [VALUES] * LENGTH
    for call, state in enumerate(states):
        y = top + TOP + CELL * call
        yield f'<text x="8" y="{y + 15}">call {call + 1}</text>'
        for place, (old, token) in enumerate(zip(before, state, strict=True)):
            x = LEFT + CELL * place
            kind = "masked" if token == VALUES else "new" if old == VALUES else "known"
            yield f'<rect class="cell {kind}" x="{x}" y="{y}" width="{CELL}" height="{CELL}"/>'
            if token != VALUES:
                yield f'<text class="token" x="{x + CELL / 2:g}" y="{y + 15}">{token}</text>'
        before = state
    y = top + TOP + CELL * len(states) + 2
    for place, wrong in enumerate(broken):
        if wrong:
            yield f'<rect class="broken" x="{LEFT + CELL * (place + 1) - 8}" y="{y}" width="16" height="5"/>'


if __name__ == "__main__":
    (DOCS / "steps.svg").write_text(steps_picture())
