"""`lsd sample` keeps what it is given, and says in a line what it cannot read."""

import json
from pathlib import Path

import pytest

from flows.cli import main
from lsd_core.backbones.catalog import load_backbone
from lsd_core.cards import SamplerCard


@pytest.fixture
def card(tmp_path: Path) -> str:
    """A card for the exact countdown backbone, two steps in times."""
    backbone = load_backbone("countdown-exact")
    metrics = {name: {"mean": 0.1, "per_seed": [0.1]} for name in ("error", "unigram_entropy")}
    made = SamplerCard.model_validate(
        {
            "backbone": {"name": backbone.name, "fingerprint": backbone.fingerprint, "family": "markov"},
            "process": backbone.process.to_dict(),
            "sampler": "euler",
            "method": "plain",
            "nfe": 2,
            "steps": 2,
            "calls": {"mean": 2, "max": 2},
            "table": {"counts": [64, 32, 0], "gains": [1.0, 1.0], "gain_on": "log_score"},
            "seed": 0,
            "seeds": [0],
            "evaluation": {
                "judge": "countdown-v1",
                "samples": 1,
                "primary": "error",
                "diversity": "unigram_entropy",
                "selection": metrics,
                "report": metrics,
            },
            "provenance": {"config_hash": "c0ffee", "code_epoch": 1, "environment": {}},
        }
    )
    path = tmp_path / "card.json"
    path.write_text(made.to_json())
    return str(path)


def lines(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[list[int]]:
    with pytest.raises(SystemExit) as left:
        main(["sample", *arguments])
    assert left.value.code == 0
    return [[int(token) for token in line.split()] for line in capsys.readouterr().out.splitlines()]


def test_a_prompt_and_a_template_are_kept(card: str, capsys: pytest.CaptureFixture[str]) -> None:
    prompted = lines(capsys, card, "-n", "3", "--prompt", "9 8 7")
    assert [row[:3] for row in prompted] == [[9, 8, 7]] * 3
    assert {len(row) for row in prompted} == {64}
    filled = lines(capsys, card, "-n", "2", "--infill", "? 8 ? 6", "--blank", "?")
    assert [(row[1], row[3]) for row in filled] == [(8, 6)] * 2
    with pytest.raises(SystemExit):
        main(["sample", card, "-n", "3", "--prompt", "9 8 7", "--json"])
    assert json.loads(capsys.readouterr().out) == prompted


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--prompt", "9 eight"], "prompt must be token numbers"),
        (["--prompt", "32"], "prompt[0] must lie in 0..31"),
        (["--prompt", "1", "--infill", "2"], "infill must not be given beside a prompt"),
    ],
)
def test_what_cannot_be_given_ends_with_code_2(
    card: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["sample", card, *arguments])
    assert left.value.code == 2
    assert words in " ".join(capsys.readouterr().err.split())
