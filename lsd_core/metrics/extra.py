"""Metrics that a grid may ask for beside its task's own: `evaluation.metrics: [self_bleu, fid:WEIGHTS:REFERENCE]`.

They inform; what decides stays the task's. An entry is a name, followed by what it needs after colons: files and
folders by their path or their name in the weights folder, models by their id on the hub. docs/metrics.md defines them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError
from lsd_core.metrics import entropy, inception
from lsd_core.metrics.inception_network import NUM_FEATURES
from lsd_core.metrics.judges.causal_judge import causal_nll, judge_folder, load_judge
from lsd_core.metrics.mauve_score import check_mauve, text_mauve
from lsd_core.metrics.picture_reference import find_reference
from lsd_core.metrics.pictures import Canvas
from lsd_core.metrics.self_bleu import self_bleu

GRAMS = (1, 2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class Extra:
    """One family of metrics."""

    compute: Callable[..., Mapping[str, float]]
    """(tokens (n, l), their backbone, *arguments) -> values by name."""
    arguments: tuple[str, ...] = ()
    """What must follow the name, each after a colon."""
    check: Callable[..., None] = lambda backbone, samples, *arguments: None
    """(backbone, samples, *arguments): raises InputError for what will not do, before any work."""


def _distinct(tokens: Tensor, backbone: AnyBackbone) -> dict[str, float]:
    return {f"distinct_{n}": entropy.distinct(tokens, n) for n in GRAMS if n <= tokens.shape[1]}


def _self_bleu(tokens: Tensor, backbone: AnyBackbone) -> dict[str, float]:
    return {"self_bleu_4": self_bleu(tokens, min(4, tokens.shape[1]))}


def _generative_perplexity(tokens: Tensor, backbone: AnyBackbone, model: str) -> dict[str, float]:
    """exp of the mean nats a token; `_published` is the mean of the sequences' own perplexities (SEDD's code)."""
    nll = causal_nll(load_judge(judge_folder(model)), tokens)
    return {
        "generative_nll": float(nll.mean()),
        "generative_perplexity": float(nll.mean().exp()),
        "generative_perplexity_published": float(nll.exp().mean()),
    }


def _check_model(backbone: AnyBackbone, samples: int, model: str) -> None:
    judge_folder(model)


def _mauve(tokens: Tensor, backbone: AnyBackbone, model: str, reference: str) -> dict[str, float]:
    """As published, and with its authors' later smoothing."""
    plain, smoothed = text_mauve(tokens, backbone, model, reference)
    return {"mauve": plain, "mauve_star": smoothed}


def _fid(tokens: Tensor, backbone: AnyBackbone, weights: str, reference: str) -> dict[str, float]:
    path = inception.find_weights(weights)
    moments = inception.reference_moments(find_reference(reference, NUM_FEATURES), path)
    return {"fid": inception.fid(inception.seen(tokens, Canvas.of(backbone), path)[0], moments)}


def _check_fid(backbone: AnyBackbone, samples: int, weights: str, reference: str) -> None:
    _check_inception(backbone, samples, weights)
    find_reference(reference, NUM_FEATURES)


def _inception_score(tokens: Tensor, backbone: AnyBackbone, weights: str) -> dict[str, float]:
    """Of all samples together; `_published` is the mean over ten parts."""
    logits = inception.seen(tokens, Canvas.of(backbone), inception.find_weights(weights))[1]
    splits = min(inception.PUBLISHED_SPLITS, len(tokens))
    return {
        "inception_score": inception.inception_score(logits),
        "inception_score_published": inception.inception_score(logits, splits),
    }


def _check_inception(backbone: AnyBackbone, samples: int, weights: str) -> None:
    Canvas.of(backbone)
    inception.load_inception(inception.find_weights(weights))


EXTRAS: dict[str, Extra] = {
    "distinct": Extra(compute=_distinct),
    "self_bleu": Extra(compute=_self_bleu),
    "generative_perplexity": Extra(compute=_generative_perplexity, arguments=("MODEL",), check=_check_model),
    "mauve": Extra(compute=_mauve, arguments=("MODEL", "REFERENCE"), check=check_mauve),
    "fid": Extra(compute=_fid, arguments=("WEIGHTS", "REFERENCE"), check=_check_fid),
    "inception_score": Extra(compute=_inception_score, arguments=("WEIGHTS",), check=_check_inception),
}


def forms() -> str:
    """How each is written."""
    return ", ".join(":".join([name, *extra.arguments]) for name, extra in EXTRAS.items())


def check_extras(names: Sequence[str], backbone: AnyBackbone, samples: int) -> None:
    """Raise InputError unless every metric is known, named once, and has what it needs, for so many samples."""
    kinds = [name.partition(":")[0] for name in names]
    for name in names:
        extra, arguments = _find(name)
        if kinds.count(name.partition(":")[0]) > 1:
            raise InputError("evaluation.metrics", "name each family once: its values have one name", name)
        extra.check(backbone, samples, *arguments)


def compute_extras(names: Sequence[str], tokens: Tensor, backbone: AnyBackbone) -> dict[str, float]:
    """The values of all metrics asked for."""
    found: dict[str, float] = {}
    for name in names:
        extra, arguments = _find(name)
        found |= extra.compute(tokens, backbone, *arguments)
    return found


def _find(name: str) -> tuple[Extra, list[str]]:
    kind, *arguments = name.split(":")
    if kind not in EXTRAS:
        raise InputError("evaluation.metrics", f"be among {forms()}", name)
    extra = EXTRAS[kind]
    if len(arguments) != len(extra.arguments) or not all(arguments):
        form = ":".join([kind, *extra.arguments])
        raise InputError("evaluation.metrics", f"be written {form}, with what it needs after colons", name)
    return extra, arguments
