"""One network call, as a prediction in the form of the process: sparse rows, or full probabilities."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, Backbone, is_dense
from lsd_core.samplers.full import FullPrediction, predict
from lsd_core.samplers.grouped import features_of
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.state import State
from lsd_core.samplers.step import Step

Prediction = MaskedPrediction | FullPrediction


def look(
    backbone: AnyBackbone, state: State, t: float, step: Step, wanted: Bool[Tensor, " b"] | None = None
) -> tuple[Prediction, State]:
    """The prediction at (x, t) under the step's gain, and the state that has paid for it.

    On a masked process, chains that need no call and those not `wanted` are skipped (`call`).
    """
    if is_dense(backbone):
        return predict(backbone, state.x, t, step), replace(state, calls=state.calls + 1)
    times = torch.full((len(state.x),), t, dtype=torch.float64, device=state.x.device)
    features, state = call(backbone, state, times, wanted)
    return MaskedPrediction.of(backbone, state.x, features, step), state


def call(
    backbone: Backbone, state: State, t: Float[Tensor, " b"], wanted: Bool[Tensor, " b"] | None = None
) -> tuple[Tensor, State]:
    """Features (b, l, d) at (x, t) on a masked process, and the state with the calls counted.

    Chains with nothing masked, chains not `wanted`, and on time-free backbones chains that have not changed
    are not sent through the network and not counted; their features may be anything.
    """
    masked = (state.x == backbone.process.mask).any(dim=1)
    needed = masked if wanted is None else masked & wanted
    needed = needed if state.fresh is None else needed & ~state.fresh
    count = int(needed.sum())  # one number waits for the device, not two
    if count == 0:  # features that are never read may be empty
        return state.x.new_zeros(*state.x.shape, 0) if state.features is None else state.features, state
    if count == len(needed):
        features = backbone.features(state.x, t)
    else:
        index = needed.nonzero()[:, 0]
        part = features_of(backbone, index, state.x[index], t[index])
        old = part.new_zeros(len(t), *part.shape[1:]) if state.features is None else state.features
        features = old.index_copy(0, index, part)
    state = replace(state, calls=state.calls + needed)
    if backbone.time_free:
        state = replace(
            state, features=features, fresh=needed if state.fresh is None else state.fresh | needed
        )
    return features, state
