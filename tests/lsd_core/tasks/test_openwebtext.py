"""Text in GPT-2's tokens is judged by a causal language model that is not the backbone."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.backbones.published import load_published
from lsd_core.errors import InputError
from lsd_core.metrics.judges.causal_judge import causal_nll, judge_folder, load_judge
from lsd_core.samplers import generate, uniform_times
from lsd_core.tasks import openwebtext
from lsd_core.tasks.catalog import get_task, task_of
from tests.lsd_core.backbones.published import files
from tests.lsd_core.backbones.published.transformer import random_tensors

LENGTH = 10


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LSD_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "weights"


def write_judge(weights: Path, vocabulary: int = openwebtext.VOCABULARY) -> GPT2LMHeadModel:
    """A tiny GPT-2 with random weights where the large one is looked for."""
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=vocabulary, n_positions=16, n_embd=8, n_layer=1, n_head=2)
    model = GPT2LMHeadModel(config).eval()
    model.save_pretrained(weights / "gpt2-large")
    return model


@pytest.fixture
def backbone(tmp_path: Path) -> AnyBackbone:
    """A tiny SEDD over GPT-2's tokens."""
    config = files.nested_config(hidden_size=8, cond_dim=4, length=LENGTH, n_blocks=1, n_heads=2)
    tensors = random_tensors(
        states=openwebtext.VOCABULARY + 1, dim=8, blocks=1, heads=2, cond=4, dtype=torch.float32
    )
    published = config | {"tokens": openwebtext.VOCABULARY, "data": {"train": "openwebtext"}}
    folder = files.write_hub(tmp_path / "mine", published, tensors)
    return load_published(folder, "mine")


def test_the_judge_scores_every_token_but_the_first_given_those_before_it(weights: Path) -> None:
    model = write_judge(weights)
    tokens = torch.randint(0, openwebtext.VOCABULARY, (5, LENGTH), generator=torch.Generator().manual_seed(1))
    got = causal_nll(load_judge(judge_folder()), tokens, batch=2)
    with torch.inference_mode():
        for row, value in zip(tokens, got, strict=True):
            total = 0.0
            for i in range(1, LENGTH):
                law = model(input_ids=row[None, :i]).logits[0, -1].double().softmax(-1)
                total -= float(law[row[i]].log())
            assert float(value) == pytest.approx(total / (LENGTH - 1), rel=1e-5)


def test_samples_of_a_published_network_are_judged(weights: Path, backbone: AnyBackbone) -> None:
    write_judge(weights)
    assert task_of(backbone) == "openwebtext"
    task = get_task("openwebtext")
    task.check(backbone)
    tokens = generate(backbone, "euler", uniform_times(2), 4, seed=0, batch=2).tokens
    scores = task.evaluate(tokens, backbone, 0)
    assert scores.metrics[task.primary] == pytest.approx(float(scores.primary.mean()))
    assert task.diversity in scores.metrics
    assert 0 < scores.metrics["distinct_2"] <= 1
    nats = torch.from_numpy(scores.primary)
    assert scores.metrics["judge_perplexity"] == pytest.approx(float(nats.mean().exp()))
    assert scores.metrics["judge_perplexity_published"] == pytest.approx(float(nats.exp().mean()))
    assert all(value == value for value in scores.metrics.values())
    masks = torch.full((1, LENGTH), openwebtext.VOCABULARY)  # a uniform network may write it
    assert torch.isfinite(
        torch.tensor(openwebtext.evaluate(masks.clamp(max=50256), backbone, 0).primary)
    ).all()


def test_what_the_judge_lacks_is_said_before_any_work(weights: Path, backbone: AnyBackbone) -> None:
    with pytest.raises(InputError) as refusal:
        openwebtext.check(backbone)
    told = str(refusal.value)
    assert f"hf download openai-community/gpt2-large --local-dir {weights / 'gpt2-large'}" in told


def test_other_tokens_than_the_judges_are_refused(weights: Path, tmp_path: Path) -> None:
    write_judge(weights)
    small = load_published(
        files.write_hub(tmp_path / "small", files.nested_config(), files.sedd_tensors()), "small"
    )
    with pytest.raises(InputError, match=r"must write GPT-2's 50257 tokens.* got 11 tokens"):
        openwebtext.check(small)
    write_judge(weights.parent / "other", vocabulary=100)
    judge = load_judge(weights.parent / "other" / "gpt2-large")
    with pytest.raises(InputError, match=r"tokens must lie in the judge's vocabulary of 100, got 200"):
        causal_nll(judge, torch.tensor([[1, 200]]))


def test_what_is_no_judge_is_refused(weights: Path) -> None:
    folder = weights / "gpt2-large"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    with pytest.raises(InputError, match="be a causal language model in safetensors"):
        load_judge(folder)
    write_judge(weights)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    save_file({name: tensor for name, tensor in tensors.items() if "c_attn.weight" not in name}, file)
    with pytest.raises(
        InputError, match=r"must hold all its weights, got no transformer.h.0.attn.c_attn.weight"
    ):
        load_judge(folder)
    file.write_bytes(b"nothing")
    with pytest.raises(InputError, match="be a causal language model in safetensors"):
        load_judge(folder)
