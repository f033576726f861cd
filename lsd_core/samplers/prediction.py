"""One network call, as a prediction in the form of the process: sparse rows, or full probabilities."""

from dataclasses import replace

from jaxtyping import Bool
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, is_dense
from lsd_core.samplers.full import FullPrediction, predict
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.state import State, call, times
from lsd_core.samplers.step import Step

Prediction = MaskedPrediction | FullPrediction


def look(
    backbone: AnyBackbone, state: State, t: float, step: Step, wanted: Bool[Tensor, " b"] | None = None
) -> tuple[Prediction, State]:
    """The prediction at (x, t) under the step's gain, and the state that has paid for it.

    On a masked process, chains that need no call and those not `wanted` are skipped (`state.call`).
    """
    if is_dense(backbone):
        return predict(backbone, state.x, t, step), replace(state, calls=state.calls + 1)
    features, state = call(backbone, state, times(state, t), wanted)
    return MaskedPrediction.of(backbone, state.x, features, step), state
