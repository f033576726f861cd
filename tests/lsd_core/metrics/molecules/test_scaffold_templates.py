"""Templates of scaffolds: what is given is the scaffold, in its places, and nothing else."""

import pytest
from rdkit import Chem
from rdkit.Chem.Scaffolds.MurckoScaffold import GetScaffoldForMol

from lsd_core.metrics.molecules.moses import VOCABULARY, molecules
from lsd_core.metrics.molecules.scaffold_templates import scaffold_template

MASK = len(VOCABULARY.tokens)


def written(smiles: str) -> str | None:
    """The template with an underscore for each free token."""
    template = scaffold_template(smiles, VOCABULARY, MASK)
    tokens = (*VOCABULARY.tokens, "_")
    return None if template is None else "".join(tokens[token] for token in template)


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("Cc1ccccc1", "_c1ccccc1"),
        ("CC(=O)Oc1ccccc1C(=O)O", "_______c1ccccc1______"),
        ("c1ccc(CCc2ccccc2)cc1", None),  # its own scaffold
        ("CC(C)(Cc1ccccc1)c1ccccc1", "_C___(Cc1ccccc1)c1ccccc1"),
        ("O=C1CCCN1CCBr", "O=C1CCCN1___"),
        ("FC(F)(F)c1c[nH]cn1", "________c1c[nH]cn1"),
        ("CC(=O)CCCl", None),  # no ring
        ("C(", None),
    ],
)
def test_side_chains_are_free(smiles: str, expected: str | None) -> None:
    assert written(smiles) == expected


def test_the_scaffold_stays_whatever_hydrogens_take_the_free_places() -> None:
    whole = molecules("test_scaffolds")
    checked = 0
    for smiles in whole[:: len(whole) // 200]:
        template = scaffold_template(smiles, VOCABULARY, MASK)
        if template is None:
            continue
        assert len(template) == len(VOCABULARY.encode(smiles))
        kept = "".join(VOCABULARY.tokens[token] for token in template if token != MASK)
        bare = Chem.MolFromSmiles(kept)
        if bare is None:  # an aromatic nitrogen that has lost its substituent
            continue
        assert bare.HasSubstructMatch(GetScaffoldForMol(Chem.MolFromSmiles(smiles))), (smiles, kept)
        checked += 1
    assert checked > 150
