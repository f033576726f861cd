"""Benchmark `learned`: a learned step against a vanilla one, the first experiment of the LSD paper."""

from dataclasses import replace

from flows.bench.cases import Case, forward, race, runner
from flows.bench.figures import Figure, Setting
from flows.bench.replay import Replay
from flows.bench.shapes import network_of
from flows.bench.timing import Thunk
from lsd_core.samplers.table import GainOn

TITLE = "a learned step minus a vanilla one, each on features and logits that are there"
UNIT = "forward pass"
MOST = 0.002
GAIN = 1.3
ON: tuple[GainOn, ...] = ("log_score", "score")


def ask(setting: Setting) -> list[Figure]:
    """Gains on the log-score and on the score (which also reveals more), ordinary and last steps."""
    backbone = network_of(setting, "sedd")
    thunks: dict[str, Thunk] = {"forward": forward(backbone, setting)}
    pairs: list[tuple[str, str]] = []
    for plain in [Case(masked=masked, rest=rest) for masked in (0.3, 1.0) for rest in (False, True)]:
        thunks[plain.name] = runner(Replay(backbone), plain, setting)
        for gain_on in ON:
            name = f"gain on the {gain_on}: {plain.name}"
            gained = replace(plain, gain=GAIN, gain_on=gain_on)
            thunks[name] = runner(Replay(backbone), gained, setting)
            pairs.append((name, plain.name))
    run = race(thunks, setting)
    return [
        Figure.of(
            "learned", name, run.ratio(name, "forward", minus=plain), UNIT, **setting.judged(at_most=MOST)
        )
        for name, plain in pairs
    ]
