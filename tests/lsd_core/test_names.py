"""Names from cards, manifests, weight files, URLs and configs are checked before they become paths or filters."""

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch

from flows.config import grid_names, load_grid, parse_grid
from flows.study.config import load_study, study_names
from lsd_core.backbones import address
from lsd_core.backbones.catalog import BACKBONES
from lsd_core.backbones.publish import backbone_key, fetch, find, publish
from lsd_core.cards import BackboneRef, SamplerCard
from lsd_core.distillation.methods import METHODS
from lsd_core.errors import InputError
from lsd_core.export.formats import export_json
from lsd_core.numerics.names import BACKBONE, COMPONENT, FINGERPRINT, RUN, SPEC_HASH
from lsd_core.processes import Absorbing, Uniform
from lsd_core.registry.lookup import versions_of
from lsd_core.sampler import LoadedSampler, load_sampler
from lsd_core.samplers import sampler_names
from lsd_core.storage.store import Store
from lsd_core.storage.tensorfile import TensorFile
from lsd_core.tasks.catalog import TASKS
from lsd_core.trajectories import TeacherSpec
from lsd_core.trajectories.manifest import MANIFEST, parse_manifest, publish_manifest

PROCESSES = (Absorbing(8), Uniform(8))
BAD_NAMES = [
    "",
    ".",
    "..",
    "../x",
    "x/../../project",
    "/somewhere/precious",
    "a\\b",
    ".hidden",
    "-option",
    "it's",
    'say "x"',
    "a:b",
    "a@b",
    "a?b",
    "a#b",
    "a%2fb",
    "[/red]",
    "<b>bold</b>",
    "new\nline",
    "\x1b[31mred",
    "nul\0",
    "\ud800",
    "\u202erts",
    " led by a space",
    "n" * 300,
]


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A person's file whose path, without its ending, an attacker knows."""
    file = tmp_path / "somewhere" / "precious.safetensors"
    file.parent.mkdir()
    file.write_bytes(b"the only copy")
    return file


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("grammar", [BACKBONE, COMPONENT, RUN, FINGERPRINT, SPEC_HASH], ids=lambda g: g.what)
def test_bad_names_fit_no_grammar_and_the_error_is_one_printable_line(grammar: Any, name: str) -> None:
    assert not grammar.fits(name)
    with pytest.raises(InputError) as caught:
        grammar.check("card.field", name)
    text = str(caught.value)
    assert text.startswith("card.field must ")
    assert text.isprintable()
    assert len(text) < 600


@pytest.mark.parametrize("value", [None, 7, b"countdown", ["countdown"]])
def test_what_is_no_string_is_no_name(value: object) -> None:
    assert not BACKBONE.fits(value)
    with pytest.raises(InputError, match=r"card\.field must be"):
        BACKBONE.check("card.field", value)


def test_every_name_that_is_in_use_stays_valid() -> None:
    weights = [
        file
        for package in ("lsd_core.backbones", "lsd_core.metrics.judges")
        for file in resources.files(package).joinpath("weights").iterdir()
        if file.name.endswith(".safetensors")
    ]
    assert len(weights) >= 8
    for file in weights:
        assert BACKBONE.fits(TensorFile.from_bytes(file.read_bytes(), file.name).name)
    for name in BACKBONES:
        assert BACKBONE.fits(name)
    for name in [*METHODS, *TASKS, *(n for e in PROCESSES for n in sampler_names(e))]:
        assert COMPONENT.fits(name)
    for name in grid_names():
        assert RUN.fits(load_grid(name).name)
    for name in study_names():
        assert RUN.fits(load_study(name).name)
    for name in ("mols.v2-radd-64", "my model", "run (2)", "épreuve", "LLaDA-8B", "epoch=3,step=100", "7"):
        assert BACKBONE.fits(name)  # `lsd train --out` could make them


def test_a_fingerprint_that_is_a_path_leaves_the_file_alone(precious: Path, tmp_path: Path) -> None:
    stem = str(precious.with_suffix(""))
    store, cache = Store(str(tmp_path / "store")), tmp_path / "cache"
    for fingerprint in (stem, f"../{precious.parent.name}/precious", "F" * 64, "f" * 63):
        with pytest.raises(InputError, match="64 hexadecimal digits"):
            fetch(fingerprint, store, cache=cache)
        with pytest.raises(InputError, match="64 hexadecimal digits"):
            find("countdown", fingerprint, store)
        with pytest.raises(InputError, match="64 hexadecimal digits"):
            backbone_key(fingerprint)
    assert precious.read_bytes() == b"the only copy"


def test_a_card_whose_fingerprint_is_a_path_is_refused_and_the_file_stays(
    make_card: Callable[..., SamplerCard], precious: Path, tmp_path: Path, lsd_home: Path
) -> None:
    content = json.loads(make_card().to_json())
    content["backbone"]["fingerprint"] = str(precious.with_suffix(""))
    file = tmp_path / "card.json"
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"card\.backbone\.fingerprint must be 64 hexadecimal digits"):
        load_sampler(file)
    assert precious.read_bytes() == b"the only copy"


def test_a_damaged_file_in_the_cache_is_replaced_and_its_neighbours_stay(
    tiny_backbone: Any, tmp_path: Path
) -> None:
    store, cache = Store(str(tmp_path / "store")), tmp_path / "cache"
    publish(tiny_backbone, store)
    cache.mkdir()
    cached = cache / f"{tiny_backbone.fingerprint}.safetensors"
    cached.write_bytes(b"half")
    (cache / "mine.safetensors").write_bytes(b"not of your concern")
    assert fetch(tiny_backbone.fingerprint, store, cache=cache).fingerprint == tiny_backbone.fingerprint
    assert cached.read_bytes() == store.read_bytes(backbone_key(tiny_backbone.fingerprint))
    assert (cache / "mine.safetensors").read_bytes() == b"not of your concern"


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("field", ["backbone.name", "backbone.family", "sampler", "method"])
def test_a_card_with_a_bad_name_is_refused_by_field(
    make_card: Callable[..., SamplerCard], field: str, name: str
) -> None:
    content = json.loads(make_card().to_json())
    part, _, last = field.rpartition(".")
    (content[part] if part else content)[last] = name
    with pytest.raises(InputError) as caught:
        SamplerCard.from_json(json.dumps(content))
    whole = name == "\ud800"  # such a card cannot be written in UTF-8: all of it is refused
    assert str(caught.value).startswith("card must be a sampler card" if whole else f"card.{field} must be ")
    assert str(caught.value).isprintable()


def test_a_method_that_is_a_path_never_reaches_the_export(
    make_card: Callable[..., SamplerCard], tiny_backbone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = tmp_path / "project" / "README.md"
    (tmp_path / "work").mkdir()
    readme.parent.mkdir()
    readme.write_text("mine")
    monkeypatch.chdir(tmp_path / "work")
    text = json.dumps(json.loads(make_card().to_json()) | {"method": "x/../../project"})

    def export() -> None:
        sampler = LoadedSampler(SamplerCard.from_json(text), tiny_backbone)
        export_json(sampler, Path(sampler.card.title.replace(" ", "-")))

    with pytest.raises(InputError, match=r"card\.method must be"):
        export()
    assert readme.read_text() == "mine"


@pytest.mark.parametrize("name", BAD_NAMES)
def test_grids_and_studies_with_a_bad_name_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"grid\.name must be"):
        parse_grid({"name": name})
    file = tmp_path / "study.yaml"
    file.write_text(json.dumps(load_study("zeta").model_dump(mode="json") | {"name": name}))
    with pytest.raises(InputError, match=r"study.*name must be"):
        load_study(str(file))


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_weight_file_with_a_bad_name_is_refused(name: str) -> None:
    data = TensorFile(name="good", config={}, tensors={"w": torch.ones(1)}).to_bytes()
    with pytest.raises(InputError, match=r"name in weights\.file must be"):
        TensorFile.from_bytes(renamed(data, name), "weights.file")


def renamed(data: bytes, name: str) -> bytes:
    """The safetensors file with another name in its metadata."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"]["name"] = name
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backbone", "it's"),
        ("backbone_fingerprint", "f00d"),
        ("backbone_fingerprint", "../" * 21 + "x"),
        ("method", "[/red]"),
        ("time_grid", "states-64/.."),
        ("time_grid", f"states-{chr(0x663)}"),
    ],
)
def test_a_teacher_spec_takes_no_name_that_leaves_its_folder(
    tiny_spec: Callable[..., TeacherSpec], field: str, value: str
) -> None:
    assert tiny_spec()
    with pytest.raises(InputError, match=f"teacher.{field} must be"):
        tiny_spec(**{field: value})


@pytest.fixture
def tiny_spec() -> Callable[..., TeacherSpec]:
    """A small exact teacher's spec; keywords replace fields."""

    def make(**changes: Any) -> TeacherSpec:
        fields: dict[str, Any] = {
            "backbone": "tiny",
            "backbone_fingerprint": "f00d" * 16,
            "process": {"kind": "absorbing"},
            "method": "first_hitting",
            "law_version": 1,
            "steps": None,
            "time_grid": "2^16",
            "dtype": "float32",
            "batch": 4,
            "shard_rows": 4,
            "length": 7,
            "num_tokens": 11,
            "seed": 3,
        }
        return TeacherSpec(**fields | changes)

    return make


@pytest.mark.parametrize(
    "entry",
    [
        {"file": "../../shard-00000-aaaaaaaa.parquet"},
        {"file": f"shard-{chr(0x660) * 5}-aaaaaaaa.parquet"},
        {"file": 7},
        {"sha256": "a" * 63 + "/"},
        {"sha256": ["a"] * 64},
        {"bytes": "12"},
        {"bytes": -1},
        {"index": "0"},
        {"index": False},
        {"rows": 4.0},
    ],
)
def test_a_manifest_entry_is_believed_only_as_we_write_it(
    tiny_spec: Callable[..., TeacherSpec], tmp_path: Path, entry: dict[str, object]
) -> None:
    store, spec = Store(str(tmp_path / "store")), tiny_spec()
    publish_manifest(store, spec, [])
    key = f"{spec.folder}/{MANIFEST}"
    content = json.loads(store.read_bytes(key))
    good = {
        "index": 0,
        "file": "shard-00000-aaaaaaaa.parquet",
        "rows": 4,
        "bytes": 12,
        "sha256": "a" * 64,
    }
    parse_manifest(json.dumps(content | {"shards": [good]}).encode(), key, store)
    with pytest.raises(InputError, match="be a manifest of version 1"):
        parse_manifest(json.dumps(content | {"shards": [good | entry]}).encode(), key, store)


@pytest.mark.parametrize(
    "text",
    [
        "hf://../..",
        "hf://a/..",
        "hf://.a/b",
        "hf://a/b@../../x",
        "hf://a/b@x\ny",
        "hf://a/b@/etc",
        "hf://a/b@",
    ],
)
def test_an_address_on_the_hub_is_a_repository_and_a_revision(text: str) -> None:
    assert address.parse("hf://s-sahoo/duo@refs/pr/1").revision == "refs/pr/1"
    with pytest.raises(InputError, match="backbone must be hf://OWNER/NAME"):
        address.parse(text)


@pytest.mark.parametrize(
    "where", ["/data/.hidden", "/data/-x.safetensors", "/data/" + "n" * 250, "/data/[/red]", "/"]
)
def test_what_a_file_is_called_gives_a_backbone_a_name(where: str) -> None:
    assert BACKBONE.fits(address.Address(where).name)


@pytest.mark.parametrize("name", ["x' or name like '%", 'x"y', "a%b"])
def test_no_quote_reaches_the_registrys_filters(name: str) -> None:
    class Client:
        def search_model_versions(self, *args: object, **options: object) -> None:
            raise AssertionError("reached the registry")

    with pytest.raises(InputError, match="backbone must be"):
        versions_of(Client(), name)


def test_a_backbone_reference_is_checked_wherever_it_is_made() -> None:
    BackboneRef(name="tiny", fingerprint="0" * 64, family="markov")
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        BackboneRef(name="tiny", fingerprint="../x", family="markov")
