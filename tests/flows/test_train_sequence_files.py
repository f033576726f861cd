"""`lsd train` on a table of molecules: it says what it read, and the backbone writes molecules."""

import gzip
from pathlib import Path

import pytest
from rich.console import Console

from flows.cli import main
from flows.training import train_backbone
from lsd_core.backbones import storage
from lsd_core.backbones.storage import read_notes
from lsd_core.backbones.vocabulary import Vocabulary

TABLE = "smiles,id\nCCl,1\n[nH]1cccc1,2\n,3\nCCl,4\nC?!,5\n"


def test_a_table_becomes_a_backbone_that_writes_its_molecules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mols.csv.gz").write_bytes(gzip.compress(TABLE.encode()))
    trained = train_backbone(
        "mols.csv.gz", None, Console(width=200), split="regex", column="smiles", steps=1, batch=2, dim=12
    )
    said = capsys.readouterr().out
    weights = Path("mols-radd-7.safetensors")
    assert storage.load_file(weights).fingerprint == trained.fingerprint
    assert "3 sequences of up to 7 tokens out of 6\n" in said
    assert "left out: 1 empty, 1 with what is no token of --split regex (first: '!' in line 6)\n" in said
    assert "duplicates: 1, " in said
    vocabulary = Vocabulary.of(storage.load_file(weights).config)
    assert vocabulary is not None
    assert vocabulary.decode(vocabulary.encode("[nH]1cccc1CCl")) == "[nH]1cccc1CCl"
    assert len(vocabulary.encode("CCl[nH]")) == 3
    notes = read_notes(weights.read_bytes())
    assert (notes["split"], notes["column"], notes["data"]) == ("regex", "smiles", "mols.csv.gz")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{data}"], "column must be one of smiles, id, got none"),
        (["{data}", "--column", "smile"], "column must be one of smiles, id, got smile"),
        (["{data}", "--column", "id", "--split", "words"], "split must be one of characters, spaces, regex"),
        (["countdown", "--column", "id"], "column must be left out, for a task has no file"),
    ],
)
def test_a_wrong_column_or_split_ends_in_one_line(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mols.csv").write_text(TABLE)
    with pytest.raises(SystemExit) as left:
        main(["train", *(part.replace("{data}", str(tmp_path / "mols.csv")) for part in arguments)])
    assert left.value.code == 2
    assert words in " ".join(capsys.readouterr().err.split())
