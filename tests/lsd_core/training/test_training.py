"""The objectives equal the exact bound on an enumerable chain; training is resumable and learns."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from lsd_core.backbones.countdown_chain import draw_sequences
from lsd_core.backbones.ddit import DDiT
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing, LogLinear
from lsd_core.processes.corruption import corrupt
from lsd_core.training.config import TrainConfig
from lsd_core.training.loop import attention, schedule, train
from lsd_core.training.objective import loss
from lsd_core.training.optimisers import build_optimisers
from tests.lsd_core.oracles import all_states, number_of

PROCESS = Absorbing(3)
X0 = torch.tensor([[0, 2, 1]])


class TableNetwork(DDiT):
    """Logits from a table (N, l, V + 1); the time is ignored, and so is the transformer."""

    def __init__(self) -> None:
        super().__init__(num_states=4, dim=4, num_blocks=0, num_heads=1, cond_dim=None)
        shape = (64, 3, 4)
        self.table = nn.Parameter(0.7 * torch.randn(shape, generator=torch.Generator().manual_seed(0)))

    def features(self, x: Tensor, sigma_bar: Tensor | None) -> Tensor:
        return self.table[number_of(x, 4)]

    def head(self, features: Tensor) -> Tensor:
        return features


def exact_bound(table: Tensor, family: str) -> Tensor:
    """l * E_n of the mean over masked tokens, over all subsets (RADD Eq. 3.6; SEDD Eq. 9)."""
    total = torch.zeros(())
    for kept in all_states(2, 3).bool():
        n = int((~kept).sum())
        if n == 0:
            continue
        subsets = {1: 3, 2: 3, 3: 1}[n]
        x = torch.where(kept, X0[0], 3)
        logits = table[number_of(x[None], 4)[0]][:, :3]
        if family == "radd":
            cost = -logits.log_softmax(-1)
        else:
            score = logits.exp() / 3  # over alpha / (1 - alpha)
            cost = score.sum(-1, keepdim=True) - 1 - score.log()
        picked = cost.gather(1, X0[0][:, None])[:, 0][~kept]
        total = total + picked.mean() / subsets  # n ~ U{1..3}, then a uniform subset: 3 * 1/3
    return total


@pytest.mark.parametrize("family", ["radd", "sedd"])
def test_loss_and_gradient_are_those_of_the_exact_bound(family: str) -> None:
    network = TableNetwork()
    size = 30_000
    value = loss(network, family, PROCESS, X0.expand(size, 3), 5, torch.arange(size))
    expected = exact_bound(network.table, family)
    (gradient,) = torch.autograd.grad(value, network.table)
    (exact,) = torch.autograd.grad(expected, network.table)
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=0.01)
    assert float(exact.abs().max()) > 0.1
    assert float((gradient - exact).abs().max()) < 0.02 * float(exact.abs().max())


def test_corruption_masks_n_of_the_tokens_with_n_stratified_and_t_beta() -> None:
    x0 = draw_sequences(0, torch.arange(6_000), 6, 3)
    x, t, n = corrupt(x0, PROCESS, 1, torch.arange(6_000))
    masked = x == PROCESS.mask
    assert torch.equal(masked.sum(1), n)
    assert torch.equal(x[~masked], x0[~masked])
    assert torch.bincount(n, minlength=7)[1:].sub(1_000).abs().max() <= 1
    for count in range(1, 7):  # mean of Beta(n, l + 1 - n), every position alike
        chosen = n == count
        assert float(t[chosen].mean()) == pytest.approx(count / 7, abs=0.02)
        torch.testing.assert_close(
            masked[chosen].double().mean(0), torch.full((6,), count / 6).double(), atol=0.06, rtol=0
        )


def test_corruption_stays_on_the_device_of_its_data() -> None:
    x0, index = torch.zeros(4, 6, dtype=torch.long, device="meta"), torch.arange(4, device="meta")
    assert {tensor.device.type for tensor in corrupt(x0, PROCESS, 1, index)} == {"meta"}


def test_corruption_does_not_depend_on_the_rest_of_the_process() -> None:
    x0 = draw_sequences(0, torch.arange(8), 6, 3)
    first = corrupt(x0, PROCESS, 1, torch.arange(8))
    other = corrupt(x0, Absorbing(3, LogLinear(0.1)), 1, torch.arange(8))
    assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def config(family: str, steps: int = 40, optimiser: str = "adamw") -> TrainConfig:
    size = {"dim": 16, "num_blocks": 1, "num_heads": 2, "cond_dim": 8}
    return TrainConfig(family=family, **size, steps=steps, batch=16, warmup=5, lr=1e-2, optimiser=optimiser)


def draw(seed: int, index: Tensor) -> Tensor:
    return draw_sequences(seed, index, 6, 4)


@pytest.mark.parametrize("family", ["sedd", "radd"])
@pytest.mark.slow
def test_training_reduces_the_bound(family: str) -> None:
    seen: list[float] = []
    train(
        config(family, 300),
        Absorbing(4),
        6,
        draw,
        name="n",
        report=lambda _, v: seen.append(v),
        report_every=50,
    )
    assert seen[-1] < 0.9 * seen[0]


class Interrupted(Exception):
    pass


@pytest.mark.parametrize(("family", "optimiser"), [("sedd", "adamw"), ("radd", "adamw"), ("radd", "muon")])
def test_a_resumed_run_ends_with_the_weights_of_an_undisturbed_one(
    family: str, optimiser: str, tmp_path: Path
) -> None:
    steps_of = config(family, optimiser=optimiser)
    whole = train(steps_of, Absorbing(4), 6, draw, name="n")
    path = tmp_path / "run.safetensors"

    def stop(step: int, value: float) -> None:
        if step == 24:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(steps_of, Absorbing(4), 6, draw, name="n", checkpoint=path, report=stop, report_every=2)
    assert path.is_file()
    steps: list[int] = []
    resumed = train(
        steps_of,
        Absorbing(4),
        6,
        draw,
        name="n",
        checkpoint=path,
        report=lambda step, _: steps.append(step),
        report_every=2,
    )
    assert steps[0] == 22
    assert resumed.fingerprint == whole.fingerprint
    again = train(TrainConfig(**{**steps_of.to_dict(), "seed": 1}), Absorbing(4), 6, draw, name="n")
    assert again.fingerprint != whole.fingerprint
    with pytest.raises(InputError, match="checkpoint must be of the same training configuration"):
        train(config(family, 50), Absorbing(4), 6, draw, name="n", checkpoint=path)


def test_the_body_learns_and_runs_in_the_precision_that_is_asked_for(tmp_path: Path) -> None:
    single, half = (
        train(
            TrainConfig(**{**config("radd").to_dict(), "body_dtype": name}), Absorbing(4), 6, draw, name="n"
        )
        for name in ("float32", "bfloat16")
    )
    assert config("radd").body_dtype == "float32"
    assert [trained.config["body_dtype"] for trained in (single, half)] == ["float32", "bfloat16"]
    pairs = zip(single.tensors().values(), half.tensors().values(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)
    for family, body in (("radd", "float16"), ("gaussian", "bfloat16")):
        with pytest.raises(InputError, match=r"^body_dtype must"):
            TrainConfig(**{**config(family).to_dict(), "body_dtype": body})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_has_no_slow_backward_pass(dtype: torch.dtype) -> None:
    """On a CPU that of the fused kernel takes most of a step in bfloat16."""
    names = []

    class Names(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            names.append(func._overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    q = torch.randn(2, 2, 5, 8, dtype=dtype, requires_grad=True)
    with attention(torch.device("cpu"), dtype):
        out = torch.nn.functional.scaled_dot_product_attention(q, q, q)
    with Names():
        out.float().sum().backward()
    fused = "_scaled_dot_product_flash_attention_for_cpu_backward"
    assert (fused in names) == (dtype == torch.float32)


@pytest.mark.parametrize(("family", "body"), [("radd", "bfloat16"), ("gaussian", "float32")])
def test_checkpoints_of_before_there_was_a_choice_of_precision_are_continued(family: str, body: str) -> None:
    record = TrainConfig(**{**config(family).to_dict(), "body_dtype": body}).checkpoint_record()
    assert "body_dtype" not in record
    other = TrainConfig(**{**config("radd").to_dict(), "body_dtype": "float32"}).checkpoint_record()
    assert other["body_dtype"] == "float32"


def test_positions_are_embedded_where_that_is_asked_for() -> None:
    plain, placed = config("radd"), TrainConfig(**{**config("radd").to_dict(), "position_embedding": True})
    assert "position_embedding" not in plain.checkpoint_record()  # as before there was a choice
    assert placed.checkpoint_record()["position_embedding"] is True
    trained = {each: train(each, Absorbing(4), 6, draw, name="n") for each in (plain, placed)}
    assert "position_embedding" not in trained[plain].config
    assert trained[placed].config["position_embedding"] is True
    learned = trained[placed].tensors()["position_embed.embedding"]
    assert learned.shape == (6, 16)
    assert float(learned.std()) == pytest.approx(1.0, abs=0.3)
    with pytest.raises(InputError, match=r"^position_embedding must be left out for uniform"):
        TrainConfig(family="uniform", position_embedding=True)


def test_muon_takes_the_matrices_of_the_blocks_and_nothing_else() -> None:
    network = DDiT(num_states=5, dim=16, num_blocks=2, num_heads=2, cond_dim=None)
    adamw, muon = build_optimisers(network, config("radd", optimiser="muon"))
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    taken, left = (
        {names[id(parameter)] for group in of.param_groups for parameter in group["params"]}
        for of in (muon, adamw)
    )
    kinds = ("attn_qkv.weight", "attn_out.weight", "mlp.0.weight", "mlp.2.weight")
    assert taken == {f"blocks.{block}.{kind}" for block in range(2) for kind in kinds}
    assert taken | left == set(names.values())
    assert not taken & left
    assert len(build_optimisers(network, config("radd"))) == 1
    with pytest.raises(InputError, match=r"^optimiser must be one of adamw for uniform"):
        TrainConfig(family="uniform", optimiser="muon")


def test_the_learning_rate_warms_up_and_cools_down() -> None:
    short = config("radd", 100)
    rates = [schedule(step, short) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates[-1] == pytest.approx(0.01)


def test_wrong_configurations_are_named() -> None:
    wrong = [("family", "gpt"), ("steps", 0), ("lr", 0.0), ("dim", 15), ("batch", 0)]
    for name, value in wrong:
        with pytest.raises(InputError, match=f"^{name} must"):
            TrainConfig(**{**config("radd").to_dict(), name: value})


def test_a_network_starts_from_the_uniform_law() -> None:
    network = DDiT(num_states=4, dim=16, num_blocks=1, num_heads=2, cond_dim=None)
    assert float(network(X0, None).detach().abs().max()) == 0.0
