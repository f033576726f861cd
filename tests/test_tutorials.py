"""Every line of the tutorials is run as it is printed, on small networks in the place of the downloads.

`lsd train` gets options for the smallest sizes. What needs workers, a registry or a cluster is parsed by the program.
"""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from cyclopts import CycloptsError

from flows.cli import app
from flows.config import load_grid
from flows.pipeline.plan import make_plan
from infra.docs_site import ROOT
from lsd_core.backbones.catalog import load_backbone
from lsd_core.storage.store import Store
from tests.in_process import lsd
from tests.lsd_core.backbones.published import files

transformers = pytest.importorskip("transformers")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"ACDEFGHIKLMNPQRSTVWY"]
RESIDUES = 64
SMILES = ["CCO", "c1ccccc1", "CC(=O)O", "CCN", "C[nH]C", "ClCCl", "c1ccccc1O", "CC(C)C"]
SMALLEST = {"train": "--steps 1 --batch 2 --dim 12 --blocks 1"}


def blocks(page: str, *languages: str) -> Iterator[tuple[str, str]]:
    """Language and text of the code blocks of a tutorial, in order."""
    text = (ROOT / "docs" / f"{page}.md").read_text()
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        if language in languages:
            yield language, block


def commands(block: str) -> list[list[str]]:
    """The arguments of each line, which begins with `lsd`."""
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert all(line[0] == "lsd" for line in lines)
    return [line[1:] for line in lines]


def parsed(arguments: list[str]) -> None:
    """Raise unless the program takes these arguments."""
    app.parse_args(arguments, exit_on_error=False, print_error=False)


def checkpoint(folder: Path) -> None:
    """A SEDD network of random weights as its authors publish it."""
    torch.manual_seed(0)
    files.write_hub(folder / "my-sedd", files.nested_config(length=8), files.sedd_tensors())


def masked_language_model(folder: Path) -> None:
    """A BERT of random weights and residues as tokens, as transformers saves it."""
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=RESIDUES + 16,
        initializer_range=0.5,
    )
    transformers.BertForMaskedLM(config).save_pretrained(folder / "esm2-8m")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    tokenizer = transformers.BertTokenizer(str(folder / "vocab.txt"), do_lower_case=False)
    tokenizer.save_pretrained(folder / "esm2-8m")


def molecules(folder: Path) -> None:
    """Small molecules."""
    (folder / "molecules.smi").write_text("\n".join(SMILES * 5))


TUTORIALS: dict[str, Callable[[Path], None]] = {
    "checkpoint": checkpoint,
    "masked-language-model": masked_language_model,
    "molecules": molecules,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of work, with a home and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "CACHE"):
        monkeypatch.setenv(f"LSD_{name}", str(tmp_path / f"lsd-{name.lower()}"))
    load_backbone.cache_clear()
    return tmp_path


def followed(page: str, folder: Path, *, until: str) -> dict[str, Any]:
    """Do what a tutorial says, line by line, until this command of `lsd`; the names that its Python defines."""
    TUTORIALS[page](folder)
    names: dict[str, Any] = {}
    for language, block in blocks(page, "python", "sh", "yaml"):
        if language == "yaml":
            first, _, _ = block.partition("\n")
            (folder / first.removeprefix("# ")).write_text(block)
        elif language == "python":
            exec(block, names)
        else:
            for arguments in commands(block):
                if arguments[0] == until:
                    return names
                done = lsd(*arguments, *SMALLEST.get(arguments[0], "").split(), home=folder / "lsd-home")
                assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return names


@pytest.mark.slow
def test_a_checkpoint_is_loaded_sampled_and_planned(folder: Path) -> None:
    names = followed("checkpoint", folder, until="grid")
    assert (names["backbone"].name, names["backbone"].process.kind) == ("my-sedd", "absorbing")
    assert names["plain"].tokens.shape == (4, 8)
    assert int(names["plain"].calls.max()) <= 8


@pytest.mark.slow
def test_a_masked_language_model_is_loaded_sampled_learned_and_planned(folder: Path) -> None:
    names = followed("masked-language-model", folder, until="grid")
    backbone, plain, learned = (names[name] for name in ("backbone", "plain", "learned"))
    assert (backbone.name, backbone.length) == ("esm2-8m", RESIDUES)
    for samples in (plain, learned):
        assert samples.tokens.shape == (4, RESIDUES)
        assert int(samples.calls.max()) <= 8
    counts = names["table"].counts
    assert (counts[0], counts[-1], len(counts)) == (RESIDUES, 0, 9)


@pytest.mark.slow
def test_molecules_become_a_network_that_writes_them_and_a_grid_that_is_planned(folder: Path) -> None:
    names = followed("molecules", folder, until="grid")
    assert names["exact"].shape == (4, 64)
    assert names["backbone"].name == "molecules-radd-64"
    assert (folder / "molecules-radd-64.yaml").is_file()


@pytest.mark.parametrize("page", ["checkpoint", "masked-language-model"])
def test_the_grid_of_a_tutorial_has_the_controls_and_learned_samplers_that_it_speaks_of(
    page: str, folder: Path
) -> None:
    TUTORIALS[page](folder)
    [(_, grid)] = blocks(page, "yaml")
    (folder / "grid.yaml").write_text(grid)
    plan = make_plan(load_grid("grid.yaml"), Store(str(folder / "store")))
    planned = {(spec.nfe, spec.sampler, spec.method) for spec in plan.candidates}
    for nfe in (4, 8):
        assert planned >= {(nfe, "euler", "plain"), (nfe, "halton", "plain"), (nfe, "halton", "path_kl")}
    assert {spec.evaluation.task for spec in plan.candidates} == {"sequences"}


@pytest.mark.parametrize("page", [*TUTORIALS, "cluster"])
def test_the_commands_of_a_tutorial_are_the_programs(page: str) -> None:
    lines = [line for _, block in blocks(page, "sh") for line in commands(block)]
    assert {line[0] for line in lines} >= {"plan", "grid"}
    for line in lines:
        parsed(line)
    with pytest.raises(CycloptsError, match="--colour"):
        parsed([*lines[0], "--colour", "red"])


def test_the_cluster_tutorial_names_files_grids_and_deployments_that_exist() -> None:
    text = (ROOT / "docs" / "cluster.md").read_text()
    for name in re.findall(r"infra/[\w./-]+\w", text):
        assert (ROOT / name).exists(), name
    (flow, deployment, grid) = re.findall(r"deployment run (\w+)/([\w-]+) --param config=([\w-]+)", text)[0]
    deployed = (ROOT / "prefect.yaml").read_text()
    assert f"name: {deployment}\n    entrypoint: flows/distill_grid.py:{flow}" in deployed
    assert (ROOT / "flows" / "grids" / f"{grid}.yaml").is_file()
