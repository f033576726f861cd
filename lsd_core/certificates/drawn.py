"""Certificate of `confidence_drawn`, whose positions depend on the tokens drawn there.

The probability Q(S, x_S | x) of a step's positions and tokens is known, selection included. The reference draws S from
a distribution r(S | x) that sees no token (`paths.selection`), in random order, and asks the network before each:

    KL(q_out || p_along) <= sum_k E_q [log Q(S, x_S | x) - log r(S | x) - sum_{i in S} log p_i(x_i | x, those before i)]

by the chain rule over steps, for any r: dropping the path can only shrink a divergence. For a consistent network
p_along is its own distribution. Selection cools the output, so the certificate is not 0 at one token a step; and as one
sequence can come about along many paths, it is larger than the divergence of the tokens.
"""

import torch

from lsd_core.backbones.protocol import Backbone
from lsd_core.certificates.base import Certificate
from lsd_core.paths.chosen_model import ChosenModel
from lsd_core.paths.drawn_model import DrawnModel
from lsd_core.paths.masked_terms import log_score_gain
from lsd_core.samplers.confidence import Confidence
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable

ALONG_DRAWN = (
    "the network revealing one token at a time along choices drawn as this sampler's, but before their tokens,"
    " told t = n / (l + 1)"
)


@torch.inference_mode()
def reverse_drawn(
    backbone: Backbone, table: StepTable, *, num_paths: int, seed: int, batch: int
) -> Certificate:
    """On fresh paths of the sampler, each stopped once inside every step. Cost: at most 2 M calls a path."""
    rule = ChosenModel(
        backbone=backbone, method=Confidence(), batch=batch, num_steps=table.num_steps, root=seed
    )
    model, draws = DrawnModel(rule), Draws(seed, torch.arange(num_paths))
    x, values, sequences = model.start(draws), torch.zeros(num_paths, dtype=torch.float64), 0
    for step in steps_of(table, backbone.length):
        ends = []
        for rows, attempt in model.attempts(step, x, draws):
            cost, end = attempt(log_score_gain(step))
            values[rows] += cost
            ends.append(end)
        x = torch.cat(ends)
        sequences += (1 + model.calls_per_gain(step)) * num_paths
    return Certificate.of("reverse", "KL(sampler || reference)", ALONG_DRAWN, values, sequences)
