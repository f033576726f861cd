"""Addresses of backbones: names, folders, files, hub ids, and what is said where the weights are missing."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from lsd_core.backbones import address, storage
from lsd_core.backbones.catalog import BACKBONES, HUB, load_backbone
from lsd_core.backbones.protocol import Backbone
from lsd_core.backbones.publish import fetch, find, publish
from lsd_core.backbones.published import load_published
from lsd_core.errors import InputError
from lsd_core.storage.store import Store
from lsd_core.tasks.catalog import task_of
from tests.lsd_core.backbones.published import files
from tests.lsd_core.backbones.published.files import flat_config, nested_config

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights folder, cache and hub cache of this test alone."""
    monkeypatch.setenv("LSD_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("LSD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    load_backbone.cache_clear()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("sedd-small", "sedd-small"),
        ("hf://louaaron/sedd-small", "sedd-small"),
        ("hf://someone/My_SEDD.v2@main?body_dtype=float32", "My_SEDD.v2"),
        ("runs/my model (1)/model.safetensors", "my-model-1-"),
        ("runs/2024-05/checkpoints-meta/checkpoint.pth", "2024-05"),
        ("cifar10/ckpt_0001999999.pt", "cifar10"),
        ("weights/mdlm/", "mdlm"),
        ("mine.safetensors", "mine"),
    ],
)
def test_a_backbone_is_called_by_what_its_address_says(text: str, name: str) -> None:
    assert address.parse(text).name == name


def test_addresses_hold_their_options() -> None:
    parsed = address.parse("hf://a/b@v1?body_dtype=float32")
    assert (parsed.hub, parsed.revision, parsed.body_dtype) == ("a/b", "v1", "float32")
    for wrong in ("hf://b", "hf://a/b/c", "hf:///b", "a?precision=8", "a?body_dtype"):
        with pytest.raises(InputError):
            address.parse(wrong) if wrong != "a?body_dtype" else load_backbone("countdown-radd?body_dtype")


def test_a_folder_a_file_and_our_own_file_are_one_backbone(places: Path) -> None:
    folder = files.write_hub(places / "mine", nested_config(), files.sedd_tensors())
    by_folder = load_backbone(str(folder))
    by_file = load_backbone(str(folder / "model.safetensors"))
    assert by_folder.name == by_file.name == "mine"
    (places / "ours.safetensors").write_bytes(storage.to_bytes(by_folder))
    ours = load_backbone(str(places / "ours.safetensors"))
    assert by_folder.fingerprint == by_file.fingerprint == ours.fingerprint


def test_the_switch_to_full_precision_is_another_backbone(places: Path) -> None:
    folder = files.write_hub(places / "mine", nested_config(), files.sedd_tensors())
    full = load_backbone(f"{folder}?body_dtype=float32")
    assert full.config == load_backbone(str(folder)).config | {"body_dtype": "float32"}
    assert full.fingerprint != load_backbone(str(folder)).fingerprint
    assert load_backbone("countdown-radd?body_dtype=float32").config["body_dtype"] == "float32"
    with pytest.raises(InputError, match="body_dtype must be one of float32, float16, bfloat16, got int8"):
        load_backbone("countdown-radd?body_dtype=int8")
    with pytest.raises(InputError, match="body_dtype must be left out for a backbone without"):
        load_backbone("countdown-exact?body_dtype=float32")


def test_published_names_say_what_to_download_and_where_to_put_it(places: Path) -> None:
    for name, (repository, _) in HUB.items():
        with pytest.raises(InputError) as refusal:
            load_backbone(name)
        told = str(refusal.value)
        assert f"hf download {repository} --local-dir {places / 'weights' / name}" in told
        assert f"--backbones hf://{repository}" in told
    files.write_hub(places / "weights" / "mdlm", flat_config(), files.mdlm_tensors())
    backbone = load_backbone("mdlm")
    assert (backbone.name, backbone.family, task_of(backbone)) == ("mdlm", "mdlm", "openwebtext")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError) as refusal:
        load_backbone("sedd-huge")
    for name in BACKBONES:
        assert name in str(refusal.value)


def test_a_published_backbone_is_published_to_a_store_and_fetched(places: Path) -> None:
    store = Store(str(places / "store"))
    for config, tensors in ((nested_config(), files.sedd_tensors()), (flat_config(), files.mdlm_tensors())):
        backbone = load_published(files.write_hub(places / "one", config, tensors), "one")
        publish(backbone, store)
        for found in (fetch(backbone.fingerprint, store), find("mdlm", backbone.fingerprint, store)):
            assert isinstance(found, Backbone)
            assert (found.fingerprint, found.config) == (backbone.fingerprint, backbone.config)


class Hub(BaseHTTPRequestHandler):
    """Answers /OWNER/NAME/resolve/REVISION/FILE from a folder, as the hub does."""

    root: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        owner, name, _, revision, file = self.path.strip("/").split("/", 4)
        self.asked.append(f"{self.command} {self.path}")
        repository, error = self.root / owner / name, None
        if name.startswith("gated"):
            error = (403, "GatedRepo")
        elif not repository.is_dir():
            error = (401, "RepoNotFound")
        elif revision not in ("main", COMMIT):
            error = (404, "RevisionNotFound")
        elif not (repository / file).is_file():
            error = (404, "EntryNotFound")
        data = b"" if error else (repository / file).read_bytes()
        self.send_response(error[0] if error else 200)
        if error:
            self.send_header("X-Error-Code", error[1])
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{abs(hash(data)):x}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def hub(places: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """A hub on this machine, with two repositories."""
    handler = type("Handler", (Hub,), {"root": places / "served", "asked": []})
    files.write_hub(places / "served" / "louaaron" / "sedd-small", nested_config(), files.sedd_tensors())
    files.write_hub(places / "served" / "me" / "old", nested_config(), files.radd_tensors(), torch_file=True)
    (places / "served" / "me" / "bare").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
    here = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", here)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", here + template)
    yield handler
    server.shutdown()
    server.server_close()


def test_a_hub_id_is_fetched_once_and_then_found_under_its_name(hub: type[Hub], places: Path) -> None:
    first = load_backbone("hf://louaaron/sedd-small")
    local = load_published(places / "served" / "louaaron" / "sedd-small", "sedd-small")
    assert (first.name, first.fingerprint) == ("sedd-small", local.fingerprint)
    assert sum(asked.startswith("GET") for asked in hub.asked) == 2
    load_backbone.cache_clear()
    pinned = load_backbone(f"hf://louaaron/sedd-small@{COMMIT}")
    assert pinned.fingerprint == first.fingerprint
    assert sum(asked.startswith("GET") for asked in hub.asked) == 2
    hub.asked.clear()
    assert load_backbone("sedd-small").fingerprint == first.fingerprint  # from the hub's cache, no request
    assert hub.asked == []


def test_a_torch_file_of_the_hub_is_read_too(hub: type[Hub], places: Path) -> None:
    assert load_backbone("hf://me/old").family == "radd"
    assert len(list((places / "cache" / "published").iterdir())) == 1


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("hf://me/nothing", "must be a repository on the hub, got no such repository"),
        ("hf://me/gated", "must be open to you, got a gated repository"),
        ("hf://louaaron/sedd-small@dev", "must name a branch, tag or commit, got dev"),
        ("hf://me/bare", "must hold config.json, got none"),
    ],
)
def test_what_the_hub_does_not_give_is_said(hub: type[Hub], where: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        load_backbone(where)


def test_an_unreachable_hub_is_said(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"hf://louaaron/sedd-small must be reachable or in the hub's cache"):
        load_backbone("hf://louaaron/sedd-small")


def test_without_the_extra_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'lsd-samplers\[text\]'"):
        load_backbone("hf://louaaron/sedd-small")
    with pytest.raises(InputError, match="must have its weights"):
        load_backbone("sedd-small")
