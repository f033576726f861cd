"""Metrics that a grid may ask for beside its task's own: `evaluation.metrics: [self_bleu, fid:WEIGHTS:REFERENCE]`.

They inform; what decides stays the task's. An entry is a name, followed by its settings after colons: files and
folders by their path or their name in the weights folder, models by their id on the hub. docs/metrics.md defines them.
"""

from collections.abc import Sequence

from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError
from lsd_core.metrics.metric import Metric
from lsd_core.plugins import Registry, instance_of

METRICS: Registry[Metric] = Registry("lsd.metrics", instance_of(Metric))


def forms() -> str:
    """How each is written."""
    return ", ".join(metric.form for _, metric in METRICS.items())


def family(text: str) -> str:
    """The name of the metric in `NAME:VALUE:VALUE`."""
    return text.partition(":")[0]


def check_extras(texts: Sequence[str], backbone: AnyBackbone, samples: int) -> None:
    """Raise InputError unless every metric is known, named once, and has what it needs, for so many samples."""
    families = [family(text) for text in texts]
    for text in texts:
        metric = _find(text)
        if families.count(metric.name) > 1:
            raise InputError("evaluation.metrics", "name each family once: its values have one name", text)
        metric.check(backbone, samples, metric.config(text))


def compute_extras(texts: Sequence[str], tokens: Tensor, backbone: AnyBackbone) -> dict[str, float]:
    """The values of all metrics asked for."""
    found: dict[str, float] = {}
    for text in texts:
        metric = _find(text)
        found |= metric.compute(tokens, backbone, metric.config(text))
    return found


def _find(text: str) -> Metric:
    if family(text) not in METRICS:
        raise InputError("evaluation.metrics", f"be among {forms()}", text)
    return METRICS[family(text)]
