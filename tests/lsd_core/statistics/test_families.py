"""Each family of metrics equals an independent implementation, or a case worked out by hand."""

import inspect
import math

import pytest
import torch

from lsd_core.backbones.catalog import load_backbone
from lsd_core.errors import InputError
from lsd_core.metrics.extra import check_extras, compute_extras, forms
from lsd_core.metrics.self_bleu import self_bleu

BACKBONE = load_backbone("countdown-exact")  # what draws does not matter here


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


def test_a_sequence_that_shares_no_token_has_no_bleu():
    bleu = pytest.importorskip("nltk.translate.bleu_score")
    tokens = rows("abcabc", "acbacb", "xyzxyz")
    lists, smooth = tokens.tolist(), bleu.SmoothingFunction(epsilon=0.1).method1
    each = [
        bleu.sentence_bleu(lists[:i] + lists[i + 1 :], row, (0.25,) * 4, smoothing_function=smooth)
        for i, row in enumerate(lists)
    ]
    assert each[2] == 0
    assert self_bleu(tokens) == pytest.approx(sum(each) / 3, abs=1e-12)


def test_perplexity_is_transformers_own_loss_and_the_published_variant_is_labelled(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=40, n_positions=16, n_embd=16, n_layer=1, n_head=2)
    model = transformers.GPT2LMHeadModel(config).eval()
    monkeypatch.setenv("LSD_HOME", str(tmp_path))
    from lsd_core.storage.home import weights_dir

    model.save_pretrained(weights_dir() / "tiny-judge", safe_serialization=True)
    tokens = torch.randint(0, 40, (6, 16))
    found = compute_extras(["generative_perplexity:someone/tiny-judge"], tokens, BACKBONE)
    with torch.inference_mode():
        loss = float(model(input_ids=tokens, labels=tokens).loss)
        each = [float(model(input_ids=row[None], labels=row[None]).loss) for row in tokens]
    assert found["generative_nll"] == pytest.approx(loss, rel=1e-6)
    assert found["generative_perplexity"] == pytest.approx(math.exp(loss), rel=1e-6)
    published = sum(map(math.exp, each)) / len(each)  # larger, by Jensen's inequality
    assert found["generative_perplexity_published"] == pytest.approx(published, rel=1e-5)
    assert published > math.exp(loss)


def test_distinct_by_hand():
    found = compute_extras(["distinct", "self_bleu"], rows("abab", "abab"), BACKBONE)
    assert found["distinct_1"] == 2 / 8
    assert found["distinct_2"] == 2 / 6
    assert found["self_bleu_4"] == pytest.approx(1.0)


def test_what_cannot_be_measured_is_refused_before_any_work():
    for name, complaint in {
        "bleu": "be among distinct, self_bleu, generative_perplexity:MODEL, mauve:MODEL:REFERENCE, .*got bleu",
        "generative_perplexity": "be written generative_perplexity:MODEL",
        "self_bleu:3": "be written self_bleu, .*got self_bleu:3",
        "fid:weights.pth": "be written fid:WEIGHTS:REFERENCE",
    }.items():
        with pytest.raises(InputError, match=complaint):
            check_extras([name], BACKBONE, samples=4)
    with pytest.raises(InputError, match="name each family once"):
        check_extras(["distinct", "distinct"], BACKBONE, samples=4)


def test_the_form_of_a_grid_and_the_help_name_them_all():
    from flows.cli.grid import grid
    from flows.config import EvaluationConfig

    assert forms() in (EvaluationConfig.model_fields["metrics"].description or "")
    assert any(forms() in str(each) for each in inspect.signature(grid).parameters.values())
