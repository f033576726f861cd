"""Hallmarks of an immunoglobulin variable domain in protein sequences, as a regular expression.

In IMGT's numbering of variable domains (Lefranc et al. 2003) the first cysteine is residue 23, the tryptophan of the
core 41, the second cysteine 104, and the J motif, W or F, then G, any residue, G, begins at 118. The loops between them
vary in length: 10 to 17 residues stand between 23 and 41, 50 to 65 between 41 and 104, 3 to 35 between 104 and 118.
"""

import re
from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

CORE = "C.{10,17}W.{50,65}C"
J_MOTIF = "[WF]G.G"
HALLMARKS = f"{CORE}.{{3,35}}{J_MOTIF}"
SHORTEST = 70  # residues that the pattern needs


def without(pattern: str, sequences: Sequence[str]) -> Bool[Tensor, " n"]:
    """Which sequences do not hold the pattern anywhere."""
    find = re.compile(pattern).search
    return torch.tensor([find(sequence) is None for sequence in sequences])
