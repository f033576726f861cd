"""Antibodies: the share of sequences without the hallmarks of an immunoglobulin variable domain.

The rule is one of biology that no network knows: two cysteines that a disulphide bond joins, the tryptophan packed
against it, and the J motif (`metrics.antibody.HALLMARKS`). One good sequence drawn again and again satisfies it too, so
diversity stands beside it, and promotion compares the samples with one another.
"""

from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.backbones.vocabulary import Vocabulary, written
from lsd_core.errors import InputError
from lsd_core.metrics import entropy
from lsd_core.metrics.antibody import CORE, HALLMARKS, J_MOTIF, SHORTEST, without
from lsd_core.metrics.likelihood import own_likelihood
from lsd_core.metrics.scores import Scores
from lsd_core.tasks.specimen import Passage, Specimen
from lsd_core.tasks.task import Task

RESIDUES = frozenset("ACDEFGHIKLMNPQRSTVWY")


def evaluate_antibody(tokens: Tensor, backbone: AnyBackbone, seed: int) -> Scores:
    """Hallmarks together and apart, diversity, and the likelihood under the frozen network; one call a sequence."""
    sequences = written(backbone.config, tokens)
    failed = without(HALLMARKS, sequences).double()
    metrics = {
        "without_hallmarks": float(failed.mean()),
        "without_core": float(without(CORE, sequences).double().mean()),
        "without_j_motif": float(without(J_MOTIF, sequences).double().mean()),
        "unigram_entropy": entropy.unigram_entropy(tokens),
        "sequence_entropy": float(entropy.sequence_entropy(tokens).mean()),
        "distinct_sequences": len(tokens.unique(dim=0)) / len(tokens),
        **own_likelihood(backbone, tokens, seed),
    }
    return Scores(primary=failed.numpy(), metrics=metrics)


def check_antibody(backbone: AnyBackbone) -> None:
    """Raise InputError unless a token is a residue and the pattern fits into a sequence."""
    vocabulary = Vocabulary.of(backbone.config)
    if vocabulary is None or vocabulary.separator or not RESIDUES.issubset(vocabulary.tokens):
        shown = "none" if vocabulary is None else " ".join(vocabulary.tokens[:8])
        rule = "write one of the 20 residues a token for the task `antibody`"
        raise InputError(f"vocabulary of backbone {backbone.name}", rule, shown)
    if backbone.length < SHORTEST:
        rule = f"be at least {SHORTEST}, which the hallmarks need"
        raise InputError(f"length of backbone {backbone.name}", rule, backbone.length)


def show_antibody(tokens: Tensor, backbone: AnyBackbone) -> list[Specimen]:
    """Residues, in one letter each."""
    return [Passage(text) for text in written(backbone.config, tokens)]


TASK = Task(
    name="antibody",
    primary="without_hallmarks",
    diversity="unigram_entropy",
    judge="immunoglobulin-hallmarks-v1",
    evaluate=evaluate_antibody,
    check=check_antibody,
    columns=("distinct_sequences",),
    show=show_antibody,
)
