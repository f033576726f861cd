"""A masked language model of the transformers library as a backbone, as the documentation shows it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM

from lsd_core.backbones.adapted import AdaptedBackbone
from lsd_core.backbones.protocol import Backbone, log_x0
from lsd_core.backbones.storage import to_bytes
from lsd_core.errors import InputError
from lsd_core.metrics.likelihood import any_order_nll
from lsd_core.samplers import SAMPLERS, generate, steps_in_counts, uniform_times

DOCUMENT = Path(__file__).parents[3] / "docs" / "backbones.md"
V, LENGTH, MASK = 37, 24, 4
T = torch.full((2,), 0.5, dtype=torch.float64)
MASKED = [name for name, each in SAMPLERS.items() if "absorbing" in each.processes]


@pytest.fixture(scope="module")
def model() -> BertForMaskedLM:
    """A tiny BERT with random weights."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=V,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=0.5,
    )
    return BertForMaskedLM(config).eval()


def adapt(model: BertForMaskedLM, **changes: Any) -> AdaptedBackbone:
    settings: dict[str, Any] = {
        "name": "bert",
        "length": LENGTH,
        "num_tokens": V,
        "mask": MASK,
        "never": [0, 1, 2, 3],
        "tensors": model.state_dict(),
    }
    return AdaptedBackbone(lambda x: model(input_ids=x).logits, **settings | changes)


def documented() -> list[str]:
    text = DOCUMENT.read_text()
    return re.findall(r"```python\n(.*?)```", text[text.index("## A network of your own") :], re.DOTALL)


def test_the_documented_lines_run(
    model: BertForMaskedLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapting, learning, packaged = documented()
    assert len(adapting.splitlines()) < 20
    monkeypatch.chdir(tmp_path)
    model.save_pretrained(tmp_path / "path" / "to" / "masked-lm")
    names: dict[str, Any] = {}
    exec(adapting, names)
    assert isinstance(names["backbone"], Backbone)
    assert names["backbone"].fingerprint == adapt(model).fingerprint
    exec(learning, names)
    samples = names["samples"]
    assert samples.tokens.shape == (8, LENGTH)
    assert int(samples.calls.max()) <= 4
    assert names["table"].counts[0] == LENGTH
    assert names["table"].counts != (24, 18, 12, 6, 0)  # a schedule was learned
    exec(packaged, names)
    made = names["make"]()
    assert isinstance(made.predict, torch.nn.Module)
    x = torch.arange(LENGTH)[None]
    assert torch.equal(made.predict(x), names["backbone"].predict(x))


def test_its_law_is_the_models_own_over_what_may_be_written(model: BertForMaskedLM) -> None:
    backbone = adapt(model)
    x = torch.full((2, LENGTH), V)
    x[0, 3], x[1, 7] = 9, 30
    theirs = x.clone()
    theirs[theirs == V] = MASK
    with torch.inference_mode():
        logits = model(input_ids=theirs).logits.double()
    expected = logits[..., 5:].softmax(-1)
    law = log_x0(backbone, x, T).exp()
    masked = x == V
    torch.testing.assert_close(law[masked][:, 5:], expected[masked], rtol=1e-6, atol=1e-9)
    assert float(law[masked][:, :5].sum()) == 0.0
    torch.testing.assert_close(law.sum(-1), torch.ones(2, LENGTH).double())
    assert float(law[0, 3, 9]) == float(law[1, 7, 30]) == 1.0


@pytest.mark.parametrize("sampler", [name for name in MASKED if not steps_in_counts(name)])
def test_every_sampler_writes_allowed_tokens_only(model: BertForMaskedLM, sampler: str) -> None:
    samples = generate(adapt(model), sampler, uniform_times(4), 4, seed=0, batch=4)
    assert int(samples.tokens.min()) >= 5
    assert int(samples.tokens.max()) < V


def test_impossible_tokens_leave_likelihoods_finite(model: BertForMaskedLM) -> None:
    backbone = adapt(model)
    tokens = generate(backbone, "euler", uniform_times(4), 4, seed=0, batch=4).tokens
    assert bool(any_order_nll(backbone, tokens, 0).isfinite().all())


def test_a_time_free_call_is_saved_and_changes_nothing(model: BertForMaskedLM) -> None:
    few = generate(adapt(model), "euler", uniform_times(60), 2, seed=0, batch=1)
    assert int(few.calls.max()) <= LENGTH
    backbone = adapt(model)
    backbone.time_free = False
    many = generate(backbone, "euler", uniform_times(60), 2, seed=0, batch=1)
    assert torch.equal(few.tokens, many.tokens)
    assert int(many.calls.sum()) > int(few.calls.sum())


def test_its_identity_follows_weights_and_settings(model: BertForMaskedLM) -> None:
    changed = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    changed["cls.predictions.bias"][7] += 1e-3
    variants: list[dict[str, Any]] = [{}, {"never": []}, {"length": 12}, {"mask": 5}, {"tensors": changed}]
    variants.append({"config": {"shift": 1}})
    assert len({adapt(model, **variant).fingerprint for variant in variants}) == len(variants)


Wrong = tuple[dict[str, Any], Callable[[Tensor], Tensor] | None, str]
WRONG: list[Wrong] = [
    ({"mask": V}, None, "mask must lie in 0..36, got 37"),
    ({"never": [-1]}, None, "never must lie in 0..36, got -1"),
    ({"length": 0}, None, "length must be >= 1, got 0"),
    ({}, lambda x: torch.zeros(*x.shape, V - 1), "must return logits of shape"),
    ({}, lambda x: torch.zeros(x.shape[0], x.shape[1] + 1, V), "must return logits of shape"),
]


@pytest.mark.parametrize(("changes", "predict", "told"), WRONG)
def test_what_does_not_fit_is_refused(
    model: BertForMaskedLM,
    changes: dict[str, Any],
    predict: Callable[[Tensor], Tensor] | None,
    told: str,
) -> None:
    def call() -> None:
        backbone = adapt(model, **changes)
        assert predict is not None
        backbone.predict = predict
        backbone.features(torch.full((2, LENGTH), V), T)

    with pytest.raises(InputError, match=told):
        call()


def test_it_is_not_stored(model: BertForMaskedLM) -> None:
    with pytest.raises(InputError, match="use it in the process that made it"):
        to_bytes(adapt(model))
