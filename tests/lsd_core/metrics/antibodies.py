"""Antibody sequences for tests: real variable domains, and random ones of their build."""

import torch
from torch import Tensor

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
# Trastuzumab and adalimumab, heavy and light; the two examples of AntiBERTy's readme, heavy and light.
REAL = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFYAMDYWGQGTLVTVSS",
    "DIQMTQSPSSLSASVGDRVTITCRASQDVNTAVAWYQQKPGKAPKLLIYSASFLYSGVPSRFSGSRSGTDFTLTISSLQPEDFATYYCQQHYTTPPTFGQGTKVEIK",
    "EVQLVESGGGLVQPGRSLRLSCAASGFTFDDYAMHWVRQAPGKGLEWVSAITWNSGHIDYADSVEGRFTISRDNAKNSLYLQMNSLRAEDTAVYYCAKVSYLSTASSLDYWGQGTLVTVSS",
    "DIQMTQSPSSLSASVGDRVTITCRASQGIRNYLAWYQQKPGKAPKLLIYAASTLQSGVPSRFSGSGSGTDFTLTISSLQPEDVATYYCQRYNRAPYTFGQGTKVEIK",
    "EVQLVQSGPEVKKPGTSVKVSCKASGFTFMSSAVQWVRQARGQRLEWIGWIVIGSGNTNYAQKFQERVTITRDMSTSTAYMELSSLRSEDTAVYYCAAPYCSSISCNDGFDIWGQGTMVTVS",
    "DVVMTQTPFSLPVSLGDQASISCRSSQSLVHSNGNTYLHWYLQKPGQSPKLLIYKVSNRFSGVPDRFSGSGSGTDFTLKISRVEAEDLGVYFCSQSTHVPYTFGGGTKLEIK",
)
# Pieces of a heavy chain; between them stand loops of random residues, at least and at most so many.
PIECES = (
    "EVQLVESGGGLVQPGGSLRLSC",
    "WVRQAPGKGLEWVA",
    "YADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC",
    "WGQGTLVTVSSASTKGPSVFPLAPSSKSTSG",
)
LOOPS = ((11, 16), (6, 10), (6, 16))
KEPT = "CWG"  # residues of the hallmarks are not replaced


def numbers(sequence: str) -> list[int]:
    return [RESIDUES.index(residue) for residue in sequence]


def variable_domains(seed: int, num: int, length: int, mutated: float = 0.2) -> Tensor:
    """(num, length) of RESIDUES: pieces of a real heavy chain with random loops, a share of the pieces replaced."""
    gen = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(num):
        row = list[int]()
        for piece, loop in zip(PIECES, (*LOOPS, (0, 0)), strict=True):
            fixed = torch.tensor(numbers(piece))
            other = torch.randint(0, 20, fixed.shape, generator=gen)
            replaced = torch.rand(fixed.shape, generator=gen) < mutated
            replaced &= torch.tensor([residue not in KEPT for residue in piece])
            size = int(torch.randint(loop[0], loop[1] + 1, (1,), generator=gen))
            row += torch.where(replaced, other, fixed).tolist()
            row += torch.randint(0, 20, (size,), generator=gen).tolist()
        rows.append(row[:length])
    return torch.tensor(rows)
