"""Files of sequences as people have them give their sequences, in bounded memory; the rest of them is counted."""

import gzip
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.training import token_spool
from lsd_core.training.line_remarks import remarks
from lsd_core.training.lines import Lines, read_lines
from lsd_core.training.sources import find_source
from lsd_core.training.token_spool import smallest_type

RINGS = "C%12CC%12"


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def learned(lines: Lines) -> list[str]:
    return [lines.vocabulary.decode(row) for row in lines.train.tolist()]


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "content", "column", "said"),
    [
        (
            "a.smi",
            "\ufeffSMILES\tID\r\nCCl\tethyl chloride\r\n\r\nc1cc[nH]c1 pyrrole\r\nCCl\r\n",
            None,
            ["SMILES, the first column", r"'SMILES\tID'", "2 names", "byte order mark", "carriage returns"],
        ),
        ("a.smiles", "CCl\n\nc1cc[nH]c1\nCCl", None, ["SMILES, the first column\n", "1 empty"]),
        ("a.csv", 'id,smi\n1,CCl\n2,\n3\n4,"c1cc[nH]c1"\n5, CCl \n', "smi", ["table", "'id,smi'", "1 empty"]),
        ("a.csv", "id;smi\n1;CCl\n2\n3;c1cc[nH]c1\n\n4;CCl", "smi", ["1 empty, 1 without one sequence"]),
        ("a.csv", 'smi,id\nCCl,1\n"C\nC",2\nc1cc[nH]c1,\n,\nCCl,', "smi", ["1 without one sequence"]),
        ("a.tsv", "id\tsmi, raw\n1\tCCl\n\n2\tc1cc[nH]c1\n3\tCCl\n", "smi, raw", ["table"]),
        ("a.csv", "CCl\n\nc1cc[nH]c1\nCCl\n", None, ["table\n", "1 empty"]),
        (
            "a.fasta",
            "; a comment\n>one\nCC\nl\n\n>empty\n>two x\nc1c c\n[nH]c1\n>three\nCCl\n",
            None,
            ["FASTA", "4 lines of >", "1 empty"],
        ),
        ("a.FA", ">1\rCCl\r>2\r>3\rc1cc[nH]c1\r>4\rCCl", None, ["FASTA", "1 empty"]),
        ("a.txt", "\ufeffCCl\r\n\r\nc1cc[nH]c1\r\nCCl\r\n", None, ["one sequence a line", "byte order mark"]),
    ],
)
def test_each_form_gives_its_sequences_and_says_what_it_skips(
    tmp_path: Path, name: str, content: str, column: str | None, said: list[str], ending: str
) -> None:
    source = find_source(str(write(tmp_path, name + ending, content)), None, "regex", column)
    lines = read_lines(tmp_path / (name + ending), "regex", column=column)
    assert learned(lines) == ["CCl", "c1cc[nH]c1", "CCl"]
    assert lines.vocabulary.tokens == ("1", "C", "Cl", "[nH]", "c", "")
    assert lines.survey.empty == 1
    for words in (*said, "3 sequences of up to 7 tokens out of 6", "duplicates: 1, "):
        assert words in source.remark + "\n"
    assert source.identity.get("column") == column


def test_lines_left_out_are_counted_by_reason_with_the_first_of_each(tmp_path: Path) -> None:
    path = write(tmp_path, "a.smi", f"CC\n\n{RINGS}\nC!C\nCCO\nCCCCCCCCC\n C?X\nCO name\nCO\nCO\n")
    lines = read_lines(path, "regex", 5)
    assert learned(lines) == ["CC", RINGS, "CCO", "CO", "CO", "CO"]
    assert (lines.left_out, lines.survey.unknown, lines.survey.repeated) == (1, 2, 2)
    assert lines.survey.alphabet == {"C", "O", "%12"}  # nothing of what was left out
    said = remarks(lines, "regex").splitlines()
    assert said[2] == (
        "left out: 1 longer than --length 5 (first: line 6), 1 empty, "
        "2 with what is no token of --split regex (first: '!' in line 4)"
    )
    assert said[3] == "duplicates: 2, learned from as often as they occur"


BOTH = "smiles,name\nCC,a\nCO,b\n"


@pytest.mark.parametrize(
    ("name", "content", "options", "words"),
    [
        ("a.smi", "", {}, "hold one sequence a line, got an empty file"),
        ("a.csv", "", {"column": "x"}, "hold one sequence a line, got an empty file"),
        ("a.fa.gz", "", {}, "hold one sequence a line, got an empty file"),
        ("a.smi", "\ufeffSMILES ID\r\n", {}, "got nothing but a header: SMILES ID"),
        ("a.csv", "smiles,name\n", {"column": "name"}, "got nothing but a header: smiles,name"),
        ("a.fa", ">one\n>two\n", {}, "got nothing but a header: lines of >"),
        ("a.csv", BOTH, {}, "column must be one of smiles, name, got none; or let its name end with .txt"),
        ("a.csv", BOTH, {"column": "smile"}, "column must be one of smiles, name, got smile"),
        ("a.tsv", "x\ty\nC\tC\n", {"column": "x,y"}, "column must be one of x, y, got x,y"),
        ("a.csv", "x,x\nC,C\n", {"column": "x"}, "column must be one of x, x, got x"),
        (
            "a.csv",
            'x,y\nC,"' + "C\n" * 70_000,
            {"column": "x"},
            "be a table that can be read, got field larger",
        ),
        ("a.csv", "x,y\n" + "C" * 2**20, {"column": "x"}, "got a longer one, line 2"),
        ("a.smi", BOTH, {"column": "smiles"}, "column must be left out for a file that is neither .csv nor"),
        (
            "a.fa",
            "CCO\nCC\n",
            {},
            "have a line of > before each sequence, got CCO; let its name end with .txt",
        ),
        (
            "a.smi",
            b"\x7fELF\x01\0\0",
            {},
            "be text in UTF-8, one sequence a line, got binary data, a zero byte",
        ),
        ("a.txt", "CC\nCO\n".encode("utf-16"), {}, "got UTF-16; iconv"),
        ("a.smi.gz", b"\xfe\xff" + "CC\nCO\n".encode("utf-16-be"), {}, "got UTF-16; iconv"),
        ("a.txt", "CC\nCO\n".encode("utf-16-le"), {}, "got binary data, a zero byte in line 1"),
        ("a.smi", "CC x\nCO caf\xe9\n".encode("latin-1"), {}, "got the byte 0xe9 in line 2; iconv -f LATIN1"),
        ("a.smi", gzip.compress(b"CC\nCO\n", mtime=0), {}, "got a gzip file; let its name end with .gz"),
        (
            "a.txt",
            "C!\nxO\n",
            {"split": "regex"},
            "hold lines of the tokens of --split regex, got '!' in line 1",
        ),
        ("a.txt", "CC\n", {"split": "kmer:0"}, "split must be one of characters, spaces, regex, kmer:K"),
    ],
)
def test_what_is_no_file_of_sequences_is_named_in_one_line(
    tmp_path: Path, name: str, content: str | bytes, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_lines(write(tmp_path, name, content), **options)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_broken_gzip_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.smi.gz"
    whole = gzip.compress(b"CCO\nCCN\n" * 100)
    flipped = whole[:12] + bytes([whole[12] ^ 255]) + whole[13:]
    for data in (b"CCO\nCCN\n", whole[:-9], whole[:-8] + b"\0" * 8, flipped):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"a\.smi\.gz must be a whole gzip file, got "):
            read_lines(path)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_spool, "CHUNK", 1000)
    peaks = []
    for count in (1_000, 20_000):
        path = tmp_path / f"{count}.csv.gz"
        with gzip.open(path, "wt") as file:
            file.write("id,sequence\n")
            file.writelines(f"{number},{number * 7919:032b}\n" for number in range(count))
        tracemalloc.start()
        lines = read_lines(path, "kmer:2", column="sequence")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(lines.train) + len(lines.held_out) == count
        assert lines.length == 16
    # 19,000 rows more are 0.3 MB as bytes, and 4 MB as lists of tokens; other threads of the process are traced too.
    assert peaks[1] < peaks[0] + 200_000


def test_a_line_that_no_memory_holds_is_left_out(tmp_path: Path) -> None:
    long = "AC" * 2**20
    for name, content in {
        "a.txt": f"ACA\n{long}\nCAC\n{long}",
        "a.smi": f"{long}\nACA x\n{long}\nCAC\n",
        "a.fa": f">a\nACA\n>b\n{long}\n>c\n" + f"{long[: 2**19]}\n" * 3 + ">d\nCAC\n",
    }.items():
        tracemalloc.start()
        lines = read_lines(write(tmp_path, name, content), length=3)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert learned(lines) == ["ACA", "CAC"]
        assert lines.left_out == 2
        assert peak < 14 * 2**20


def test_a_full_disk_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "a.txt", "ab\nba\n")
    with Path("/dev/full").open("wb") as full:
        monkeypatch.setattr(token_spool.tempfile, "TemporaryFile", lambda **_: full)
        with pytest.raises(InputError, match="TMPDIR must be set to a folder with room"):
            read_lines(path)
        monkeypatch.undo()
        with Path("/dev/null").open("wb") as empty:
            os.dup2(empty.fileno(), full.fileno())  # what is still buffered can be written when it is closed


def test_duplicates_are_counted_across_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_spool, "CHUNK", 3)
    texts = [format(number % 17, "05b") for number in range(50)]
    lines = read_lines(write(tmp_path, "a.txt", "\n".join(texts)))
    assert lines.survey.repeated == 50 - 17


def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "a.txt", "ab\nba\n")
    for content in ("ab\nba\naa\n", "ab\nbc\n"):
        write(tmp_path, "a.txt", "ab\nba\n")

        def changed(values: Any, content: str = content) -> int:
            path.write_text(content)
            return 0

        monkeypatch.setattr("lsd_core.training.lines.count_repeated", changed)
        with pytest.raises(InputError, match="stay as it is while it is read"):
            read_lines(path)


def test_a_list_of_tokens_is_the_vocabulary(tmp_path: Path) -> None:
    tokens = write(tmp_path, "tokens.txt", "AB\n\nA\nC\nABC\r\n")
    path = write(tmp_path, "a.txt", "ABCAB\nAAB\nBA\nC\n")
    lines = read_lines(path, str(tokens))
    assert lines.vocabulary.tokens == ("AB", "A", "C", "ABC", "")
    assert lines.train.tolist() == [[3, 0], [1, 0], [2, 4]]
    assert lines.survey.first["unknown"] == "'B' in line 3"
    source = find_source(str(path), None, str(tokens))
    assert source.identity["split"] == "tokens.txt"
    write(tmp_path, "tokens.txt", "AB\nA\nC\nABC\nB\n")
    assert find_source(str(path), None, str(tokens)).identity != source.identity
    write(tmp_path, "tokens.txt", "AB\nA\nAB\n")
    with pytest.raises(InputError, match="split must name a file of two or more different tokens"):
        read_lines(path, str(tokens))


def test_token_numbers_take_the_smallest_type_that_holds_them(tmp_path: Path) -> None:
    assert [smallest_type(count) for count in (2, 2**8, 2**8 + 1, 2**15, 2**15 + 1)] == list("BBhhi")
    for count, kind in ((256, torch.uint8), (257, torch.int16)):
        path = write(tmp_path, "a.txt", "\n".join(f"w{number} w{number}" for number in range(count)))
        lines = read_lines(path, "spaces")
        assert lines.train.dtype == kind
        assert sorted(torch.cat([lines.train, lines.held_out])[:, 0].tolist()) == list(range(count))
        assert lines.draw(0, torch.arange(9)).dtype == torch.long


def test_held_out_sequences_of_a_large_file_are_thinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "a.txt", "\n".join(format(number, "010b") for number in range(400)))
    every = find_source(str(path), None).held_out
    assert every is not None
    monkeypatch.setattr("lsd_core.training.sources.MOST_HELD_OUT", len(every) - 1)
    thinned = find_source(str(path), None).held_out
    assert thinned is not None
    assert torch.equal(thinned, every[::2])
    assert thinned.dtype == torch.long
