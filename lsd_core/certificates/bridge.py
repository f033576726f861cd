"""The reverse certificate of Tweedie steps where there is no mask.

A Tweedie step carries each token along exact bridges to its clean token's law, so it is a jump process whose
rates R_q are known at every time, the last step down to clean data included:

    KL(q_out || p_out) <= E_q int sum_{i,y} [R_q log(R_q / R_p) - R_q + R_p] du + E_q KL(last bridge || denoise),

R_p the network's rates where the path is. It vanishes as steps shrink.
"""

import torch

from lsd_core.backbones.scores import ScoreBackbone
from lsd_core.certificates.certificate import Certificate
from lsd_core.certificates.strata import mean_of, strata, time_in
from lsd_core.paths.rate_terms import bridges_term, denoise_term
from lsd_core.samplers.full import predict
from lsd_core.samplers.recording import STOP
from lsd_core.samplers.state import draw_prior
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable

REFERENCE = "the network's exact reverse chain, denoised at t = 2^-10"


@torch.inference_mode()
def reverse_bridges(backbone: ScoreBackbone, table: StepTable, num_paths: int, seed: int) -> Certificate:
    """The certificate, by whole paths stopped at one time each. Cost: M + 2 calls a path.

    For networks that predict the clean token: from scores alone a Tweedie law may have to be clamped, and is
    then no bridge.
    """
    values, sequences = [], 0
    for stratum, draws in strata(num_paths, seed):
        u = time_in(stratum, draws, STOP)
        x = draw_prior(backbone.process, draws, backbone.length)
        for step in steps_of(table, backbone.length):
            seen = predict(backbone, x, step.t, step)
            if step.t >= u > step.s:
                here = seen.tweedie(u).draw(draws, 3 * step.index + 1)
                value = (1 - STOP) * bridges_term(backbone, seen, here, u)
            x = seen.tweedie(STOP if step.last else step.s).draw(draws, 3 * step.index)
            sequences += len(x)
        values.append(value + denoise_term(backbone, seen, x, STOP))
        sequences += 2 * len(x)
    return mean_of("reverse_bridges", REFERENCE, torch.cat(values), sequences)
