"""Networks by import path: built by their package, weights from the file, and no code that nobody named."""

import sys
from pathlib import Path

import pytest
import torch

from lsd_core.backbones import imported, storage
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.publish import fetch, publish
from lsd_core.errors import InputError
from lsd_core.samplers import generate
from lsd_core.samplers.table import uniform_times
from lsd_core.storage.store import Store

SOURCE = '''
"""Somebody's package."""

import torch

from lsd_core.backbones.adapted import AdaptedBackbone


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Parameter(torch.randn(7, 7, generator=torch.Generator().manual_seed(7)))
        self.tied = self.table
        self.register_buffer("places", torch.arange(5))

    def forward(self, x):
        return self.table[x] + self.tied[x].mean(1, keepdim=True) + self.places[:, None]


def make():
    return AdaptedBackbone(Network(), name="mine", length=5, num_tokens=7, mask=6, tensors={})


def bare():
    return Network()


def broken():
    raise RuntimeError("no weights")
'''
TARGET = "mine_networks:make"


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mine_networks.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(imported, "_named", {})
    load_backbone.cache_clear()
    yield
    load_backbone.cache_clear()
    sys.modules.pop("mine_networks", None)


def trained(change: float = 0.5):
    """The network of the address, with weights that its factory does not give."""
    backbone = imported.load(TARGET)
    backbone.predict.table.add_(change * torch.arange(7))
    return backbone


def test_a_stored_copy_has_the_published_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSD_CACHE", str(tmp_path / "cache"))
    backbone, store = trained(), Store(str(tmp_path / "store"))
    assert (backbone.name, backbone.family, backbone.config["target"]) == ("mine", "python", TARGET)
    assert set(backbone.tensors()) == {"table", "places"}
    publish(backbone, store)
    copy = fetch(backbone.fingerprint, store)
    x = torch.tensor([[0, 7, 7, 2, 1]])
    assert torch.equal(copy.features(x, torch.ones(1)), backbone.features(x, torch.ones(1)))
    load_backbone.cache_clear()
    assert load_backbone(f"python:{TARGET}").fingerprint != backbone.fingerprint  # as its factory gives it
    tokens = generate(copy, "euler", uniform_times(2), num_samples=20, seed=0).tokens
    assert torch.equal(tokens, generate(backbone, "euler", uniform_times(2), num_samples=20, seed=0).tokens)
    assert int(tokens.max()) < 6


def test_a_file_alone_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    load_backbone(f"python:{TARGET}")  # naming it once is enough in this process
    data = storage.to_bytes(trained())
    assert storage.from_bytes(data, "file").name == "mine"
    sys.modules.pop("mine_networks")
    imported._named.clear()
    with pytest.raises(
        InputError, match=f"is named here, got python:{TARGET}.*export LSD_PYTHON_BACKBONES={TARGET}"
    ):
        storage.from_bytes(data, "file")
    assert "mine_networks" not in sys.modules
    monkeypatch.setenv("LSD_PYTHON_BACKBONES", f"other.one:make, {TARGET}")
    assert storage.from_bytes(data, "file").name == "mine"


def test_a_changed_factory_is_named(tmp_path: Path) -> None:
    data = storage.to_bytes(trained())
    module = sys.modules["mine_networks"]
    first = module.make

    def longer():
        made = first()
        made.length, made.config["length"] = 6, 6
        return made

    module.make = longer
    with pytest.raises(
        InputError, match=f"factory {TARGET} must give the length that was published, 5, got 6"
    ):
        storage.from_bytes(data, "file")
    module.make = first
    module.Network.__init__ = lambda self: torch.nn.Module.__init__(self)
    with pytest.raises(InputError, match="must make the network of the published weights, got places"):
        storage.from_bytes(data, "file")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("mine_networks", "be python:package.module:factory"),
        ("mine_networks:make()", "be python:package.module:factory"),
        ("mine_networks:bare", "return an AdaptedBackbone whose predict is a torch.nn.Module.*got Network"),
        ("mine_networks:broken", "be importable and return a backbone, got RuntimeError: no weights"),
        ("mine_networks:absent", "be importable and return a backbone, got AttributeError"),
        ("no_such_package.a:make", "be importable and return a backbone, got ModuleNotFoundError"),
    ],
)
def test_what_makes_no_backbone_is_refused_in_one_line(target: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_backbone(f"python:{target}")
    assert imported.named_targets() == ()


@pytest.mark.parametrize(
    "target", ["os:system; reboot", "$(reboot)", "a:b\nc", "a.b:c()", "`x`:y", "..x:y", None]
)
def test_nothing_that_a_shell_would_run_is_advised(
    target: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The remedy of a file that nobody named is a line to be typed."""
    monkeypatch.setenv("LSD_PYTHON_BACKBONES", str(target))
    with pytest.raises(InputError, match=r"target of backbone net must be package\.module:factory") as caught:
        imported.build("net", {"family": "python", "target": target}, {})
    assert "export" not in str(caught.value)
