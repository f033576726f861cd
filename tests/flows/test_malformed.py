"""Grids and commands with malformed input end in one line before any work, and nothing of a person's is lost."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli import main
from flows.config import load_grid
from flows.pipeline.plan import make_plan
from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.errors import InputError
from lsd_core.samplers.memory import check_tokens

GRIDS = {
    "more calls than positions": ("nfe: [65]\nmethods: [plain, path_kl]\n", "nfe must be at most 64"),
    "an infinite temperature": ("evaluation: {temperatures: [.inf, 1.0]}\n", "must be a finite number"),
    "infinite memory": ("teacher: {batch: null, memory_gib: .inf}\n", "memory_gib must be a finite number"),
    "GPUs without number": ("num_gpus: .nan\n", "num_gpus must be"),
    "a number of 5000 digits": ("seed: 1" + "0" * 5000 + "\n", "digits"),
    "a seed of 100 digits": ("seed: 1" + "0" * 100 + "\n", "grid.seed must be < 9223372036854775808"),
    "twice the same key": ("nfe: [4]\nnfe: [8]\n", "the key nfe is given twice"),
    "a billion calls": ("nfe: [1000000000]\n", "must be <= 100000"),
    "samples that no machine holds": ("evaluation: {samples: 1000000000000}\n", "must be <= 1000000000"),
    "a million workers": ("workers: 1000000\n", "workers must be <= 10000"),
    "a section that is none": ("evaluation: 3\n", "evaluation"),
    "text for a number": (
        "methods: [lsd]\nmethod_configs: {lsd: {learning_rate: fast}}\n",
        "setting of lsd.learning_rate must be a valid number",
    ),
    "an infinite setting": (
        "methods: [lsd]\nmethod_configs: {lsd: {zeta: .inf}}\n",
        "lsd.zeta must be finite",
    ),
    "a list": ("- 1\n", "be YAML"),
}


def write(folder: Path, text: str) -> str:
    file = folder / "g.yaml"
    head = "backbones: [countdown-exact]\n" + ("" if "nfe:" in text else "nfe: [4]\n")
    file.write_text(head + text + ("" if "methods:" in text else "methods: [plain]\n"))
    return str(file)


@pytest.mark.parametrize("name", GRIDS)
def test_a_malformed_grid_is_one_line(name: str, tmp_path: Path) -> None:
    text, words = GRIDS[name]
    with pytest.raises(InputError) as caught:
        make_plan(load_grid(write(tmp_path, text)))
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 2000


def test_scientific_notation_is_a_number(tmp_path: Path) -> None:
    text = "methods: [plain, lsd]\nmethod_configs: {lsd: {learning_rate: 1e-2}}\n"
    plan = make_plan(load_grid(write(tmp_path, text)))
    assert {spec.method_config["learning_rate"] for spec in plan.candidates if spec.method == "lsd"} == {0.01}


def test_sizes_that_no_machine_holds_say_what_they_would_take() -> None:
    backbone = exact_backbone("long", length=1024)
    check_tokens("evaluation.samples", 10**8, backbone)
    with pytest.raises(InputError, match=r"samples must be at most 536870912 .* they would take 7\.45 TiB"):
        check_tokens("evaluation.samples", 10**9, backbone)


@pytest.mark.parametrize("number", [10**12, 0, -1, 2.5, True])
def test_a_sampler_draws_a_number_that_can_be(number: object) -> None:
    backbone = exact_backbone("tiny", length=6, num_values=4)
    with pytest.raises(InputError, match="num_samples must be"):
        check_tokens("num_samples", number, backbone)


def code_and_line(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    assert isinstance(left.value.code, int)
    return left.value.code, " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["grid", "nowhere/x.yaml"], "grid must be one of"),
        (["grid", "x" * 300 + ".yaml"], "grid must be one of"),
        (["plan", "tiny", "--nfe", "²"], "integer"),
        (["plan", "tiny", "--nfe", "9" * 5000], "integer"),
        (["train", "{data}", "--out", "{data}"], "be another file than the one that is learned from"),
        (["train", "{data}", "--out", "{folder}/missing/w.safetensors"], "lie in a folder that exists"),
        (["train", "{partial}", "--out", "{folder}/half.safetensors"], "be another file than the one"),
        (["train", "{data}", "--out", "{folder}/w.checkpoint"], "out must end in .safetensors"),
        (["train", "text-judge", "--out", "{folder}/missing/w.safetensors"], "lie in a folder that exists"),
        (["train", "digits-judge", "--out", "{folder}/missing/w.safetensors"], "lie in a folder that exists"),
        (["train", "text-judge", "--out", "{folder}"], "be another file than the one that is learned from"),
        (["train", "{data}", "--out", "{folder}/[red].safetensors"], "out must be a name"),
    ],
)
def test_a_malformed_command_ends_with_code_2_and_nothing_is_lost(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], lsd_home: Path
) -> None:
    data = tmp_path / "data.txt"
    data.write_text("abab\nbaba\n")
    partial = tmp_path / "half.partial"  # what a checkpoint is called while it is written
    partial.write_text(data.read_text())
    places = {"{data}": data, "{partial}": partial, "{folder}": tmp_path}
    filled = arguments
    for name, place in places.items():
        filled = [part.replace(name, str(place)) for part in filled]
    code, line = code_and_line(capsys, *filled)
    assert code == 2
    assert words in line
    assert data.read_text() == partial.read_text() == "abab\nbaba\n"
    assert not lsd_home.exists()


def test_a_pipe_that_closes_early_ends_quietly(tmp_path: Path) -> None:
    lines = "import sys; [print(i) for i in range(100000)]"
    program = f"import flows.cli, flows.cli.shared as s\n@s.app.command\ndef much():\n    {lines}\n"
    script = tmp_path / "much.py"
    script.write_text(program + "flows.cli.main(['much'])\n")
    done = subprocess.run(
        f"{sys.executable} {script} | head -1", shell=True, capture_output=True, text=True, timeout=300
    )
    assert done.stdout == "0\n"
    assert done.stderr == ""
