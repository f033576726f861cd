"""Scaffolds as templates: a molecule's SMILES with all that is not of its scaffold left free."""

from lsd_core.backbones.vocabulary import Vocabulary

BONDS = frozenset("-=#:/\\")


def scaffold_template(smiles: str, vocabulary: Vocabulary, mask: int) -> list[int] | None:
    """Tokens of a molecule, the mask where a token belongs to no ring system nor to what links two of them (Bemis and
    Murcko 1996); None where there is no scaffold, or nothing beside it.

    Given are the scaffold's atoms, the ring numbers after them, the bonds to them, and the brackets that hold one of
    them. So the side chains keep their places and lengths, and what they are is free.
    """
    from rdkit import Chem
    from rdkit.Chem.Scaffolds.MurckoScaffold import GetScaffoldForMol

    molecule = Chem.MolFromSmiles(smiles)
    kept = set(molecule.GetSubstructMatch(GetScaffoldForMol(molecule))) if molecule is not None else set()
    if not kept:
        return None
    pieces = vocabulary.split(smiles)
    given = _given(pieces, kept)
    if all(given):
        return None
    return [vocabulary.number(piece) if keep else mask for piece, keep in zip(pieces, given, strict=True)]


def _given(pieces: list[str], kept: set[int]) -> list[bool]:
    """Whether each token is given: `kept` are numbers of atoms, which a SMILES names in its order."""
    given, atom = [False] * len(pieces), -1
    open_brackets: list[int] = []
    for place, piece in enumerate(pieces):
        if _is_atom(piece):
            atom += 1
            given[place] = atom in kept
        elif piece == "(":
            open_brackets.append(place)
        elif piece == ")":
            begin = open_brackets.pop()
            given[begin] = given[place] = any(given[begin:place])
        elif piece.isdigit() or piece.startswith("%"):
            given[place] = atom in kept
    for place in range(len(pieces) - 2, -1, -1):  # a bond goes with the atom that follows it
        if pieces[place] in BONDS:
            given[place] = given[place + 1] and _is_atom(pieces[place + 1])
    return given


def _is_atom(piece: str) -> bool:
    return piece[0].isalpha() or piece[0] == "["
