"""SMILES read by rdkit: which are molecules, and which are the same molecule."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from lsd_core.errors import InputError

INSTALL = "pip install 'lsd-samplers[molecules]' -c constraints.txt"


def check_rdkit(field: str) -> None:
    """Raise InputError unless rdkit is installed."""
    if find_spec("rdkit") is None:
        raise InputError(field, "have the package rdkit", "not installed", INSTALL)


def parse(smiles: Sequence[str]) -> list[Any]:
    """An rdkit molecule for each, None for what is not one: a syntax, a ring or a valence that cannot be.

    No atom is no molecule, though rdkit takes the empty string for one.
    """
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        found = [Chem.MolFromSmiles(text) for text in smiles]
    return [molecule if molecule is not None and molecule.GetNumAtoms() else None for molecule in found]


def valid(molecules: Sequence[Any]) -> list[Any]:
    """Those that are molecules."""
    return [molecule for molecule in molecules if molecule is not None]


def canonical(molecules: Sequence[Any]) -> list[str]:
    """The one SMILES by which rdkit writes each molecule."""
    from rdkit import Chem

    return [Chem.MolToSmiles(molecule) for molecule in molecules]


def unique(canonical: Sequence[str], first: int | None = None) -> float:
    """Share of different ones among the first so many, or all; nan of none."""
    chosen = canonical[:first]
    return len(set(chosen)) / len(chosen) if chosen else float("nan")
