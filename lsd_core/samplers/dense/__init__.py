"""Samplers of any process: dense laws, position by position; the absorbing process has its own fast path."""

from lsd_core.backbones.scores import AbsorbingScores, ScoreBackbone, X0Scores
from lsd_core.samplers.dense.exact import ExactRun, uniformise, x0_rate_bound
from lsd_core.samplers.dense.generate import draw_prior, generate_dense, run_dense
from lsd_core.samplers.dense.laws import DenseLaw
from lsd_core.samplers.dense.prediction import Prediction, predict
from lsd_core.samplers.dense.steps import DENSE_SAMPLERS, get_dense

__all__ = [
    "DENSE_SAMPLERS",
    "AbsorbingScores",
    "DenseLaw",
    "ExactRun",
    "Prediction",
    "ScoreBackbone",
    "X0Scores",
    "draw_prior",
    "generate_dense",
    "get_dense",
    "predict",
    "run_dense",
    "uniformise",
    "x0_rate_bound",
]
