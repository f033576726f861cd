"""FID and the Inception score by their definitions, on features of a network in the published layout."""

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from flows.config import load_grid
from lsd_core.backbones.catalog import load_backbone
from lsd_core.errors import InputError
from lsd_core.metrics import inception
from lsd_core.metrics.extra import check_extras, compute_extras
from lsd_core.metrics.frechet import Moments
from lsd_core.metrics.inception import fid, inception_score, look
from lsd_core.metrics.inception_network import resized
from lsd_core.metrics.picture_reference import images_of
from lsd_core.metrics.pictures import Canvas, pictures

# The published layout, written down apart from our network: block -> convolutions, (name, in, out, (h, w)).
STEM = {
    "Conv2d_1a_3x3": (3, 32, 3, 3),
    "Conv2d_2a_3x3": (32, 32, 3, 3),
    "Conv2d_2b_3x3": (32, 64, 3, 3),
    "Conv2d_3b_1x1": (64, 80, 1, 1),
    "Conv2d_4a_3x3": (80, 192, 3, 3),
}


def block_a(i: int, p: int) -> dict[str, tuple[int, ...]]:
    return {
        "branch1x1": (i, 64, 1, 1),
        "branch5x5_1": (i, 48, 1, 1),
        "branch5x5_2": (48, 64, 5, 5),
        "branch3x3dbl_1": (i, 64, 1, 1),
        "branch3x3dbl_2": (64, 96, 3, 3),
        "branch3x3dbl_3": (96, 96, 3, 3),
        "branch_pool": (i, p, 1, 1),
    }


def block_b() -> dict[str, tuple[int, ...]]:
    return {
        "branch3x3": (288, 384, 3, 3),
        "branch3x3dbl_1": (288, 64, 1, 1),
        "branch3x3dbl_2": (64, 96, 3, 3),
        "branch3x3dbl_3": (96, 96, 3, 3),
    }


def block_c(c: int) -> dict[str, tuple[int, ...]]:
    return {
        "branch1x1": (768, 192, 1, 1),
        "branch7x7_1": (768, c, 1, 1),
        "branch7x7_2": (c, c, 1, 7),
        "branch7x7_3": (c, 192, 7, 1),
        "branch7x7dbl_1": (768, c, 1, 1),
        "branch7x7dbl_2": (c, c, 7, 1),
        "branch7x7dbl_3": (c, c, 1, 7),
        "branch7x7dbl_4": (c, c, 7, 1),
        "branch7x7dbl_5": (c, 192, 1, 7),
        "branch_pool": (768, 192, 1, 1),
    }


def block_d() -> dict[str, tuple[int, ...]]:
    return {
        "branch3x3_1": (768, 192, 1, 1),
        "branch3x3_2": (192, 320, 3, 3),
        "branch7x7x3_1": (768, 192, 1, 1),
        "branch7x7x3_2": (192, 192, 1, 7),
        "branch7x7x3_3": (192, 192, 7, 1),
        "branch7x7x3_4": (192, 192, 3, 3),
    }


def block_e(i: int) -> dict[str, tuple[int, ...]]:
    return {
        "branch1x1": (i, 320, 1, 1),
        "branch3x3_1": (i, 384, 1, 1),
        "branch3x3_2a": (384, 384, 1, 3),
        "branch3x3_2b": (384, 384, 3, 1),
        "branch3x3dbl_1": (i, 448, 1, 1),
        "branch3x3dbl_2": (448, 384, 3, 3),
        "branch3x3dbl_3a": (384, 384, 1, 3),
        "branch3x3dbl_3b": (384, 384, 3, 1),
        "branch_pool": (i, 192, 1, 1),
    }


LAYOUT = {
    "Mixed_5b": block_a(192, 32),
    "Mixed_5c": block_a(256, 64),
    "Mixed_5d": block_a(288, 64),
    "Mixed_6a": block_b(),
    "Mixed_6b": block_c(128),
    "Mixed_6c": block_c(160),
    "Mixed_6d": block_c(160),
    "Mixed_6e": block_c(192),
    "Mixed_7a": block_d(),
    "Mixed_7b": block_e(1280),
    "Mixed_7c": block_e(2048),
}


def published_tensors() -> dict[str, Tensor]:
    """All tensors random, under the published names."""
    gen = torch.Generator().manual_seed(0)
    shapes = STEM | {
        f"{block}.{name}": size for block, parts in LAYOUT.items() for name, size in parts.items()
    }
    tensors = {}
    for name, (i, o, h, w) in shapes.items():
        tensors[f"{name}.conv.weight"] = torch.randn(o, i, h, w, generator=gen) * math.sqrt(2 / (i * h * w))
        tensors[f"{name}.bn.weight"] = 0.5 + torch.rand(o, generator=gen)
        tensors[f"{name}.bn.bias"] = 0.1 * torch.randn(o, generator=gen)
        tensors[f"{name}.bn.running_mean"] = 0.1 * torch.randn(o, generator=gen)
        tensors[f"{name}.bn.running_var"] = 0.5 + torch.rand(o, generator=gen)
        tensors[f"{name}.bn.num_batches_tracked"] = torch.tensor(0)
    tensors["fc.weight"] = torch.randn(1008, 2048, generator=gen) / 30
    tensors["fc.bias"] = torch.randn(1008, generator=gen)
    return tensors


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """A file as torch-fidelity and pytorch-fid publish it."""
    path = tmp_path_factory.mktemp("inception") / inception.PUBLISHED
    torch.save(published_tensors(), path)
    return path


def convolved(
    tensors: dict[str, Tensor], name: str, x: Tensor, stride: int = 1, padded: bool = True
) -> Tensor:
    """Convolution, batch normalisation by its formula, ReLU, float64."""
    own = {key: tensors[f"{name}.{key}"].double() for key in ("conv.weight", "bn.weight", "bn.bias")}
    mean, var = (tensors[f"{name}.bn.running_{which}"].double() for which in ("mean", "var"))
    kernel = own["conv.weight"]
    h, w = kernel.shape[2:]
    if padded and stride == 1:
        x = F.pad(x, (w // 2, w // 2, h // 2, h // 2))
    patches = x.unfold(2, h, stride).unfold(3, w, stride)
    y = torch.einsum("nihwab,oiab->nohw", patches, kernel)
    scale = own["bn.weight"] / (var + 0.001).sqrt()
    return ((y - mean[:, None, None]) * scale[:, None, None] + own["bn.bias"][:, None, None]).clamp(min=0)


def averaged(x: Tensor) -> Tensor:
    """Mean of a 3 x 3 neighbourhood, of as many as there are."""
    around = F.pad(x, (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1).sum((-1, -2))
    there = F.pad(torch.ones_like(x), (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1).sum((-1, -2))
    return around / there


def largest(x: Tensor, stride: int) -> Tensor:
    if stride == 1:
        x = F.pad(x, (1, 1, 1, 1), value=-math.inf)
    return x.unfold(2, 3, stride).unfold(3, 3, stride).amax((-1, -2))


def described(tensors: dict[str, Tensor], images: Tensor) -> Tensor:
    """Features (n, 2048) by a straightforward reading of the architecture."""

    def conv(name: str, x: Tensor, stride: int = 1, padded: bool = True) -> Tensor:
        return convolved(tensors, name, x, stride, padded)

    x = (stretched(images) - 128) / 128
    x = conv("Conv2d_2b_3x3", conv("Conv2d_2a_3x3", conv("Conv2d_1a_3x3", x, 2), padded=False))
    x = conv("Conv2d_4a_3x3", conv("Conv2d_3b_1x1", largest(x, 2)), padded=False)
    x = largest(x, 2)
    for block in LAYOUT:
        groups: list[Tensor] = []
        branches = {name.split("_")[0]: [] for name in LAYOUT[block] if name != "branch_pool"}
        for name in LAYOUT[block]:
            if name != "branch_pool":
                branches[name.split("_")[0]].append(name)
        halving = block in ("Mixed_6a", "Mixed_7a")
        for names in branches.values():
            y, forked = x, []
            for name in names:
                if name[-1] in "ab":
                    forked.append(conv(f"{block}.{name}", y))
                else:
                    y = conv(f"{block}.{name}", y, 2 if halving and name == names[-1] else 1)
            groups += forked or [y]
        if halving:
            groups.append(largest(x, 2))
        else:
            pooled = largest(x, 1) if block == "Mixed_7c" else averaged(x)
            groups.append(conv(f"{block}.branch_pool", pooled))
        x = torch.cat(groups, 1)
    return x.mean((2, 3))


def stretched(images: Tensor) -> Tensor:
    """To 299 x 299, pixel by pixel."""
    n, c, h, w = images.shape
    out = torch.empty(n, c, 299, 299, dtype=torch.float64)
    x = images.double()
    columns = torch.empty(n, c, h, 299, dtype=torch.float64)
    for j in range(299):
        a, part = divmod(j * w / 299, 1)
        columns[..., j] = (1 - part) * x[..., int(a)] + part * x[..., min(int(a) + 1, w - 1)]
    for i in range(299):
        a, part = divmod(i * h / 299, 1)
        out[:, :, i] = (1 - part) * columns[:, :, int(a)] + part * columns[:, :, min(int(a) + 1, h - 1)]
    return out


def test_the_network_is_the_published_one(weights):
    """Checked once against torch-fidelity 0.4.0 too: equal within 3e-6 of the largest feature."""
    images = torch.randint(0, 256, (2, 3, 32, 40), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    features, logits = look(images, weights)
    tensors = torch.load(weights, weights_only=True)
    expected = described(tensors, images)
    assert expected.shape == (2, 2048)
    assert float((features - expected).abs().max() / expected.abs().max()) < 1e-5
    torch.testing.assert_close(logits, expected @ tensors["fc.weight"].double().T, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(resized(images.float()).double(), stretched(images), rtol=1e-5, atol=1e-3)


def test_fid_equals_the_matrix_square_root():
    scipy = pytest.importorskip("scipy.linalg")

    def by_root(one: np.ndarray, other: np.ndarray) -> float:
        a, b = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
        gap = one.mean(0) - other.mean(0)
        return float(gap @ gap + np.trace(a + b - 2 * scipy.sqrtm(a @ b).real))

    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(200, 6)), rng.normal(size=(150, 6)) @ rng.normal(size=(6, 6)) + 1
    first, second = torch.from_numpy(one), torch.from_numpy(other)
    assert fid(first, Moments.of(second)) == pytest.approx(by_root(one, other), rel=1e-9)
    assert fid(first[:4], Moments.of(second)) == pytest.approx(by_root(one[:4], other), rel=1e-6)
    assert fid(first, Moments.of(first)) == pytest.approx(0, abs=1e-9)
    flat = torch.cat([first, torch.zeros(200, 2)], dim=1)  # singular, as with fewer samples than features
    assert fid(flat, Moments.of(flat + 1)) == pytest.approx(8.0, rel=1e-6)


def test_inception_score_by_hand():
    sure = torch.from_numpy(np.log(np.eye(4) * 0.96 + 0.01))
    p = sure.exp().numpy()
    kl = (p * np.log(p / p.mean(axis=0))).sum(axis=1).mean()
    assert inception_score(sure) == pytest.approx(math.exp(kl))
    assert inception_score(torch.zeros(10, 4), splits=2) == pytest.approx(1.0)
    both = torch.cat([sure, torch.zeros(4, 4)])
    assert inception_score(both, splits=2) == pytest.approx((math.exp(kl) + 1) / 2)


@pytest.mark.slow
def test_a_grid_may_ask_for_them(weights, tmp_path, monkeypatch):
    image = pytest.importorskip("PIL.Image")
    monkeypatch.setenv("LSD_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("LSD_CACHE", str(tmp_path / "cache"))
    backbone = load_backbone("digits-uniform")
    gen = torch.Generator().manual_seed(2)
    tokens, real = (torch.randint(0, 17, (n, 64), generator=gen) for n in (4, 5))
    shown = pictures(real, Canvas.of(backbone))
    assert shown.shape == (5, 3, 8, 8)
    assert shown[0, 1, 2, 3] == round(int(real[0, 19]) * 255 / 16)
    (tmp_path / "real").mkdir()
    for number, picture in enumerate(shown):
        image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()).save(
            tmp_path / "real" / f"{number}.png"
        )
    metrics = [f"fid:{weights}:real", f"inception_score:{weights}"]
    check_extras(metrics, backbone, samples=4)
    found = compute_extras(metrics, tokens, backbone)
    ours, theirs = (look(pictures(some, Canvas.of(backbone)), weights) for some in (tokens, real))
    assert found["fid"] == pytest.approx(fid(ours[0], Moments.of(theirs[0])), rel=1e-6)
    assert found["inception_score"] == pytest.approx(inception_score(ours[1]))
    assert found["inception_score_published"] == pytest.approx(inception_score(ours[1], 4))
    saved = Moments.of(theirs[0])
    np.savez(tmp_path / "real.npz", mu=saved.mean.numpy(), sigma=saved.covariance.numpy())
    inception.reference_moments.cache_clear()
    by_statistics = compute_extras([f"fid:{weights}:real.npz"], tokens, backbone)
    assert by_statistics["fid"] == pytest.approx(found["fid"], rel=1e-9)
    monkeypatch.setattr("lsd_core.metrics.picture_reference.images_of", None)  # the folder was looked at once
    inception.reference_moments.cache_clear()
    assert compute_extras(metrics[:1], tokens, backbone)["fid"] == pytest.approx(found["fid"], rel=1e-9)


def test_cifar10_in_its_binary_version_is_a_reference(tmp_path):
    levels = torch.randint(0, 256, (3, 3072), generator=torch.Generator().manual_seed(3)).to(torch.uint8)
    for number in range(1, 6):
        rows = torch.cat([torch.full((3, 1), number).to(torch.uint8), levels], dim=1)
        (tmp_path / f"data_batch_{number}.bin").write_bytes(rows.numpy().tobytes())
    images = torch.cat(list(images_of(tmp_path)))
    assert images.shape == (15, 3, 32, 32)
    assert torch.equal(images[3:6].flatten(1), levels)


def test_what_they_need_is_asked_for_before_any_work(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("LSD_WEIGHTS", str(tmp_path))
    digits, text = load_backbone("digits-uniform"), load_backbone("text-radd")
    with pytest.raises(InputError, match=f"nothing at {tmp_path}/net.pth.*download {inception.PUBLISHED}"):
        check_extras(["inception_score:net.pth"], digits, samples=4)
    with pytest.raises(InputError, match="backbone text-radd must draw pictures"):
        check_extras([f"inception_score:{weights}"], text, samples=4)
    with pytest.raises(InputError, match="reference of fid must be statistics or images, got nothing at"):
        check_extras([f"fid:{weights}:real"], digits, samples=4)
    np.savez(tmp_path / "small.npz", mu=np.zeros(4), sigma=np.eye(4))
    with pytest.raises(InputError, match=r"hold mu \(2048,\) and sigma \(2048, 2048\), got \(4,\)"):
        check_extras([f"fid:{weights}:small.npz"], digits, samples=4)
    (tmp_path / "no.npz").write_bytes(pickle.dumps({"mu": 1}))
    with pytest.raises(InputError, match="must hold mu and sigma"):
        check_extras([f"fid:{weights}:no.npz"], digits, samples=4)
    tensors = published_tensors()
    del tensors["Mixed_6a.branch3x3.conv.weight"]
    torch.save(tensors, tmp_path / "torn.pth")
    with pytest.raises(InputError, match=r"missing.*Mixed_6a.branch3x3.conv.weight"):
        check_extras(["inception_score:torn.pth"], digits, samples=4)
    torch.save({"fc.weight": test_inception_score_by_hand}, tmp_path / "code.pth")
    with pytest.raises(InputError, match=r"hold tensors alone.*nothing in it was run"):
        check_extras(["inception_score:code.pth"], digits, samples=4)


def test_the_grid_of_images_asks_for_them():
    asked = load_grid("cifar10-ctmc").evaluation.metrics
    assert [name.split(":")[0] for name in asked] == ["fid", "inception_score"]
    assert all(inception.PUBLISHED in name for name in asked)
