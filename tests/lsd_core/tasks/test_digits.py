"""Digits: images are told from noise, and nobody judges what they have learned from."""

from itertools import combinations

import numpy as np
import pytest
import torch

from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.errors import InputError
from lsd_core.metrics.judges.digits_judge import DigitsJudge, shipped_judge
from lsd_core.tasks import digit_images
from lsd_core.tasks.catalog import get_task
from lsd_core.tasks.digit_images import PARTS, load_images
from lsd_core.tasks.specimen import Picture


@pytest.fixture
def images() -> None:
    pytest.importorskip("sklearn")


def test_parts_share_no_image(images: None) -> None:
    parts = {part: {tuple(row) for row in load_images(part).pixels.tolist()} for part in PARTS}
    assert all(not parts[a] & parts[b] for a, b in combinations(parts, 2))
    assert sum(len(load_images(part)) for part in PARTS) == 1797
    assert len(load_images("backbone")) > 800
    with pytest.raises(InputError, match="part must be one of backbone, judge, reference"):
        load_images("all")


def test_draws_are_images_and_functions_of_the_trajectory(images: None) -> None:
    part = load_images("reference")
    drawn = part.draw(4, torch.arange(50))
    known = {tuple(row) for row in part.pixels.tolist()}
    assert {tuple(row) for row in drawn.tolist()} <= known
    assert torch.equal(part.draw(4, torch.arange(20, 50)), drawn[20:])
    assert len(drawn.unique(dim=0)) > 30


def test_the_judge_tells_images_from_what_is_none(images: None) -> None:
    real = load_images("backbone")
    task, backbone = get_task("digits"), exact_backbone("b", 64, 17)
    scores = task.evaluate(real.pixels, backbone, 0)
    assert scores.metrics["frechet"] == pytest.approx(float(scores.primary.mean()))
    gen = torch.Generator().manual_seed(0)
    damaged = real.pixels.clone()
    hit = torch.rand(damaged.shape, generator=gen) < 0.1
    damaged[hit] = torch.randint(0, 17, (int(hit.sum()),), generator=gen)
    worse = task.evaluate(damaged, backbone, 0)
    assert worse.metrics["frechet"] > 2 * scores.metrics["frechet"]
    one_digit = task.evaluate(real.pixels[real.labels == 3], backbone, 0)
    assert one_digit.metrics["frechet"] > 10 * scores.metrics["frechet"]
    assert one_digit.metrics["label_entropy"] < 0.8 < scores.metrics["label_entropy"] - 1
    assert one_digit.metrics["label_tv"] > 0.7 > 0.2 > scores.metrics["label_tv"]


def test_its_metrics_equal_an_independent_computation() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    pixels = torch.randint(0, 17, (60, 64), generator=torch.Generator().manual_seed(1))
    found = get_task("digits").evaluate(pixels, exact_backbone("b", 64, 17), 0).metrics
    own = {name: tensor.double().numpy() for name, tensor in shipped_judge().network.state_dict().items()}

    def layer(name: str, x: np.ndarray) -> np.ndarray:
        return x @ own[f"{name}.weight"].T + own[f"{name}.bias"]

    def silu(x: np.ndarray) -> np.ndarray:
        return x / (1 + np.exp(-x))

    features = silu(layer("second", silu(layer("first", 2 * pixels.numpy() / 16 - 1))))
    logits = layer("head", features)
    laws = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    mean, covariance = shipped_judge().reference.mean.numpy(), shipped_judge().reference.covariance.numpy()
    here, gap = np.cov(features, rowvar=False), features.mean(0) - mean
    distance = gap @ gap + np.trace(here + covariance - 2 * linalg.sqrtm(here @ covariance).real)
    assert found["frechet"] == pytest.approx(distance, rel=1e-3)
    shares = np.bincount(laws.argmax(1), minlength=10) / 60
    kept = shares[shares > 0]
    assert found["label_entropy"] == pytest.approx(-(kept * np.log(kept)).sum(), rel=1e-9)
    assert found["label_tv"] == pytest.approx(np.abs(shares - shipped_judge().labels.numpy()).sum() / 2)
    assert found["confidence"] == pytest.approx(laws.max(1).mean(), rel=1e-5)


def test_the_classifier_knows_images_it_has_not_seen(images: None) -> None:
    other = load_images("backbone")
    right = shipped_judge().probs(other.pixels).argmax(-1) == other.labels
    assert float(right.double().mean()) > 0.9


def test_a_judge_of_another_shape_is_refused() -> None:
    judge = shipped_judge()
    file = judge.to_file({})
    again = DigitsJudge.from_bytes(file.to_bytes(), "f")
    x = torch.randint(0, 17, (4, 64), generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.features(x), judge.features(x))
    for change, words in (
        ({"hidden": 3}, r"tensor .* must have shape"),
        ({"num_features": 3}, "must have shape"),
        ({"hidden": "many"}, "describe a network"),
        ({"color": True}, "have the keys"),
    ):
        data = type(file)(name="n", config=file.config | change, tensors=file.tensors).to_bytes()
        with pytest.raises(InputError, match=words):
            DigitsJudge.from_bytes(data, "f")
    without = {key: value for key, value in file.tensors.items() if key != "reference.mean"}
    data = type(file)(name="n", config=file.config, tensors=without).to_bytes()
    with pytest.raises(InputError, match=r"missing \['reference.mean'\]"):
        DigitsJudge.from_bytes(data, "f")


def test_pictures_are_dark_ink_on_white_and_other_shapes_are_refused() -> None:
    backbone = exact_backbone("b", 64, 17)
    task = get_task("digits")
    assert task.show is not None
    (picture,) = task.show(torch.arange(64)[None] % 17, backbone)
    assert isinstance(picture, Picture)
    assert (picture.width, picture.height, picture.channels, len(picture.pixels)) == (8, 8, 1, 64)
    assert (picture.pixels[0], picture.pixels[16]) == (255, 0)
    task.check(backbone)
    with pytest.raises(InputError, match="64 pixels of 17 levels"):
        task.check(exact_backbone("b", 64, 16))


def test_without_scikit_learn_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    load_images.cache_clear()
    with pytest.raises(InputError, match="scikit-learn"):
        digit_images.load_images("judge")
    load_images.cache_clear()
