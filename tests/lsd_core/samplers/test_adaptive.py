"""Samplers that choose positions by the network's prediction: their kernels, limits, calls, and plain twins."""

import pytest
import torch
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.samplers.catalog import SAMPLERS, certifiable
from lsd_core.samplers.categorical import draw_categorical
from lsd_core.samplers.confidence import Confidence, Entropy, Margin
from lsd_core.samplers.entropy_bound import EntropyBound, EntropyShare
from lsd_core.samplers.klass import Klass
from lsd_core.samplers.masked import MaskedKernel, MaskedPrediction
from lsd_core.samplers.prediction import look
from lsd_core.samplers.protocol import learnable
from lsd_core.samplers.state import Draws, State, start
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable, uniform_times
from lsd_core.samplers.threshold import Threshold
from tests.lsd_core.oracles import (
    TableBackbone,
    all_states,
    chi_square,
    exact_backbone,
    joint_law,
    misfit_backbone,
    number_of,
    product_law,
    push,
    seen_at,
    tv,
)

MISFIT = misfit_backbone(1, 3, 3)
TIMED = misfit_backbone(2, 3, 3, timed=True)
SINGLY = StepTable(counts=(3, 2, 1, 0))
RULES = {
    "confidence": lambda p: -p.max(-1).values,
    "margin": lambda p: -(p.topk(2).values[..., 0] - p.topk(2).values[..., 1]),
    "entropy": lambda p: -(p * p.log()).sum(-1),
}
CAPPED = [EntropyBound(0.0), EntropyBound(0.7), EntropyShare(), Threshold(0.6), Klass(0.5, 0.3)]


def matrix(sampler, backbone: TableBackbone, x: Tensor, step: Step) -> Tensor:
    """Transition of a sampler whose positions are a function of the state."""
    return product_law(sampler.kernel(seen_at(backbone, x, step), step).probs)


def chosen_by_formula(rule, p: Tensor, masked: list[int], size: int) -> list[int]:
    return sorted(masked, key=lambda i: (float(rule(p)[i]), i))[:size]


@pytest.mark.parametrize("name", list(RULES))
@pytest.mark.parametrize("gain", [1.0, 1.7])
def test_each_state_goes_on_by_the_formula(name: str, gain: float) -> None:
    """The surest masked positions under the gain get their x0 distributions, all others stay."""
    step = Step(0, 1.0, 0.25, gain, "log_score", counts=(3, 1))
    x = all_states(4, 3)
    seen = seen_at(MISFIT, x, step)
    probs = SAMPLERS[name].kernel(seen, step).probs  # type: ignore[attr-defined]
    for number, state in enumerate(x.tolist()):
        p = (gain * seen.features[number]).softmax(-1)
        masked = [i for i, token in enumerate(state) if token == 3]
        expected = torch.nn.functional.one_hot(x[number], 4).double()
        for i in chosen_by_formula(RULES[name], p, masked, 2):
            expected[i] = torch.cat([p[i], torch.zeros(1).double()])
        torch.testing.assert_close(probs[number], expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("sampler", [Confidence(), Margin(), Entropy()])
def test_one_token_a_call_is_a_consistent_network(sampler) -> None:
    joint = joint_law(2, 3, 3, 2.0)
    target = torch.zeros(4, 4, 4, dtype=torch.float64)
    target[:3, :3, :3] = joint
    assert tv(push(sampler, exact_backbone(joint), SINGLY, matrix), target.flatten()) < 1e-12
    misfit = push(sampler, MISFIT, SINGLY, matrix)
    assert float(misfit.sum()) == pytest.approx(1.0)


def test_an_entropy_bound_of_zero_unmasks_one_token_at_a_time() -> None:
    one = push(Entropy(), MISFIT, SINGLY, matrix)
    assert tv(push(EntropyBound(0.0), MISFIT, SINGLY, matrix), one) < 1e-12
    assert (
        tv(push(Threshold(1.0), MISFIT, SINGLY, matrix), push(Confidence(), MISFIT, SINGLY, matrix)) < 1e-12
    )
    all_at_once = push(EntropyBound(100.0), MISFIT, SINGLY, matrix)
    assert tv(all_at_once, push(Entropy(), MISFIT, StepTable(counts=(3, 0)), matrix)) < 1e-12
    assert tv(all_at_once, one) > 0.01


@pytest.mark.parametrize("name", [*RULES, "entropy_bound", "entropy_share", "threshold"])
def test_draws_follow_the_pushed_kernels(name: str) -> None:
    table = StepTable(counts=(3, 2, 0), gains=(1.5, 0.7), gain_on="log_score")
    x = walk(SAMPLERS[name], MISFIT, table, Draws(11, torch.arange(20_000))).x
    assert chi_square(x, push(SAMPLERS[name], MISFIT, table, matrix), 4) > 0.001


def walk(sampler, backbone: TableBackbone, table: StepTable, draws: Draws) -> State:
    state = start(backbone, draws)
    for step in steps_of(table, backbone.length):
        state = sampler.step(backbone, state, step, draws)
    return state


def plain_walk(
    rule, backbone: TableBackbone, table: StepTable, seed: int, chain: int
) -> tuple[list[int], int]:
    """One chain, one position after another: tokens, and the calls it took."""
    x, calls, last = [backbone.process.mask] * backbone.length, 0, None
    for step in steps_of(table, backbone.length):
        masked = [i for i, token in enumerate(x) if token == backbone.process.mask]
        if not masked:
            break
        told = 1.0 if len(masked) == len(x) else len(masked) / (len(x) + 1)
        p = backbone.features(torch.tensor([x]), torch.tensor([told]).double())[0].log_softmax(-1).exp()
        calls += 1
        position = torch.arange(len(x))
        once, again = (
            uniforms(seed, torch.tensor([chain]), call, position, Purpose.TOKEN) for call in (0, step.index)
        )
        for i, token in rule(p, last, masked, step, draw_categorical(p, once), draw_categorical(p, again)):
            x[i] = token
        last = p
    return x, calls


def drawn(p, last, masked, step, once, again):
    size = step.counts[0] - step.counts[1]
    surest = sorted(masked, key=lambda i: (-float(p[i, again[i]]), i))[:size]
    return [(i, int(again[i])) for i in surest]


def bounded(gamma: float):
    def rule(p, last, masked, step, once, again):
        entropy = {i: float(-(p[i] * p[i].log()).sum()) for i in masked}
        order = sorted(masked, key=lambda i: (entropy[i], i))
        size = 1
        while (
            size < len(order) and sum(entropy[i] for i in order[: size + 1]) - entropy[order[size]] <= gamma
        ):
            size += 1
        return [(i, int(once[i])) for i in (order if step.last else order[:size])]

    return rule


def shared(p, last, masked, step, once, again):
    total = sum(float(-(p[i] * p[i].log()).sum()) for i in masked)
    return bounded(total * (step.counts[0] - step.counts[1]) / step.counts[0])(
        p, last, masked, step, once, again
    )


def sure(tau: float, eps: float = float("inf")):
    def rule(p, last, masked, step, once, again):
        def settled(i: int) -> bool:
            if eps == float("inf"):
                return True
            return last is not None and float((p[i] * (p[i] / last[i]).log()).sum()) <= eps

        ready = [i for i in masked if float(p[i].max()) >= tau and settled(i)]
        surest = max(masked, key=lambda i: (float(p[i].max()), -i))
        return [(i, int(once[i])) for i in (masked if step.last else ready or [surest])]

    return rule


TWINS = [
    (SAMPLERS["confidence_drawn"], drawn),
    *[(EntropyBound(gamma), bounded(gamma)) for gamma in (0.0, 0.5, 1.2)],
    (EntropyShare(), shared),
    *[(Threshold(tau), sure(tau)) for tau in (0.4, 0.6, 1.0)],
    (Klass(0.4, 0.5), sure(0.4, 0.5)),
]


@pytest.mark.parametrize(("sampler", "rule"), TWINS, ids=lambda each: getattr(each, "name", ""))
def test_a_plain_implementation_draws_the_same_tokens_in_as_many_calls(sampler, rule) -> None:
    backbone = misfit_backbone(5, 3, 4)
    table = StepTable(counts=(4, 3, 1, 0))
    state = walk(sampler, backbone, table, Draws(7, torch.arange(60)))
    plain = [plain_walk(rule, backbone, table, 7, chain) for chain in range(60)]
    assert state.x.tolist() == [tokens for tokens, _ in plain]
    assert state.calls.tolist() == [calls for _, calls in plain]
    assert int(number_of(state.x, 4).unique().numel()) > 10


def test_the_entropy_bound_is_that_of_diffusers() -> None:
    module = pytest.importorskip("diffusers.schedulers.scheduling_entropy_bound")
    x = torch.full((32, 4), 3)
    logits = 2 * torch.randn(32, 4, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    scheduler = module.EntropyBoundScheduler(entropy_bound=0.5, t_max=1.0, t_min=1.0)
    theirs = scheduler.step(logits, 0, x, return_dict=False)[1]
    seen = MaskedPrediction(MISFIT, x, logits)
    kernel = EntropyBound(0.5).kernel(seen, Step(0, 1.0, 0.5, 1.0, "log_score", counts=(4, 2)))
    assert isinstance(kernel, MaskedKernel)
    ours = kernel.choose(Draws(0, torch.arange(32)), 0).view(32, 4)
    assert torch.equal(ours, theirs)
    assert set(ours.sum(1).tolist()) >= {1, 2, 3}


@pytest.mark.parametrize("sampler", CAPPED, ids=lambda each: each.name)
@pytest.mark.parametrize("backbone", [MISFIT, TIMED])
def test_no_chain_uses_more_calls_than_the_table_has_steps(sampler, backbone: TableBackbone) -> None:
    for table in (StepTable(counts=(3, 0)), StepTable(counts=(3, 1, 0)), SINGLY):
        backbone.sequences = 0
        state = walk(sampler, backbone, table, Draws(1, torch.arange(200)))
        assert int(state.x.max()) < 3
        assert int(state.calls.max()) <= table.num_steps
        assert int(state.calls.sum()) == backbone.sequences


def test_they_are_honest_about_certificates_and_refuse_times() -> None:
    for name in (*RULES, "confidence_drawn", "entropy_bound", "entropy_share", "threshold", "klass"):
        assert certifiable(SAMPLERS[name])
        assert not learnable(SAMPLERS[name])
        with pytest.raises(InputError, match=f"be a grid of counts for {name}"):
            walk(SAMPLERS[name], MISFIT, uniform_times(2), Draws(0, torch.arange(2)))
    for make in (lambda: EntropyBound(-1.0), lambda: Threshold(0.0), lambda: Klass(0.5, -1.0)):
        with pytest.raises(InputError):
            make()


def test_klass_keeps_the_features_of_its_last_call() -> None:
    step = Step(0, 1.0, 0.5, 1.0, "log_score", counts=(3, 2))
    state = start(MISFIT, Draws(0, torch.arange(4)))
    seen, _ = look(MISFIT, state, 1.0, step)
    after = Klass().step(MISFIT, state, step, Draws(0, torch.arange(4)))
    assert isinstance(seen, MaskedPrediction)
    assert after.memory is not None
    assert torch.equal(after.memory, seen.features)
