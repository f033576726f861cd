"""Command lines as people mistype them, none of which starts Ray, a server or a training of more than a step."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.fuzz.outcomes import Case, command

WORDS = ["", "-", "--", "²", "-1", "0", "1", "2.5", "1e12", "1000000000000", "9" * 5000, "nan", "inf", "true"]
WORDS += [
    "../../x",
    "/dev/null/x",
    "/proc/x",
    "x" * 300,
    "[/red]",
    "<b>",
    "\x1b[31m",
    "a\nb",
    "\udcff",
    "é",
    "{}",
]
WORDS += [
    "s3://u:pa/ss@host",
    "http://user:pa/ss@host",
    "nonsense://x",
    "file://",
    "memory://x?y",
    "None",
]
WORDS += [
    "models:/x@y",
    "models:/",
    "hf://",
    "hf://a/b/c/d",
    "countdown-exact",
    "euler",
    "all",
    "tiny",
    "~nobody/x",
]
FIXED = [
    [],
    ["--help"],
    ["--version"],
    ["nothing"],
    ["plan"],
    ["plan", "--help"],
    ["sample"],
    ["study", "--list"],
    ["grid", "tiny", "--nfe"],
    ["grid", "tiny", "--nfe", "4", "--nfe", "x"],
    ["plan", "tiny", "--rate", "1", "--nfe", "65", "--methods", "path_kl"],
    ["plan", "tiny", "--rate", "1", "--nfe", "1000000000"],
    ["plan", "tiny", "--rate", "1", "--samples", "1000000000000"],
    ["plan", "tiny", "--rate", "1", "--workers", "1000000"],
    ["plan", "tiny", "--rate", "1", "--trajectories", "1000000000000000"],
    ["plan", "tiny", "--rate", "1", "--batch", "10000000000"],
]
PLAN = [
    "--nfe",
    "--samplers",
    "--methods",
    "--backbones",
    "--task",
    "--samples",
    "--seeds",
    "--batch",
    "--metrics",
]
PLAN += [
    "--trajectories",
    "--shard-rows",
    "--teacher.method",
    "--teacher.steps",
    "--teacher.batch",
    "--seed",
    "--rate",
]
PLAN += [
    "--evaluation.temperatures",
    "--evaluation.certificate-paths",
    "--store",
    "--workers",
    "--num-gpus",
    "--sizes",
]
SAMPLE = ["-n", "--seed", "--prompt", "--infill", "--blank", "--device", "--store"]
TRAIN = [
    "--family",
    "--split",
    "--length",
    "--batch",
    "--dim",
    "--blocks",
    "--lr",
    "--body-dtype",
    "--seed",
    "--init",
    "--out",
]


def commands(card: Path, folder: Path, gen: Random, number: int) -> Iterator[Case]:
    """Commands with one word that does not belong."""
    data = folder / "lines.txt"
    data.write_text("abab\nbaba\nabba\n")
    step = ["train", str(data), "--steps", "1", "--dim", "12", "--blocks", "1", "--batch", "2"]
    templates = [
        lambda w: ["plan", "tiny", "--rate", "1", gen.choice(PLAN), w],
        lambda w: ["plan", "tiny", "--rate", "1", gen.choice(PLAN), w],
        lambda w: ["plan", w, "--rate", "1"],
        lambda w: ["sample", str(card), "-n", "1", gen.choice(SAMPLE), w],
        lambda w: ["sample", w],
        lambda w: [*step, gen.choice(TRAIN), w],
        lambda w: ["train", w, "--steps", "1", "--dim", "12", "--blocks", "1", "--batch", "2"],
        lambda w: ["verify", w],
        lambda w: ["verify", "--store", w],
        lambda w: ["gc", "--dry-run", gen.choice(["--store", "--older-than-hours"]), w],
        lambda w: ["export", str(card), gen.choice(["--to", "--store"]), w, "--out", str(folder / "out")],
        lambda w: ["push", w, w],
        lambda w: ["report", w, "--store", str(folder)],
        lambda w: ["report", "countdown-exact", "--store", w],
        lambda w: ["register", "--store", w],
        lambda w: ["samplers", "countdown", "--registry", w or "x"],
        lambda w: ["samplers", "countdown", "--registry", "x", "--nfe", w],
        lambda w: ["pick", "countdown", "--registry", "x", gen.choice(["--max-nfe", "--min-entropy"]), w],
        lambda w: ["promote", "countdown", w, w, "--registry", "x"],
        lambda w: ["rollback", w, w, "--registry", "x"],
        lambda w: ["bench", w],
        lambda w: [
            "bench",
            "step",
            gen.choice(["--shape", "--device", "--body", "--rounds"]),
            w or "x",
            "--batch",
            "-1",
        ],
        lambda w: ["study", w],
        lambda w: [w, w],
    ]
    for arguments in FIXED:
        yield Case("command", " ".join(arguments), command(arguments))
    for index in range(number):
        arguments = templates[index % len(templates)](gen.choice(WORDS))
        yield Case("command", " ".join(arguments), command(arguments))
