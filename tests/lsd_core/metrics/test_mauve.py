"""MAUVE by its definition and by the reference package's own way from texts; what it needs is asked for first."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from lsd_core.backbones.catalog import load_backbone
from lsd_core.errors import InputError
from lsd_core.metrics import mauve_score
from lsd_core.metrics.extra import check_extras, compute_extras
from lsd_core.metrics.mauve_score import features, mauve, written_texts
from lsd_core.storage.home import weights_dir

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "saw",
    "one",
    "dog",
    "run",
    "far",
    "away",
    "from",
    "it",
]


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LSD_WEIGHTS", str(tmp_path))
    mauve_score.read_texts.cache_clear()
    mauve_score.load_tokenizer.cache_clear()
    return tmp_path


def divergence_area(p: np.ndarray, q: np.ndarray, scale: float = 5.0) -> float:
    """MAUVE of two histograms by its definition: the area under (exp -c KL(q|r), exp -c KL(p|r)), r = wp + (1-w)q."""

    def kl(a: np.ndarray, b: np.ndarray) -> float:
        return float(sum(x * math.log(x / y) for x, y in zip(a, b, strict=True) if x > 0))

    mixtures = [w * p + (1 - w) * q for w in np.linspace(1e-6, 1 - 1e-6, 25)]
    curve = [
        (0.0, 1.0),
        *((math.exp(-scale * kl(q, r)), math.exp(-scale * kl(p, r))) for r in mixtures),
        (1.0, 0.0),
    ]
    x, y = np.array(sorted(curve, key=lambda point: (point[0], -point[1]))).T
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum())


@pytest.mark.parametrize(("one", "other"), [((30, 10), (10, 30)), ((40, 0), (0, 40)), ((22, 18), (18, 22))])
def test_mauve_equals_its_definition_where_the_clusters_are_certain(one, other):
    pytest.importorskip("mauve")
    rng = np.random.default_rng(0)

    def rows(counts: tuple[int, int]) -> np.ndarray:
        centres = np.repeat([[50.0, 0.0, 0.0], [0.0, 50.0, 0.0]], counts, axis=0)
        return centres + 0.01 * rng.normal(size=centres.shape)

    p, q = np.array(one), np.array(other)
    plain, smoothed = mauve(rows(one), rows(other), buckets=2)
    assert plain == pytest.approx(divergence_area(p / 40, q / 40), abs=1e-3)
    assert smoothed == pytest.approx(divergence_area((p + 0.5) / 41, (q + 0.5) / 41), abs=1e-3)


def write_model(folder: Path) -> None:
    """A tiny GPT-2 with a tokenizer of letters, as a hub repository has them."""
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    letters = {letter: number for number, letter in enumerate("?abcdefghijklmnopqrstuvwxyz ")}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(letters, unk_token="?"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?").save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=28, n_positions=24, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder, safe_serialization=True)


def test_the_way_from_texts_is_the_reference_packages_own(weights):
    package = pytest.importorskip("mauve")
    write_model(weights / "gpt2-tiny")
    rng = np.random.default_rng(1)
    one, other = (
        [" ".join(rng.choice(some, size=rng.integers(2, 9))) for _ in range(24)]
        for some in (WORDS, WORDS[:5])
    )
    theirs = package.compute_mauve(
        p_text=one,
        q_text=other,
        featurize_model_name=str(weights / "gpt2-tiny"),
        max_text_length=24,
        verbose=False,
        num_buckets=4,
    )
    ours = mauve(features(one, weights / "gpt2-tiny"), features(other, weights / "gpt2-tiny"), buckets=4)
    assert ours == (pytest.approx(theirs.mauve, abs=1e-6), pytest.approx(theirs.mauve_star, abs=1e-6))
    assert 0 < ours[0] < 0.999


def test_samples_are_compared_with_the_first_texts_of_a_file(weights):
    pytest.importorskip("mauve")
    write_model(weights / "gpt2-tiny")
    backbone = load_backbone("text-radd")
    tokens = torch.randint(0, 52, (20, 128), generator=torch.Generator().manual_seed(0))
    texts = written_texts(tokens, backbone, weights / "gpt2-tiny")
    (weights / "same.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts * 2))
    (weights / "words.txt").write_text("\n".join([" ".join(WORDS)] * 20))
    for name, alike in (("same.jsonl", True), ("words.txt", False)):
        metric = f"mauve:someone/gpt2-tiny:{name}"
        check_extras([metric], backbone, samples=20)
        found = compute_extras([metric], tokens, backbone)
        assert set(found) == {"mauve", "mauve_star"}
        assert (found["mauve"] > 0.999) is alike


def test_what_mauve_needs_is_asked_for_before_any_work(weights, monkeypatch):
    pytest.importorskip("mauve")
    text, digits = load_backbone("text-radd"), load_backbone("digits-uniform")
    with pytest.raises(
        InputError, match=r"judge someone/gpt2-tiny must have its weights.*hf download someone/gpt2-tiny"
    ):
        check_extras(["mauve:someone/gpt2-tiny:few.txt"], text, samples=3)
    write_model(weights / "gpt2-tiny")
    with pytest.raises(InputError, match="reference of mauve must be a file of texts, got nothing at"):
        check_extras(["mauve:someone/gpt2-tiny:few.txt"], text, samples=3)
    (weights / "few.txt").write_text("one\n\ntwo\n")
    with pytest.raises(InputError, match="be at least as many as the samples, 3, got 2"):
        check_extras(["mauve:someone/gpt2-tiny:few.txt"], text, samples=3)
    with pytest.raises(InputError, match="write text, or the 28 tokens of the model"):
        check_extras(["mauve:someone/gpt2-tiny:few.txt"], digits, samples=2)
    (weights / "broken.jsonl").write_text('{"words": 1}\n')
    with pytest.raises(InputError, match="must hold texts"):
        check_extras(["mauve:someone/gpt2-tiny:broken.jsonl"], text, samples=1)
    monkeypatch.setattr(mauve_score, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"have the package of mauve, got not installed.*pip install"):
        check_extras(["mauve:someone/gpt2-tiny:few.txt"], text, samples=2)
    assert weights_dir() == weights
