"""The medicinal-chemistry filters of MOSES: unwanted substructures, atoms, charges and large rings."""

import csv
from collections.abc import Sequence
from functools import cache
from typing import Any

from lsd_core.metrics.molecules.moses import file_of

ATOMS = frozenset(("C", "N", "S", "O", "F", "Cl", "Br", "H"))
LARGE_RING = 8  # atoms


def passes(molecule: Any) -> bool:
    """Whether a molecule has no ring of eight atoms or more, no charge, no atom but C N S O F Cl Br H, and none of the
    substructures of the filters MCF and PAINS."""
    from rdkit import Chem

    if any(len(ring) >= LARGE_RING for ring in molecule.GetRingInfo().AtomRings()):
        return False
    if any(atom.GetFormalCharge() or atom.GetSymbol() not in ATOMS for atom in molecule.GetAtoms()):
        return False
    whole = Chem.AddHs(molecule)
    return not any(whole.HasSubstructMatch(pattern) for pattern in _patterns())


def passing(molecules: Sequence[Any]) -> float:
    """Share of molecules that pass; nan of none."""
    return sum(map(passes, molecules)) / len(molecules) if molecules else float("nan")


@cache
def _patterns() -> tuple[Any, ...]:
    """Substructures that no molecule may have, from the tables in the wheel of molsets."""
    from rdkit.Chem import MolFromSmarts

    with file_of("metrics/mcf.csv").open(newline="") as table:
        wanted = [row["smarts"] for row in csv.DictReader(table)]
    with file_of("metrics/wehi_pains.csv").open(newline="") as table:
        wanted += [row[0] for row in csv.reader(table)]
    return tuple(MolFromSmarts(text) for text in wanted)
