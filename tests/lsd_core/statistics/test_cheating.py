"""Degenerate samplers are refused by promotion on every task, whatever they score; an honest one is crowned.

Each task's own evaluation judges small sets of samples. Plain steps are data with noise, less of it at lower
temperatures; what cheats may use whatever it likes of the data, as a collapsed or memorising sampler would.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.countdown_chain import draw_sequences, exact_backbone
from lsd_core.backbones.list_operations import draw_lists
from lsd_core.backbones.markov import MarkovExact
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.backbones.published import load_published
from lsd_core.metrics.cifar10_images import FILES
from lsd_core.metrics.molecules import moses
from lsd_core.statistics.guards import Guard
from lsd_core.statistics.promotion import Verdict, promote
from lsd_core.statistics.scored import Scored
from lsd_core.tasks import cifar10, openwebtext
from lsd_core.tasks.catalog import TASKS, get_task
from lsd_core.tasks.corpus import draw_windows, load_corpus
from lsd_core.tasks.digit_images import load_images
from lsd_core.tasks.evaluate import evaluate_across, evaluate_tokens
from lsd_core.tasks.sudoku_grids import draw_grids
from tests.lsd_core.backbones.published import files, images
from tests.lsd_core.backbones.published.transformer import random_tensors
from tests.lsd_core.metrics.antibodies import RESIDUES, variable_domains

LISTS = 33  # an operation, 16 values and the answer
NUM, SEEDS, LENGTH = 64, 2, 32  # countdown takes MANY: its marginals of 32 start values are noisier
MANY = 256
SWEEP = {1.0: 0.25, 0.8: 0.2, 0.6: 0.15}  # temperature -> share of tokens replaced by others


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class Lab:
    """A task with a source of data and a backbone that says what its samples look like."""

    task: str
    backbone: AnyBackbone
    data: Callable[[int], Tensor]
    """(seed) -> `num` sequences, no two of them the same draw."""
    num: int = NUM
    noise: float = 1.0
    """Share of the noise of other labs: where one wrong token makes a sequence wrong, theirs leaves nothing right."""

    @property
    def num_tokens(self) -> int:
        return int(self.backbone.process.num_tokens)

    def noisy(self, seed: int, share: float) -> Tensor:
        tokens, gen = self.data(seed), generator(seed + 1000)
        other = torch.randint(0, self.num_tokens, tokens.shape, generator=gen)
        return torch.where(torch.rand(tokens.shape, generator=gen) < self.noise * share, other, tokens)

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

    @cached_property
    def plain(self) -> list[Scored]:
        return [
            self.scored([self.noisy(seed, share) for seed in range(SEEDS)], "plain", temperature)
            for temperature, share in SWEEP.items()
        ]

    @cached_property
    def teacher(self) -> Scored:
        return self.scored([self.data(77)], "teacher")

    def verdict(self, sets: list[Tensor]) -> Verdict:
        return promote(
            [self.scored(sets, "cheat")],
            {"plain": self.plain},
            guard=Guard(teacher=self.teacher.across[0], baselines={"euler": self.plain[0].across}),
            teacher_entropy=self.teacher.entropy,
        )


def countdown(_: Path) -> Lab:
    backbone = exact_backbone("countdown-exact", LENGTH)
    return Lab("countdown", backbone, lambda s: draw_sequences(s, torch.arange(MANY), LENGTH, 32), MANY)


def sequences(_: Path) -> Lab:
    backbone = exact_backbone("tiny", LENGTH, 8)
    return Lab("sequences", backbone, lambda s: draw_sequences(s, torch.arange(NUM), LENGTH, 8))


def text(_: Path) -> Lab:
    part = load_corpus().tokens("train")
    return Lab("text", load_backbone("text-radd"), lambda s: draw_windows(part, s, torch.arange(NUM), 128))


def digits(_: Path) -> Lab:
    pixels = load_images("backbone").pixels

    def some(seed: int) -> Tensor:
        return pixels[torch.randperm(len(pixels), generator=generator(seed))[:NUM]]

    return Lab("digits", load_backbone("digits-uniform"), some)


def gpt2_tokens(folder: Path) -> Lab:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=openwebtext.VOCABULARY, n_positions=16, n_embd=8, n_layer=1, n_head=2)
    judge = GPT2LMHeadModel(config).eval()
    common = torch.randint(0, openwebtext.VOCABULARY, (400,), generator=generator(5))  # what the language is
    with torch.no_grad():
        judge.transformer.ln_f.bias.fill_(1.0)
        judge.transformer.wte.weight[common] = 0.5  # these get a logit of about 4
    judge.save_pretrained(folder / "gpt2-large")
    nested = files.nested_config(hidden_size=8, cond_dim=4, length=10, n_blocks=1, n_heads=2)
    tensors = random_tensors(
        states=openwebtext.VOCABULARY + 1, dim=8, blocks=1, heads=2, cond=4, dtype=torch.float32
    )
    hub = files.write_hub(folder / "mine", nested | {"tokens": openwebtext.VOCABULARY}, tensors)
    return Lab(
        "openwebtext",
        load_published(hub, "mine"),
        lambda s: common[torch.randint(0, 400, (NUM, 5), generator=generator(s))].repeat_interleave(2, dim=1),
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
    config = images.config(ch=8, ch_mult=[1, 1], num_scales=2, data_min_max=[0, 255])
    config["data"] |= {"S": 256, "shape": [3, 32, 32]}
    tensors = images.random_tensors_of([1, 1], torch.float32)
    drawn_by = load_published(images.write(folder / "run", config, tensors), "cifar10-ctmc")
    return Lab("cifar10", drawn_by, pictures)


def antibodies(_: Path) -> Lab:
    drawn_by = exact_backbone("residues", 120, 20)
    vocabulary = {"vocabulary": {"tokens": list(RESIDUES), "separator": ""}}
    backbone = MarkovExact("residues", drawn_by.config | vocabulary, drawn_by.tensors())
    return Lab("antibody", backbone, lambda s: variable_domains(s, NUM, 120))


def molecules(_: Path) -> Lab:
    known = moses.tokens_of("test")
    drawn_by = exact_backbone("molecules", moses.LENGTH, len(moses.TOKENS))
    vocabulary = {"vocabulary": moses.VOCABULARY.to_dict()}
    backbone = MarkovExact("molecules", drawn_by.config | vocabulary, drawn_by.tensors())
    return Lab("molecules", backbone, lambda s: moses.draw(known, s, torch.arange(NUM)))


def lists(_: Path) -> Lab:
    backbone = exact_backbone("lists", LISTS, 16)
    return Lab("lists", backbone, lambda s: draw_lists(s, torch.arange(NUM), LISTS, 16))


def sudoku(_: Path) -> Lab:
    backbone = exact_backbone("sudoku", 36, 6)
    return Lab("sudoku", backbone, lambda s: draw_grids(s, torch.arange(NUM), 6), noise=0.05)


MADE: dict[str, Callable[[Path], Lab]] = {
    "countdown": countdown,
    "sequences": sequences,
    "text": text,
    "digits": digits,
    "openwebtext": gpt2_tokens,
    "cifar10": colours,
    "antibody": antibodies,
    "molecules": molecules,
    "lists": lists,
    "sudoku": sudoku,
}


@pytest.fixture(scope="module", params=list(MADE))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, Path]:
    """A lab, and the folder with what its judge needs."""
    folder = tmp_path_factory.mktemp("weights")
    return MADE[request.param](folder), folder


@pytest.fixture
def lab(made: tuple[Lab, Path], monkeypatch: pytest.MonkeyPatch) -> Lab:
    if made[0].task in ("openwebtext", "cifar10"):
        monkeypatch.setenv("LSD_WEIGHTS", str(made[1]))
    return made[0]


def test_every_task_is_tried() -> None:
    assert set(TASKS) == set(MADE)


def modes(lab: Lab, seed: int, number: int) -> Tensor:
    """`number` good sequences again and again."""
    return lab.data(50 + seed)[torch.arange(lab.num) % number]


def nearly_one(lab: Lab, seed: int) -> Tensor:
    """One sequence with one token changed in each copy, so that no two are the same."""
    tokens, gen = modes(lab, seed, 1).clone(), generator(seed)
    at = torch.randint(0, tokens.shape[1], (lab.num, 1), generator=gen)
    return tokens.scatter(1, at, torch.randint(0, lab.num_tokens, (lab.num, 1), generator=gen))


def memorised(lab: Lab, seed: int) -> Tensor:
    """A quarter of the data, drawn with replacement."""
    return lab.data(50)[torch.randint(0, lab.num // 4, (lab.num,), generator=generator(seed))]


def copied_twice(lab: Lab, seed: int) -> Tensor:
    """The teacher's own sequences, each twice."""
    return lab.data(77)[torch.arange(lab.num) // 2]


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
    """Only the commonest tokens, four fifths of the histogram, are ever drawn."""
    tokens = lab.data(50 + seed)
    counts = tokens.flatten().bincount(minlength=lab.num_tokens)
    ranked = counts.argsort(descending=True)
    used = int((counts[ranked].cumsum(0) <= 0.8 * tokens.numel()).sum())
    known = torch.zeros(lab.num_tokens, dtype=torch.bool).scatter(0, ranked[: max(1, used)], True)
    return torch.where(known[tokens], tokens, ranked[0])


def half_garbage(lab: Lab, seed: int) -> Tensor:
    """Exact samples and uniform noise, half and half."""
    noise = torch.randint(0, lab.num_tokens, lab.data(50).shape, generator=generator(seed))
    return torch.where(torch.arange(lab.num)[:, None] % 2 == 0, lab.data(50 + seed), noise)


def half_collapsed(lab: Lab, seed: int) -> Tensor:
    """Exact samples, every second one the same."""
    return torch.where(torch.arange(lab.num)[:, None] % 2 == 0, lab.data(50 + seed), lab.data(50)[:1])


def hot_and_collapsed(lab: Lab, seed: int) -> Tensor:
    """One seed's samples noisier than plain steps, the other's a single sequence: the entropy is in between."""
    return lab.noisy(50, 0.4) if seed == 0 else modes(lab, 0, 1)


def recombined(lab: Lab, seed: int) -> Tensor:
    """Halves of four sequences put together in every way."""
    tokens, half = lab.data(50 + seed), lab.data(50).shape[1] // 2
    first, second = tokens[torch.arange(lab.num) % 4], tokens[torch.arange(lab.num) // 4 % 4]
    return torch.cat([first[:, :half], second[:, half:]], dim=1)


def turned(lab: Lab, seed: int) -> Tensor:
    """One sequence, begun at another place each time."""
    one = lab.data(50 + seed)[0]
    at = torch.randint(0, len(one), (lab.num,), generator=generator(seed))
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
    """With less noise than plain steps at any temperature, on their uniforms: the guard does not refuse everything."""
    verdict = lab.verdict([lab.noisy(seed, 0.02) for seed in range(SEEDS)])
    assert verdict.guarded[0].passes, verdict.guarded
    assert verdict.won, verdict.comparisons
