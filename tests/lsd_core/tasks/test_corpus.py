"""The corpus is prose in one alphabet; a paragraph's part follows from the paragraph alone."""

import sys
import types

import pytest
import torch

from lsd_core.tasks import corpus
from lsd_core.tasks.corpus import ALPHABET, PARTS, Corpus, bucket, draw_windows, load_corpus, prose, windows


def test_parts_share_no_paragraph_and_are_of_the_sizes_meant() -> None:
    read = load_corpus()
    paragraphs = {part: set(text.split("\n")) for part, text in read.parts.items()}
    assert sum(map(len, paragraphs.values())) == len(set.union(*paragraphs.values()))
    assert all(bucket(text) in PARTS[part] for part, texts in paragraphs.items() for text in texts)
    assert set("".join(read.parts.values())) <= set(ALPHABET)
    sizes = {part: len(text) for part, text in read.parts.items()}
    assert sizes["train"] > 80_000
    assert sizes["judge"] > 80_000
    assert min(sizes["held_out"], sizes["judge_held_out"]) > 4_000
    covered = [number for buckets in PARTS.values() for number in buckets]
    assert sorted(covered) == list(range(corpus.NUM_BUCKETS))


def test_another_python_moves_no_paragraph(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version with other topics, another order and one sentence more keeps the rest where it was."""
    from pydoc_data.topics import topics

    before = load_corpus()
    changed = {f"x-{name}": text for name, text in reversed(topics.items())}
    changed["a-new-one"] = "An entirely new paragraph that no older version had.\n\n" + topics["while"]
    module = types.ModuleType("pydoc_data.topics")
    module.topics = changed  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", module)
    load_corpus.cache_clear()
    try:
        after = load_corpus()
    finally:
        load_corpus.cache_clear()
    new = prose("An entirely new paragraph that no older version had.")
    for part in PARTS:
        gained = set(after.parts[part].split("\n")) - {new}
        assert gained == set(before.parts[part].split("\n"))
    assert after.sha256 != before.sha256


def test_prose_is_normalised_and_code_is_not_prose() -> None:
    assert (
        prose("  \u201cDon\u2019t\n PANIC\u201d \u2014 said the caf\u00e9 owner. ")
        == '"don\'t panic" - said the caf owner.'
    )
    assert prose(">>> x = {1: [2, 3], 4: (5, 6)}; y = x[1][0] + 7 * 8 - 9") == ""
    assert prose("too short") == ""


def test_windows_are_pieces_of_the_part_and_functions_of_the_trajectory() -> None:
    part = torch.arange(50)
    drawn = draw_windows(part, 3, torch.arange(200), 8)
    assert torch.equal(drawn - drawn[:, :1], torch.arange(8).expand(200, 8))
    assert int(drawn[:, 0].min()) == 0
    assert int(drawn[:, -1].max()) == 49
    assert torch.equal(draw_windows(part, 3, torch.arange(100, 200), 8), drawn[100:])
    assert torch.equal(windows(part, 8), torch.arange(48).view(6, 8))


def test_characters_and_tokens_are_the_same_text() -> None:
    read = Corpus({"train": "the end.\n"})
    assert "".join(ALPHABET[token] for token in read.tokens("train").tolist()) == "the end.\n"
