"""`lsd train`: train small backbones and judges."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flows.cli.shared import Whole, app, console


@app.command
def train(
    name: Annotated[
        str, Parameter(help="countdown, text, digits, molecules, sudoku, a judge, or a file of sequences")
    ],
    *,
    family: str | None = None,
    split: str = "characters",
    column: str | None = None,
    length: Whole | None = None,
    steps: Whole | None = None,
    batch: Whole | None = None,
    dim: Whole | None = None,
    blocks: Whole | None = None,
    lr: float | None = None,
    optimiser: Literal["adamw", "muon"] | None = None,
    body_dtype: Literal["float32", "bfloat16"] | None = None,
    seed: Whole = 0,
    init: Path | None = None,
    device: str = "cpu",
    out: Path | None = None,
) -> int:
    """Train a small backbone; resumes from its checkpoint if there is one.

    A file may hold anything that is a sequence: molecules as SMILES, proteins, moves, words. Its name says how they
    are written: the first column of .smi, a column of .csv or .tsv, the records of .fasta or .fa, else one a line;
    each may be compressed (.gz). Empty lines are skipped, short ones padded, and one in twenty is held out to measure
    memorisation. `molecules` are those of MOSES (pip install --no-deps molsets==0.3.1); `sudoku` are solved grids of
    36 cells, or with --length of 16 or 81. The judges are text-judge and digits-judge.

    Parameters
    ----------
    family:
        `radd` (time-free x0 distribution) or `sedd` (time-conditioned log-scores); of digits, the noise: `gaussian` or
        `uniform`.
    split:
        what a token of the file is: each of the `characters`; what stands between `spaces`; by `regex`, a SMILES
        token such as Cl, [nH] or %12; by `kmer:3`, three characters; or one of a file of tokens, one a line, the
        longest that fits.
    column:
        name of the column of a .csv or .tsv file that holds the sequences.
    length:
        positions a sequence; of a file, those of its longest line, 256 at most.
    steps:
        optimiser steps.
    batch:
        sequences a step.
    dim:
        width of the network.
    blocks:
        blocks of the network.
    lr:
        peak learning rate.
    optimiser:
        `adamw`, or `muon` for the matrices of a transformer's blocks (which takes a larger lr, such as 1e-2).
    body_dtype:
        precision of a transformer's body, in training and afterwards; float32 if left out.
    seed:
        root of everything random.
    init:
        weights to start from, of the same tokens and sizes; a `sedd` network may start from a `radd` one.
    device:
        where it learns: cpu, cuda or cuda:N; judges learn on the CPU.
    out:
        where the weights go; NAME-FAMILY-LENGTH.safetensors if left out.
    """
    from flows.training import JUDGES, train_backbone, train_named_judge

    if name in JUDGES:
        train_named_judge(name, out, console, steps=steps, seed=seed)
        return 0
    train_backbone(
        name,
        out,
        console,
        family=family,
        split=split,
        column=column,
        length=length,
        steps=steps,
        batch=batch,
        dim=dim,
        num_blocks=blocks,
        lr=lr,
        optimiser=optimiser,
        body_dtype=body_dtype,
        seed=seed,
        init=init,
        device=device,
    )
    return 0
