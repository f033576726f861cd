"""A file of sequences becomes tokens that decode to its lines; what cannot is refused."""

from pathlib import Path

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.training.lines import read_lines


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "data.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_lines_decode_to_what_the_file_held(tmp_path: Path) -> None:
    lines = read_lines(write(tmp_path, "CCO\n\nc1ccccc1\nCC(=O)O\n"))
    assert lines.length == 8
    assert [lines.vocabulary.decode(row) for row in lines.train.tolist()] == ["CCO", "c1ccccc1", "CC(=O)O"]
    spaced = read_lines(write(tmp_path, "10 2 10\n2 2 7\n"), "spaces")
    assert spaced.vocabulary.tokens == ("10", "2", "7")  # no padding where all are of one length
    assert [spaced.vocabulary.decode(row) for row in spaced.train.tolist()] == ["10 2 10", "2 2 7"]


def test_longer_lines_are_left_out_and_counted(tmp_path: Path) -> None:
    lines = read_lines(write(tmp_path, "ab\nabab\nabcdabcd\n"), length=4)
    assert (len(lines.train), lines.left_out, lines.length) == (2, 1, 4)
    assert "c" not in lines.vocabulary.tokens
    long = read_lines(write(tmp_path, "ab" * 200 + "\nba\n"))
    assert (long.length, long.left_out) == (256, 1)


def test_equal_lines_are_never_on_both_sides(tmp_path: Path) -> None:
    texts = [format(number, "010b") for number in range(400)]
    lines = read_lines(write(tmp_path, "\n".join(texts * 2)))
    learned = {tuple(row) for row in lines.train.tolist()}
    kept_aside = {tuple(row) for row in lines.held_out.tolist()}
    assert not learned & kept_aside
    assert len(learned) + len(kept_aside) == 400
    assert 5 <= len(kept_aside) <= 50
    drawn = {tuple(row) for row in lines.draw(0, torch.arange(2000)).tolist()}
    assert drawn <= learned
    assert torch.equal(lines.draw(0, torch.arange(5, 9)), lines.draw(0, torch.arange(9))[5:])


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        (b"\xff\xfe\x00", {}, ["UTF-8", "data.txt"]),
        ("\n\n", {}, ["one sequence a line", "data.txt"]),
        ("aaa\naaa", {}, ["two different tokens"]),
        ("abcd\n", {"length": 3}, ["length", "at least 4"]),
        ("abcd\n", {"length": 1}, ["length", ">= 2"]),
        ("abcd\n", {"split": "words"}, ["split", "characters"]),
    ],
)
def test_what_cannot_be_learned_from_is_named(
    tmp_path: Path, content: str | bytes, options: dict, words: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        read_lines(write(tmp_path, content), **options)
    for word in words:
        assert word in str(caught.value)


def test_a_smiles_file_as_people_have_it_gives_its_molecules(tmp_path: Path) -> None:
    path = tmp_path / "mols.smi"
    path.write_bytes(b"\xef\xbb\xbfSMILES\tID\r\nCCO\tCHEMBL545\r\n\r\nc1ccccc1 benzene ring\r\n  \r\n")
    lines = read_lines(path)
    assert [lines.vocabulary.decode(row) for row in lines.train.tolist()] == ["CCO", "c1ccccc1"]
    path.write_text("CCO\nCCN\n")  # no heading, nothing to leave out
    assert len(read_lines(path).train) == 2


def test_a_byte_order_mark_is_no_token(tmp_path: Path) -> None:
    assert read_lines(write(tmp_path, b"\xef\xbb\xbfab\nba\n")).vocabulary.tokens == ("a", "b")
