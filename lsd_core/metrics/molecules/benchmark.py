"""`moses`: the metrics of MOSES (Polykovskiy et al. 2020, table 1), against its training set and its two test sets.

For claims, with as many samples as it has, 30,000 (it measures uniqueness among the first 1,000 and 10,000). A worker
reads the three sets once, a minute or two; then 1,000 samples take about ten seconds of one core.
"""

from functools import cache
from importlib.util import find_spec

from jaxtyping import UInt8
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.backbones.vocabulary import Vocabulary, written
from lsd_core.errors import InputError
from lsd_core.metrics.frechet import Moments, frechet
from lsd_core.metrics.metric import Metric, NoSettings
from lsd_core.metrics.molecules import chemnet, moses
from lsd_core.metrics.molecules.filters import passing
from lsd_core.metrics.molecules.parsing import INSTALL, canonical, check_rdkit, parse, unique, valid
from lsd_core.metrics.molecules.pieces import cosine, fragments, scaffolds
from lsd_core.metrics.molecules.reference import TEST_SETS, hashed, shipped
from lsd_core.metrics.molecules.similarity import (
    fingerprints,
    internal_diversity,
    nearest_similarity,
    prints_of,
)

FIRST = (1000, 10_000)  # molecules among which uniqueness is measured, where there are so many
LEAST = 2  # molecules, for a covariance
SUFFIX = {"test": "test", "test_scaffolds": "scaffolds"}


def moses_metrics(smiles: list[str]) -> dict[str, float]:
    """All of them, of the SMILES that are molecules but `valid`, which is of all.

    `novelty` counts different molecules that are not in the training set; `fcd` is a distance, for which lower is
    better, of the other metrics higher is. Where fewer than two are molecules only `valid` is given.
    """
    molecules = valid(parse(smiles))
    found = {"valid": len(molecules) / len(smiles)}
    if len(molecules) < LEAST:
        return found
    names, prints = canonical(molecules), fingerprints(molecules)
    found |= {f"unique_{first}": unique(names, first) for first in FIRST if first <= len(names)}
    found |= {
        "novelty": len(set(names) - _known()) / len(set(names)),
        "filters": passing(molecules),
        "int_div": internal_diversity(prints),
        "int_div_2": internal_diversity(prints, 2),
    }
    moments = Moments.of(chemnet.features(names))
    broken, frames = hashed(fragments(molecules)), hashed(scaffolds(molecules))
    for part in TEST_SETS:
        reference, suffix = shipped(part), SUFFIX[part]
        found |= {
            f"fcd_{suffix}": frechet(moments, reference.moments),
            f"snn_{suffix}": nearest_similarity(prints, _prints(part)),
            f"frag_{suffix}": cosine(broken, reference.fragments),
        }
        if frames:
            found[f"scaf_{suffix}"] = cosine(frames, reference.scaffolds)
    return found


@cache
def _known() -> frozenset[str]:
    """The training set, whose SMILES are canonical."""
    return frozenset(moses.molecules("train"))


@cache
def _prints(part: str) -> UInt8[Tensor, "n 128"]:
    return prints_of(moses.molecules(part))


def compute(tokens: Tensor, backbone: AnyBackbone, config: NoSettings) -> dict[str, float]:
    """Of samples, as `moses_...`."""
    return {f"moses_{name}": value for name, value in moses_metrics(written(backbone.config, tokens)).items()}


def check(backbone: AnyBackbone, samples: int, config: NoSettings) -> None:
    """Raise InputError unless the packages and the data are there, and samples are written."""
    check_rdkit("metric moses")
    if find_spec("fcd") is None:
        raise InputError("metric moses", "have the package fcd", "not installed", INSTALL)
    for part in moses.PARTS:
        moses.path_of(part)
    if Vocabulary.of(backbone.config) is None:
        raise InputError(
            f"vocabulary of backbone {backbone.name}", "write SMILES for the metric moses", "none"
        )


METRIC = Metric(name="moses", compute=compute, check=check)
