"""Text in GPT-2's tokens, as the published networks were trained on OpenWebText to write it.

Judged by GPT-2 large, which drew none of it, on the token ids themselves. A perplexity never stands alone: it
rewards repetition, so the entropy of each sequence's own histogram stands beside it.
"""

from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError
from lsd_core.metrics import entropy
from lsd_core.metrics.judges.causal_judge import causal_nll, judge_folder, load_judge
from lsd_core.metrics.likelihood import own_likelihood
from lsd_core.metrics.scores import Scores
from lsd_core.tasks.task import Task

VOCABULARY = 50257  # GPT-2's tokens; the last one ends a text
VOCABULARIES = (VOCABULARY, VOCABULARY + 1)  # a uniform network may count the mask token of its tokenizer
JUDGE = "gpt2-large-token-ids-v2"


def evaluate(tokens: Tensor, backbone: AnyBackbone, seed: int) -> Scores:
    """Log-perplexity under the judge, diversity, and the likelihood under the backbone itself.

    A mask token that a uniform network writes is judged as the end of a text, which is as unlikely.
    """
    judged = causal_nll(load_judge(judge_folder()), tokens.clamp(max=VOCABULARY - 1))
    metrics = {
        "judge_nll": float(judged.mean()),
        "judge_perplexity": float(judged.mean().exp()),
        "judge_perplexity_published": float(judged.exp().mean()),
        "sequence_entropy": float(entropy.sequence_entropy(tokens).mean()),
        "unigram_entropy": entropy.unigram_entropy(tokens),
        "distinct_2": entropy.distinct(tokens, 2),
        **own_likelihood(backbone, tokens, seed),
    }
    return Scores(primary=judged.numpy(), metrics=metrics)


def check(backbone: AnyBackbone) -> None:
    """Raise InputError, before any work, where the judge is not there or reads other tokens."""
    if backbone.process.num_tokens not in VOCABULARIES:
        rule = f"write GPT-2's {VOCABULARY} tokens, which the judge reads"
        raise InputError(f"backbone {backbone.name}", rule, f"{backbone.process.num_tokens} tokens")
    judge_folder()


TASK = Task(
    name="openwebtext",
    primary="judge_nll",
    diversity="sequence_entropy",
    judge=JUDGE,
    evaluate=evaluate,
    check=check,
)
