"""Psi-samplers: a step mixes the reverse posterior with fresh noise on the predicted data."""

from dataclasses import dataclass
from typing import ClassVar

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.full import FullPrediction, growth_between
from lsd_core.samplers.full_kernels import FullKernel
from lsd_core.samplers.kernel import Kernel
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.one_call import OneCall
from lsd_core.samplers.prediction import Prediction, look
from lsd_core.samplers.protocol import ALL, Kind, check_grid
from lsd_core.samplers.remasking import RemaskingKernel
from lsd_core.samplers.remdm import alpha
from lsd_core.samplers.state import Draws, State
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import Grid


@dataclass(frozen=True)
class Psi(OneCall):
    """kappa q(x_s | x_t, x_0) + (1 - kappa) q(x_s | x_0), x_0 as predicted (Deschenaux et al. 2026, arXiv 2602.21185).

    Both parts have the marginals of the process at s, so the mixture has them, and tokens that were fixed too early
    are noised again. kappa = 1 is the ancestral step (`Tweedie`). On a masked process an unmasked token predicts
    itself, so it is masked again with chance (1 - kappa) (1 - alpha_s), and a masked one is unmasked with chance
    kappa (alpha_s - alpha_t) / (1 - alpha_t) + (1 - kappa) alpha_s: ReMDM with sigma = (1 - kappa) (1 - alpha_s).
    The last step unmasks what is left, or is the final denoise.

    Cost: 1 network call.
    """

    name: ClassVar[str] = "psi"
    processes: ClassVar[frozenset[Kind]] = ALL
    grids: ClassVar[frozenset[Grid]] = frozenset({"times"})
    kappa: float = 0.95
    """Weight of the reverse posterior."""

    def __post_init__(self) -> None:
        if not 0 <= self.kappa <= 1:
            raise InputError("kappa", "lie in [0, 1]", self.kappa)

    def kernel(self, seen: Prediction, step: Step) -> Kernel:
        if isinstance(seen, MaskedPrediction):
            return self._masked(seen, step)
        posterior = seen.tweedie(step.s)
        fresh = seen.x0 @ seen.process.transition(left(seen, step.s)).to(seen.x.device)
        mixed = self.kappa * posterior.probs + (1 - self.kappa) * fresh
        return FullKernel(mixed, posterior.most_negative)

    def _masked(self, seen: MaskedPrediction, step: Step) -> RemaskingKernel:
        check_grid(self, step.grid)
        alpha_t, alpha_s = (alpha(seen.backbone, time) for time in (step.t, step.s))
        posterior = (alpha_s - alpha_t) / (1 - alpha_t)
        chance = 1.0 if step.last else self.kappa * posterior + (1 - self.kappa) * alpha_s
        again = 0.0 if step.last else (1 - self.kappa) * (1 - alpha_s)
        gain = step.gain if step.gain_on == "score" else 1.0
        return RemaskingKernel(seen.unmask(step, min(1.0, gain * chance)), again)

    def step(self, backbone: AnyBackbone, state: State, step: Step, draws: Draws) -> State:
        """One network call, one draw; a token may be drawn again, so each draw has uniforms of its own."""
        seen, state = look(backbone, state, step.t, step)
        kernel = seen.kernel_at_end(step) or self.kernel(seen, step)
        x = kernel.draw(draws, seen.draws_a_step * step.index, (Purpose.TOKEN, step.index))
        return state.moved(x, backbone)


def left(seen: FullPrediction, s: float) -> float:
    """sigma_bar(s), the noise that the fresh part has."""
    return seen.sigma_bar - growth_between(seen.process, seen.t, s)
