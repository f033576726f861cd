"""Degenerate samplers are refused by promotion on every task, whatever they score; an honest one is crowned.

Each task's own evaluation judges small sets of samples. Plain steps are data with noise, less of it at lower
temperatures; what cheats may use whatever it likes of the data, as a collapsed or memorising sampler would.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.countdown_chain import draw_sequences, exact_backbone
from lsd_core.metrics.cifar10_images import FILES
from lsd_core.statistics.guards import Guard
from lsd_core.statistics.promotion import Verdict, promote
from lsd_core.statistics.scored import Scored
from lsd_core.tasks import cifar10, openwebtext
from lsd_core.tasks.catalog import TASKS, get_task
from lsd_core.tasks.corpus import draw_windows, load_corpus
from lsd_core.tasks.digit_images import load_images
from lsd_core.tasks.evaluate import evaluate_across, evaluate_tokens
from tests.lsd_core.backbones.published import files
from tests.lsd_core.backbones.published.transformer import random_tensors

NUM, SEEDS, LENGTH = 64, 2, 32
SWEEP = {1.0: 0.25, 0.8: 0.2, 0.6: 0.15}  # temperature -> share of tokens replaced by others


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class Lab:
    """A task with a source of data and a backbone that says what its samples look like."""

    task: str
    backbone: Any
    data: Callable[[int], Tensor]
    """(seed) -> NUM sequences, no two of them the same draw."""

    @property
    def num_tokens(self) -> int:
        return int(self.backbone.process.num_tokens)

    def noisy(self, seed: int, share: float) -> Tensor:
        tokens, gen = self.data(seed), generator(seed + 1000)
        other = torch.randint(0, self.num_tokens, tokens.shape, generator=gen)
        return torch.where(torch.rand(tokens.shape, generator=gen) < share, other, tokens)

    def scored(self, sets: list[Tensor], method: str, temperature: float = 1.0) -> Scored:
        scores = [evaluate_tokens(self.task, tokens, self.backbone, seed) for seed, tokens in enumerate(sets)]
        report = np.stack([each.primary for each in scores])
        diversity = get_task(self.task).diversity
        return Scored(
            method=method,
            sampler="euler",
            nfe=4,
            selection=report,
            report=report,
            entropy=sum(each.metrics[diversity] for each in scores) / len(scores),
            temperature=temperature,
            key=method,
            across=tuple(evaluate_across(self.task, tokens, self.num_tokens) for tokens in sets),
        )

    def verdict(self, sets: list[Tensor]) -> Verdict:
        family = [
            self.scored([self.noisy(seed, share) for seed in range(SEEDS)], "plain", temperature)
            for temperature, share in SWEEP.items()
        ]
        teacher = self.scored([self.data(77)], "teacher")
        guard = Guard(teacher=teacher.across[0], baselines={"euler": family[0].across})
        return promote(
            [self.scored(sets, "cheat")], {"plain": family}, guard=guard, teacher_entropy=teacher.entropy
        )


def countdown() -> Lab:
    backbone = exact_backbone("countdown-exact", LENGTH)
    return Lab("countdown", backbone, lambda s: draw_sequences(s, torch.arange(NUM), LENGTH, 32))


def sequences() -> Lab:
    backbone = exact_backbone("tiny", LENGTH, 8)
    return Lab("sequences", backbone, lambda s: draw_sequences(s, torch.arange(NUM), LENGTH, 8))


def text() -> Lab:
    part = load_corpus().tokens("train")
    return Lab("text", load_backbone("text-radd"), lambda s: draw_windows(part, s, torch.arange(NUM), 128))


def digits() -> Lab:
    pixels = load_images("backbone").pixels

    def some(seed: int) -> Tensor:
        return pixels[torch.randperm(len(pixels), generator=generator(seed))[:NUM]]

    return Lab("digits", load_backbone("digits-uniform"), some)


def gpt2_tokens(folder: Path) -> Lab:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=openwebtext.VOCABULARY, n_positions=16, n_embd=8, n_layer=1, n_head=2)
    GPT2LMHeadModel(config).eval().save_pretrained(folder / "gpt2-large")
    nested = files.nested_config(hidden_size=8, cond_dim=4, length=10, n_blocks=1, n_heads=2)
    tensors = random_tensors(
        states=openwebtext.VOCABULARY + 1, dim=8, blocks=1, heads=2, cond=4, dtype=torch.float32
    )
    from lsd_core.backbones.published import load_published

    hub = files.write_hub(folder / "mine", nested | {"tokens": openwebtext.VOCABULARY}, tensors)
    common = torch.randint(0, openwebtext.VOCABULARY, (400,), generator=generator(5))  # what the language is
    return Lab(
        "openwebtext",
        load_published(hub, "mine"),
        lambda s: common[torch.randint(0, 400, (NUM, 10), generator=generator(s))],
    )


def colours(folder: Path) -> Lab:
    def pictures(seed: int) -> Tensor:
        gen = generator(seed)
        coarse = torch.rand(NUM, 3, 4, 4, generator=gen) * 200
        smooth = torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear")
        return (smooth + 20 * torch.randn(smooth.shape, generator=gen)).clamp(0, 255).long().flatten(1)

    (folder / cifar10.FOLDER).mkdir(parents=True)
    for number, name in enumerate(FILES):
        records = torch.cat([torch.full((NUM, 1), 7), pictures(500 + number)], dim=1)
        (folder / cifar10.FOLDER / name).write_bytes(bytes(records.flatten().tolist()))
    process = SimpleNamespace(num_tokens=256)
    return Lab("cifar10", SimpleNamespace(length=cifar10.LENGTH, process=process), pictures)


@pytest.fixture(scope="module", params=["countdown", "sequences", "text", "digits", "openwebtext", "cifar10"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        if request.param in ("openwebtext", "cifar10"):
            patch.setenv("LSD_WEIGHTS", str(folder))
        made: dict[str, Callable[[], Lab]] = {
            "countdown": countdown,
            "sequences": sequences,
            "text": text,
            "digits": digits,
            "openwebtext": lambda: gpt2_tokens(folder),
            "cifar10": lambda: colours(folder),
        }
        yield made[request.param]()


def test_every_task_is_tried() -> None:
    assert set(TASKS) == {"countdown", "sequences", "text", "digits", "openwebtext", "cifar10"}


def modes(lab: Lab, seed: int, number: int) -> Tensor:
    """`number` good sequences again and again."""
    return lab.data(50 + seed)[torch.arange(NUM) % number]


def nearly_one(lab: Lab, seed: int) -> Tensor:
    """One sequence with one token changed in each copy, so that no two are the same."""
    tokens, gen = modes(lab, seed, 1).clone(), generator(seed)
    at = torch.randint(0, tokens.shape[1], (NUM, 1), generator=gen)
    return tokens.scatter(1, at, torch.randint(0, lab.num_tokens, (NUM, 1), generator=gen))


def memorised(lab: Lab, seed: int) -> Tensor:
    """A quarter of the data, drawn with replacement."""
    return lab.data(50)[torch.randint(0, NUM // 4, (NUM,), generator=generator(seed))]


def copied_twice(lab: Lab, seed: int) -> Tensor:
    """The teacher's own sequences, each twice."""
    return lab.data(77)[torch.arange(NUM) // 2]


def constant(lab: Lab, seed: int) -> Tensor:
    """The commonest token everywhere."""
    tokens = lab.data(50)
    return torch.full_like(tokens, int(tokens.flatten().bincount().argmax()))


def permuted_pool(lab: Lab, seed: int) -> Tensor:
    """All tokens of good samples, dealt anew: their histogram is exact."""
    tokens = lab.data(50 + seed)
    return tokens.flatten()[torch.randperm(tokens.numel(), generator=generator(seed))].view_as(tokens)


def shuffled_columns(lab: Lab, seed: int) -> Tensor:
    """Every position dealt anew among samples: all marginals are exact."""
    tokens, gen = lab.data(50 + seed), generator(seed)
    order = torch.rand(tokens.shape, generator=gen).argsort(dim=0)
    return tokens.gather(0, order)


def truncated(lab: Lab, seed: int) -> Tensor:
    """The rarer half of the histogram is never drawn."""
    tokens = lab.data(50 + seed)
    ranked = tokens.flatten().bincount(minlength=lab.num_tokens).argsort(descending=True)
    used = int((tokens.flatten().bincount(minlength=lab.num_tokens) > 0).sum())
    known = torch.zeros(lab.num_tokens, dtype=torch.bool).scatter(0, ranked[: max(1, used // 2)], True)
    return torch.where(known[tokens], tokens, ranked[0])


def half_garbage(lab: Lab, seed: int) -> Tensor:
    """Exact samples and uniform noise, half and half."""
    noise = torch.randint(0, lab.num_tokens, lab.data(50).shape, generator=generator(seed))
    return torch.where(torch.arange(NUM)[:, None] % 2 == 0, lab.data(50 + seed), noise)


def half_collapsed(lab: Lab, seed: int) -> Tensor:
    """Exact samples, every second one the same."""
    return torch.where(torch.arange(NUM)[:, None] % 2 == 0, lab.data(50 + seed), lab.data(50)[:1])


def hot_and_collapsed(lab: Lab, seed: int) -> Tensor:
    """One seed's samples noisier than plain steps, the other's a single sequence: the entropy is in between."""
    return lab.noisy(50, 0.4) if seed == 0 else modes(lab, 0, 1)


def recombined(lab: Lab, seed: int) -> Tensor:
    """Halves of four sequences put together in every way."""
    tokens, half = lab.data(50 + seed), lab.data(50).shape[1] // 2
    first, second = tokens[torch.arange(NUM) % 4], tokens[torch.arange(NUM) // 4 % 4]
    return torch.cat([first[:, :half], second[:, half:]], dim=1)


def turned(lab: Lab, seed: int) -> Tensor:
    """One sequence, begun at another place each time."""
    one = lab.data(50 + seed)[0]
    at = torch.randint(0, len(one), (NUM,), generator=generator(seed))
    return one[(torch.arange(len(one)) + at[:, None]) % len(one)]


def sorted_tokens(lab: Lab, seed: int) -> Tensor:
    """Good samples with their tokens in descending order: every sequence's own histogram is exact."""
    return lab.data(50 + seed).sort(dim=1, descending=True).values


CHEATS: dict[str, Callable[[Lab, int], Tensor]] = {
    "one sequence": lambda lab, seed: modes(lab, seed, 1),
    "two modes": lambda lab, seed: modes(lab, seed, 2),
    "eight modes": lambda lab, seed: modes(lab, seed, 8),
    "nearly one sequence": nearly_one,
    "memorised data": memorised,
    "teacher's samples twice": copied_twice,
    "constant tokens": constant,
    "permuted pool": permuted_pool,
    "shuffled columns": shuffled_columns,
    "truncated support": truncated,
    "half garbage": half_garbage,
    "half collapsed": half_collapsed,
    "a hot and a collapsed seed": hot_and_collapsed,
    "recombined halves": recombined,
    "one sequence turned": turned,
    "sorted tokens": sorted_tokens,
}


@pytest.mark.parametrize("name", CHEATS)
def test_a_degenerate_sampler_is_refused(lab: Lab, name: str) -> None:
    verdict = lab.verdict([CHEATS[name](lab, seed) for seed in range(SEEDS)])
    assert not verdict.won, (verdict.comparisons, verdict.guarded)


def test_an_honest_sampler_is_crowned(lab: Lab) -> None:
    """With less noise than plain steps at any temperature: so it is not the guard that refuses everything."""
    verdict = lab.verdict([lab.noisy(20 + seed, 0.02) for seed in range(SEEDS)])
    assert verdict.guarded[0].passes, verdict.guarded
    assert verdict.won, verdict.comparisons
