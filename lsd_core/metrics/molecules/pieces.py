"""What molecules are made of: their BRICS fragments and Bemis-Murcko scaffolds, counted and compared."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

LEAST_RINGS = 2  # of a scaffold that is counted, as in MOSES


def fragments(molecules: Iterable[Any]) -> Counter[str]:
    """How often each fragment of BRICS (Degen et al. 2008) occurs."""
    from rdkit.Chem import MolToSmiles
    from rdkit.Chem.rdmolops import FragmentOnBRICSBonds

    return Counter(
        piece for molecule in molecules for piece in MolToSmiles(FragmentOnBRICSBonds(molecule)).split(".")
    )


def scaffolds(molecules: Iterable[Any]) -> Counter[str]:
    """How often each scaffold (Bemis and Murcko 1996) of two rings or more occurs."""
    from rdkit.Chem import MolToSmiles
    from rdkit.Chem.Scaffolds.MurckoScaffold import GetScaffoldForMol

    found: Counter[str] = Counter()
    for molecule in molecules:
        scaffold = GetScaffoldForMol(molecule)
        if scaffold.GetRingInfo().NumRings() >= LEAST_RINGS:
            found[MolToSmiles(scaffold)] += 1
    return found


def cosine(ours: Mapping[Any, int], theirs: Mapping[Any, int]) -> float:
    """Cosine similarity of two vectors of counts, in [0, 1] (Frag and Scaf of MOSES); nan where one is empty."""
    if not ours or not theirs:
        return float("nan")
    product = sum(count * theirs.get(key, 0) for key, count in ours.items())
    return product / math.sqrt(
        sum(count**2 for count in ours.values()) * sum(count**2 for count in theirs.values())
    )
