"""Samplers draw the same tokens by the fused kernels, and a step issues few operations."""

from collections.abc import Callable

import pytest
import torch

from flows.bench.cases import Case, runner
from flows.bench.figures import Setting
from flows.bench.launches import Work, count, gain, price
from flows.bench.replay import Replay
from flows.bench.shapes import Shape, random_backbone
from lsd_core.numerics import fused, randomness
from lsd_core.samplers import categorical
from lsd_core.samplers.loop import generate
from lsd_core.samplers.table import StepTable
from tests.lsd_core.oracles import misfit_backbone

TIMES = StepTable(times=(1.0, 0.55, 0.2, 0.0), gains=(1.5, 0.7, 1.0), gain_on="log_score")
COUNTS = StepTable(counts=(3, 2, 0), gains=(1.5, 0.7), gain_on="log_score")


@pytest.mark.parametrize(
    ("sampler", "table"), [("euler", TIMES), ("fixed_counts", COUNTS), ("theta_trapezoidal", TIMES)]
)
def test_samples_are_those_of_the_plain_path(
    sampler: str, table: StepTable, request: pytest.FixtureRequest
) -> None:
    backbone = misfit_backbone(2, 3, 3, timed=True)
    plain = generate(backbone, sampler, table, 12, seed=11, batch=12)
    request.getfixturevalue("fused_on_cpu")
    fused = generate(backbone, sampler, table, 12, seed=11, batch=12)
    assert torch.equal(fused.tokens, plain.tokens)
    assert torch.equal(fused.calls, plain.calls)


@pytest.mark.parametrize("rest", [False, True])
def test_a_step_issues_few_operations_and_reads_its_logits_once(rest: bool, fused_on_cpu: None) -> None:
    replay = Replay(
        random_backbone(Shape(num_tokens=3000, length=64, dim=8, num_blocks=1, num_heads=1), "sedd")
    )
    with torch.no_grad():
        counts = count(runner(replay, Case(masked=0.3, rest=rest), Setting(batch=2)))
    assert counts.operations <= 25
    assert counts.waits <= 4
    if rest:  # else features and sums of all positions count for more than a few rows of logits
        assert counts.num_bytes < 1.5 * sum(each.nbytes for each in replay.logits)
    assert [counts.names.count(name) for name in ("philox_uniforms", "draw_rows")] == [2, 1]


@pytest.mark.parametrize(
    ("case", "kernel", "operations"), [(price, "log_prob_rows", 12), (gain, "kl_rows", 24)]
)
def test_a_price_issues_few_operations_and_reads_its_logits_once(
    case: Callable[..., Work], kernel: str, operations: int, fused_on_cpu: None
) -> None:
    network = random_backbone(Shape(num_tokens=3000, length=64, dim=8, num_blocks=1, num_heads=1), "sedd")
    _, replay, work = case(network, Setting(batch=2))
    with torch.no_grad():
        counts = count(work)
    assert counts.operations <= operations
    assert counts.waits <= 2
    assert counts.num_bytes < 1.1 * sum(each.nbytes for each in replay.logits)
    assert counts.names.count(kernel) == 1


@pytest.mark.parametrize("module", [randomness, categorical])
def test_a_kernel_is_used_once_it_has_agreed_with_the_plain_path(
    module: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cpu, trial = torch.device("cpu"), module._difference  # type: ignore[attr-defined]
    monkeypatch.setattr(fused, "DEVICES", ("cpu",))
    monkeypatch.setattr(fused, "_found", {})
    assert fused.usable("right", cpu, trial)
    assert not caplog.records
    name = "_fused" if module is randomness else "fused_draw"
    kernel = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *given: kernel(*given).roll(1))
    assert not fused.usable("wrong", cpu, trial)
    assert not fused.usable("wrong", cpu, trial)
    [record] = caplog.records
    assert "the fused kernel of wrong is left out on cpu" in record.getMessage()
