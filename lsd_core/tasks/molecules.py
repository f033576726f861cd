"""Molecules: the share of SMILES that are no molecule, by rdkit's parser.

An ethanol drawn again and again is valid, so the entropy of tokens stands beside it, with the share of molecules that
differ and their internal diversity; promotion compares the samples with one another. The metrics of MOSES that need its
data are asked for by `evaluation.metrics: [moses]`.
"""

import torch
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, absorbing
from lsd_core.backbones.splitting import splitting
from lsd_core.backbones.vocabulary import PADDING, Vocabulary, written
from lsd_core.errors import InputError
from lsd_core.metrics import entropy
from lsd_core.metrics.likelihood import own_likelihood
from lsd_core.metrics.molecules import moses
from lsd_core.metrics.molecules.parsing import canonical, check_rdkit, parse, unique, valid
from lsd_core.metrics.molecules.scaffold_templates import scaffold_template
from lsd_core.metrics.molecules.similarity import fingerprints, internal_diversity
from lsd_core.metrics.scores import Scores
from lsd_core.numerics.randomness import drawn_index
from lsd_core.tasks.specimen import Diagram, Passage, Specimen
from lsd_core.tasks.task import Task

SIDE = 180  # pixels of a drawing
LEAST_FREE = 4  # tokens of a question


def evaluate_molecules(tokens: Tensor, backbone: AnyBackbone, seed: int) -> Scores:
    """Validity, diversity, and the likelihood under the frozen network; one call a sequence.

    `unique` is the share of different molecules among the valid, `int_div` one less their mean Tanimoto similarity;
    both are left out where nothing is valid.
    """
    parsed = parse(written(backbone.config, tokens))
    failed = torch.tensor([molecule is None for molecule in parsed]).double()
    metrics = {
        "invalid": float(failed.mean()),
        "unigram_entropy": entropy.unigram_entropy(tokens),
        "sequence_entropy": float(entropy.sequence_entropy(tokens).mean()),
        **own_likelihood(backbone, tokens, seed),
    }
    if molecules := valid(parsed):
        metrics |= {
            "unique": unique(canonical(molecules)),
            "int_div": internal_diversity(fingerprints(molecules)),
        }
    return Scores(primary=failed.numpy(), metrics=metrics)


def check_molecules(backbone: AnyBackbone) -> None:
    """Raise InputError unless rdkit is there and a token is one of SMILES."""
    check_rdkit("task molecules")
    vocabulary, smiles = Vocabulary.of(backbone.config), splitting("regex")
    tokens = () if vocabulary is None else tuple(token for token in vocabulary.tokens if token != PADDING)
    if not tokens or not all(smiles.is_token(token) for token in tokens):
        rule = "write tokens of SMILES for the task `molecules`"
        raise InputError(f"vocabulary of backbone {backbone.name}", rule, " ".join(tokens[:8]) or "none")


def scaffolds(backbone: AnyBackbone, number: int, seed: int) -> Tensor:
    """Scaffolds that MOSES holds no training molecule of, in the places that they have in its scaffold test set.

    Four tokens or more are free: side chains, and how they branch. Fewer than `number` where some coincide.
    """
    check_molecules(backbone)
    vocabulary, mask = Vocabulary.of(backbone.config), absorbing(backbone, "scaffolds").process.mask
    assert vocabulary is not None
    if vocabulary.padding is None:
        raise InputError(
            f"vocabulary of backbone {backbone.name}", "have padding, for short molecules", "none"
        )
    known, trial = moses.molecules("test_scaffolds"), 0
    rows: list[list[int]] = []
    while len(rows) < number and trial < 100 * number + 1000:
        index = int(drawn_index(seed, torch.tensor([trial]), len(known)))
        row = scaffold_template(known[index], vocabulary, mask)
        if row is not None and len(row) <= backbone.length and row.count(mask) >= LEAST_FREE:
            rows.append(row + [vocabulary.padding] * (backbone.length - len(row)))
        trial += 1
    return torch.tensor(rows).unique(dim=0)


def show_molecules(tokens: Tensor, backbone: AnyBackbone) -> list[Specimen]:
    """A structural formula each; what is no molecule is shown as it is written."""
    smiles = written(backbone.config, tokens)
    return [
        Passage(f"no molecule: {text}") if molecule is None else Diagram(_drawn(molecule), text)
        for text, molecule in zip(smiles, parse(smiles), strict=True)
    ]


def _drawn(molecule: object) -> str:
    """The structural formula as SVG, on white."""
    from rdkit.Chem.Draw.rdMolDraw2D import MolDraw2DSVG, PrepareAndDrawMolecule

    canvas = MolDraw2DSVG(SIDE, SIDE)
    PrepareAndDrawMolecule(canvas, molecule)
    canvas.FinishDrawing()
    return str(canvas.GetDrawingText())


TASK = Task(
    name="molecules",
    primary="invalid",
    diversity="unigram_entropy",
    judge="rdkit-parser-v1",
    evaluate=evaluate_molecules,
    conditions=scaffolds,
    check=check_molecules,
    columns=("unique", "int_div"),
    show=show_molecules,
)
