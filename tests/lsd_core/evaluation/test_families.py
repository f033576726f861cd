"""Each family of metrics equals an independent implementation, or a case worked out by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.evaluation.extra import check_extras, compute_extras
from lsd_core.evaluation.inception import fid, inception, inception_score
from lsd_core.evaluation.self_bleu import self_bleu


def rows(*texts: str) -> torch.Tensor:
    return torch.tensor([[ord(letter) - ord("a") for letter in text] for text in texts])


def test_self_bleu_by_hand():
    assert self_bleu(rows("abcdef", "abcdef")) == pytest.approx(1.0)
    # one letter of four in common, no pair: precisions 1/4 and 0.1/3
    assert self_bleu(rows("abcd", "axyz"), size=2) == pytest.approx(math.sqrt(1 / 4 * 0.1 / 3))
    # three of a's four letters are clipped: the other has one
    assert self_bleu(rows("aaaa", "abcd"), size=1) == pytest.approx(1 / 4)


def test_self_bleu_equals_nltk():
    bleu = pytest.importorskip("nltk.translate.bleu_score")
    tokens = torch.randint(0, 5, (12, 20), generator=torch.Generator().manual_seed(0))
    tokens[3] = tokens[7]
    lists = tokens.tolist()
    smooth = bleu.SmoothingFunction(epsilon=0.1).method1
    each = [
        bleu.sentence_bleu(lists[:i] + lists[i + 1 :], row, (0.25,) * 4, smoothing_function=smooth)
        for i, row in enumerate(lists)
    ]
    assert self_bleu(tokens) == pytest.approx(sum(each) / len(each), abs=1e-12)


def test_fid_equals_the_matrix_square_root():
    scipy = pytest.importorskip("scipy.linalg")
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(200, 6)), rng.normal(size=(150, 6)) @ rng.normal(size=(6, 6)) + 1
    a, b = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    gap = one.mean(0) - other.mean(0)
    expected = gap @ gap + np.trace(a + b - 2 * scipy.sqrtm(a @ b).real)
    assert fid(one, other) == pytest.approx(expected, rel=1e-5)
    assert fid(one, one) == pytest.approx(0, abs=1e-5)
    flat = np.concatenate([one, np.zeros((200, 2))], axis=1)  # singular, as with fewer samples than features
    assert fid(flat, flat + 1) == pytest.approx(8.0, rel=1e-5)


def test_inception_score_by_hand():
    sure = np.log(np.eye(4) * 0.96 + 0.01)
    p = np.exp(sure)
    kl = (p * np.log(p / p.mean(axis=0))).sum(axis=1).mean()
    assert inception_score(sure, splits=1) == (pytest.approx(math.exp(kl)), 0.0)
    assert inception_score(np.zeros((10, 4)), splits=2) == (pytest.approx(1.0), pytest.approx(0.0))
    mean, deviation = inception_score(np.concatenate([sure, np.zeros((4, 4))]), splits=2)
    assert (mean, deviation) == (pytest.approx((math.exp(kl) + 1) / 2), pytest.approx((math.exp(kl) - 1) / 2))


def test_the_inception_weights_are_asked_for_by_name(tmp_path: Path):
    with pytest.raises(
        InputError, match=r"weights must be the file of the Inception network's weights.*2015-12-05"
    ):
        inception(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), tmp_path / "none.pth")


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
    from lsd_core.evaluation.mauve_score import mauve

    rng = np.random.default_rng(0)

    def features(counts: tuple[int, int]) -> np.ndarray:
        centres = np.repeat([[50.0, 0.0, 0.0], [0.0, 50.0, 0.0]], counts, axis=0)
        return centres + 0.01 * rng.normal(size=centres.shape)

    expected = divergence_area(np.array(one) / 40, np.array(other) / 40)
    assert mauve(features(one), features(other), buckets=2) == pytest.approx(expected, abs=1e-3)


def test_perplexity_is_transformers_own_loss_and_the_published_variant_is_labelled(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=40, n_positions=16, n_embd=16, n_layer=1, n_head=2)
    model = transformers.GPT2LMHeadModel(config).eval()
    monkeypatch.setenv("LSD_HOME", str(tmp_path))
    from lsd_core.home import weights_dir

    model.save_pretrained(weights_dir() / "tiny-judge", safe_serialization=True)
    tokens = torch.randint(0, 40, (6, 16))
    found = compute_extras(["generative_perplexity:someone/tiny-judge"], tokens)
    with torch.inference_mode():
        loss = float(model(input_ids=tokens, labels=tokens).loss)
        each = [float(model(input_ids=row[None], labels=row[None]).loss) for row in tokens]
    assert found["generative_nll"] == pytest.approx(loss, rel=1e-6)
    assert found["generative_perplexity"] == pytest.approx(math.exp(loss), rel=1e-6)
    published = sum(map(math.exp, each)) / len(each)  # larger, by Jensen's inequality
    assert found["generative_perplexity_published"] == pytest.approx(published, rel=1e-5)
    assert published > math.exp(loss)


def test_distinct_by_hand():
    found = compute_extras(["distinct", "self_bleu"], rows("abab", "abab"))
    assert found["distinct_1"] == 2 / 8
    assert found["distinct_2"] == 2 / 6
    assert found["self_bleu_4"] == pytest.approx(1.0)


def test_what_cannot_be_measured_is_refused_before_any_work():
    with pytest.raises(
        InputError, match="be among distinct, self_bleu, generative_perplexity:MODEL, got bleu"
    ):
        check_extras(["bleu"])
    with pytest.raises(InputError, match="name a causal language model of the hub after a colon"):
        check_extras(["generative_perplexity"])
    with pytest.raises(InputError, match="have nothing after its name, got self_bleu:3"):
        check_extras(["self_bleu:3"])
