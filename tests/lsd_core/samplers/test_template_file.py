"""A file of prompts and templates is read line by line; what is wrong is one line with the file, the line, the rule."""

from pathlib import Path

import pytest
import torch

from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.backbones.vocabulary import Vocabulary
from lsd_core.errors import InputError
from lsd_core.samplers.template_file import read_templates

BACKBONE = exact_backbone("c", 4, 8)  # the mask is 8
WRITTEN = exact_backbone("w", 4, 4)
WRITTEN.config = WRITTEN.config | {"vocabulary": Vocabulary(("a", "b", "c", "d")).to_dict()}


def read(tmp_path: Path, *lines: str, backbone=BACKBONE) -> torch.Tensor:
    file = tmp_path / "some.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    return read_templates(backbone, file)


def test_each_form_gives_its_tokens_and_equal_templates_count_once(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        '{"prompt": [3, 2]}',
        '{"prompt": "3 2"}',
        "",
        '{"infill": [null, 2, null, 7]}',
        '{"infill": "? 1", "blank": "?"}',
        '{"given": {"3": 0, "0": 5}}',
    )
    assert found.tolist() == [[3, 2, 8, 8], [8, 2, 8, 7], [8, 1, 8, 8], [5, 8, 8, 0]]


def test_text_is_in_the_tokens_of_the_backbone(tmp_path: Path) -> None:
    found = read(tmp_path, '{"prompt": "ba"}', '{"infill": "_d"}', '{"given": {"2": "c"}}', backbone=WRITTEN)
    assert found.tolist() == [[1, 0, 4, 4], [4, 3, 4, 4], [4, 4, 2, 4]]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"prompt": [9]}', r"line 2, prompt\[0\] must lie in 0..7, got 9"),
        ('{"prompt": [1, null]}', "line 2, prompt must be text, or a list of token numbers"),
        ('{"prompt": [1, true]}', "line 2, prompt must be text, or a list of token numbers"),
        ('{"prompt": 1}', "line 2, prompt must be text"),
        ('{"prompt": [1, 1, 1, 1, 1]}', "line 2, prompt must have at most 4 tokens"),
        ('{"prompt": [1, 1, 1, 1]}', "line 2 must leave a position free"),
        ('{"prompt": [1], "infill": [1]}', "line 2 must be {.prompt"),
        ('{"infill": [1], "blank": 3}', "line 2, blank must be a string"),
        ('{"given": {}}', "line 2, given must name a token"),
        ('{"given": {"4": 1}}', r"line 2, given must name positions in 0\.\.3, got 4"),
        ('{"given": {"-1": 1}}', "line 2, given must name positions"),
        (f'{{"given": {{"{"9" * 5000}": 1}}}}', "line 2, given must name positions"),
        ('{"given": {"1": "x"}}', r"line 2, given\[1\] must be a token"),
        ('{"given": {"1": 2, "1": 3}}', "line 2 must be JSON, got .*given twice"),
        ("[1, 2]", "line 2 must be {.prompt"),
        ("prompt", "line 2 must be JSON"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(InputError, match=f"some.jsonl {words}") as refused:
        read(tmp_path, '{"prompt": [3, 2]}', line)
    assert "\n" not in str(refused.value)


def test_no_file_and_no_template_are_refused(tmp_path: Path) -> None:
    for name in ("none.jsonl", ".", "nul\0l"):
        with pytest.raises(InputError, match=r"conditions.source must be a file.*`task`"):
            read_templates(BACKBONE, tmp_path / name)
    with pytest.raises(InputError, match="hold at least one template"):
        read(tmp_path, "", "  ")


def test_a_masked_network_of_text_reads_text(tmp_path: Path) -> None:
    backbone = load_backbone("text-radd")
    found = read(tmp_path, '{"prompt": "the "}', backbone=backbone)
    assert found.shape == (1, backbone.length)
    assert int((found != backbone.process.mask).sum()) == 4
