"""Exact laws on processes without a fast path: data pushed forward, samplers and rates pushed backward."""

from typing import Any

import torch
from torch import Tensor

from lsd_core.backbones.scores import ScoreBackbone
from lsd_core.processes import Process
from lsd_core.samplers.full import predict
from lsd_core.samplers.full_kernels import reverse_rates
from lsd_core.samplers.step import Step
from tests.lsd_core.oracles import all_states, number_of, product_law
from tests.lsd_core.samplers.choices import chances_of_sets


class ExactScores:
    """The true scores of a data law (S,) * l, times a fixed log-normal misfit for each (state, position, target)."""

    name = family = fingerprint = "exact"

    def __init__(self, process: Process, joint: Tensor, misfit: float = 0.0, grid: float = 0.0) -> None:
        self.grid = grid  # if positive, time is read at the middles of a grid: constant rates on each cell
        self.process, self.joint, self.length = process, joint, joint.dim()
        shape = (joint.numel(), joint.dim(), joint.shape[0])
        self.factor = (misfit * torch.randn(shape, generator=torch.Generator().manual_seed(5)).double()).exp()
        self.sequences, self.config = 0, dict[str, Any]()

    def law_at(self, t: float) -> Tensor:
        """p_t over all states, flat."""
        sigma_bar = float(self.process.noise.sigma_bar(torch.tensor(t, dtype=torch.float64)))
        matrix, law = self.process.transition(sigma_bar), self.joint
        for _ in range(self.length):
            law = torch.tensordot(law, matrix, dims=([0], [0]))  # each pass moves the next axis to the back
        return law.flatten()

    def tensors(self) -> dict[str, Tensor]:
        return {"joint": self.joint}

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        self.sequences += len(x)
        t = (torch.floor(t / self.grid) + 0.5) * self.grid if self.grid else t
        size, out = (
            self.process.num_states,
            torch.ones(*x.shape, self.process.num_states, dtype=torch.float64),
        )
        for time in t.unique():
            law, chains = self.law_at(float(time)), (t == time).nonzero()[:, 0]
            here = x[chains]
            for position in range(self.length):
                for target in range(size):
                    other = here.clone()
                    other[:, position] = target
                    out[chains, position, target] = law[number_of(other, size)] / law[number_of(here, size)]
        out = out * self.factor[number_of(x, size)]
        return out.scatter(-1, x[..., None], 1.0)


def generator(backbone: ExactScores, t: float) -> Tensor:
    """Rates (N, N) of the reverse chain over whole states at time t, rows sum to 0."""
    size, length = backbone.process.num_states, backbone.length
    x = all_states(size, length)
    time = torch.full((len(x),), t, dtype=torch.float64)
    rates = reverse_rates(backbone.process, x, backbone.score(x, time), time)
    matrix = torch.zeros(len(x), len(x), dtype=torch.float64)
    for position in range(length):
        for target in range(size):
            other = x.clone()
            other[:, position] = target
            matrix[torch.arange(len(x)), number_of(other, size)] += rates[:, position, target]
    return matrix - torch.diag(matrix.sum(1))


def reverse_law(backbone: ExactScores, start: Tensor, t: float, s: float, pieces: int = 200) -> Tensor:
    """The law at s of the network's own reverse chain from `start` at t: midpoint exponentials."""
    law, width = start, (t - s) / pieces
    for piece in range(pieces):
        law = law @ torch.linalg.matrix_exp(width * generator(backbone, t - (piece + 0.5) * width))
    return law


def step_matrix(method: Any, backbone: ScoreBackbone, step: Step) -> Tensor:
    """Transition (N, N) of one step, summed over the middle states of a second stage."""
    x = all_states(backbone.process.num_states, backbone.length)
    seen = predict(backbone, x, step.t, step)
    if method.name == "gibbs":
        scores = backbone.score(x, torch.full((len(x),), step.s, dtype=torch.float64))
        given = scores / scores.sum(-1, keepdim=True)
        size = max(1, round(method.share * backbone.length))
        return product_law(seen.tweedie(step.s).probs) @ gibbs_matrix(given, x, size, method.temperature)
    if method.calls_per_step == 1:
        return product_law(method.kernel(seen, step).probs)
    first = product_law(method.first(seen, step).probs)
    seen_mid = predict(backbone, x, method.middle(step, backbone.length), step)
    start, middle = (first > 0).nonzero(as_tuple=True)
    law = method.second(seen[start], seen_mid[middle], step)
    return torch.zeros_like(first).index_add_(0, start, first[start, middle, None] * product_law(law.probs))


def gibbs_matrix(given: Tensor, x: Tensor, size: int, temperature: float) -> Tensor:
    """Transition (N, N) by the definition: choose by the log-margin, draw each chosen position given the others."""
    own = given.gather(-1, x[..., None])[..., 0]
    others = given.scatter(-1, x[..., None], 0.0).amax(-1)
    weights = (own / others) ** (-1 / temperature)
    stay = torch.nn.functional.one_hot(x, given.shape[-1]).double()
    matrix = torch.zeros(len(x), len(x), dtype=torch.float64)
    for state in range(len(x)):
        for chosen, chance in chances_of_sets(weights[state], size).items():
            each = stay[state].clone()
            each[list(chosen)] = given[state, list(chosen)]
            matrix[state] += chance * product_law(each[None])[0]
    return matrix


def push_dense(method: Any, backbone: ScoreBackbone, start: Tensor, t: float, s: float, steps: int) -> Tensor:
    """Exact law at s after equal steps from `start` at t."""
    grid = [t + (s - t) * k / steps for k in range(steps + 1)]
    law = start
    for k in range(steps):
        law = law @ step_matrix(method, backbone, Step(k, grid[k], grid[k + 1], 1.0, "score"))
    return law
