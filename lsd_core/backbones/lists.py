"""Exact conditionals of list operations: a perfect backbone whose dependence is known.

The joint distribution of (operation, list, answer) is a mixture over the operations, each with a list of independent
uniform values and a uniform right answer, and with weight `smoothing` a sequence of independent uniform tokens, so that
conditionals exist after tokens that no operation could give. For each operation the probability of what is unmasked,
and of it with one token more, has a closed form: products over pairs of places for copy, reverse and replace, and for
shuffle and sort a sum over how often each value occurs, by a chain over the values.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.family import Family
from lsd_core.backbones.fingerprint import fingerprint
from lsd_core.backbones.list_operations import OPERATIONS, list_size
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing

# Of lists and answers (b, k) with the mask at unknown places: the probability of each pair of them, and with each token
# at each place of both, (b,) and (b, 2k, v).
Marginals = tuple[Float[Tensor, " b"], Float[Tensor, "b p v"]]


class ListsExact:
    """The conditionals of list operations, each with its weight in `operations`."""

    family = "lists"
    task = "lists"
    time_free = True
    normalised = True

    def __init__(self, name: str, config: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        self.name, self.config = name, config
        self.process = Absorbing.from_dict(config["process"])
        self.length: int = config["length"]
        self.size, self.smoothing = list_size(self.length), float(config["smoothing"])
        self.operations = tensors["operations"].double()
        if self.process.num_tokens < len(OPERATIONS):
            rule = f"be at least {len(OPERATIONS)}, one for each operation"
            raise InputError("backbone config.process.num_tokens", rule, self.process.num_tokens)
        if self.operations.shape != (len(OPERATIONS),) or not bool((self.operations >= 0).all()):
            raise InputError("operations", f"be {len(OPERATIONS)} weights >= 0", self.operations.tolist())
        if not 0 < self.smoothing < 1:
            raise InputError("backbone config.smoothing", "lie in (0, 1)", self.smoothing)

    def features(self, x: Int[Tensor, "b l"], t: Tensor) -> Float[Tensor, "b l v"]:
        """Log of the conditional distribution at every position, float64; t is ignored."""
        v, mask = self.process.num_tokens, self.process.mask
        given, answer, operation = x[:, 1 : 1 + self.size], x[:, 1 + self.size :], x[:, 0]
        weights = (1 - self.smoothing) * self.operations.to(x.device) / self.operations.sum()
        joint = x.new_zeros(*x.shape, v, dtype=torch.float64)
        for number, name in enumerate(OPERATIONS):
            rows = ((operation == number) | (operation == mask)).nonzero()[:, 0]
            chance, tokens = MARGINALS[name](given[rows], answer[rows], v)
            joint[rows, 0, number] = weights[number] * chance
            joint[rows, 1:] += weights[number] * tokens
        known = (x != mask).sum(1)
        free = self.smoothing * torch.tensor(float(v), dtype=torch.float64) ** -(known + 1).double()
        joint = joint + free[:, None, None]
        return (joint / joint.sum(-1, keepdim=True)).log()

    def head(self, rows: Tensor) -> Tensor:
        return rows

    def tensors(self) -> dict[str, Tensor]:
        return {"operations": self.operations}

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.tensors(), self.config)


def of_pairs(answer: Callable[[Tensor], Tensor], changed: bool) -> Callable[[Tensor, Tensor, int], Marginals]:
    """Each place of the answer repeats one of the list (`answer` puts it there), or all do but one, any, `changed`."""

    def marginals(given: Int[Tensor, "b k"], answered: Int[Tensor, "b k"], v: int) -> Marginals:
        answered, size = answer(answered), given.shape[1]  # its own inverse
        first, second = (_possible(tokens, v) for tokens in (given, answered))
        # Of each pair (value, answer): the probability that they are equal and the known ones, by the value of either;
        # and that they differ and are.
        equal = first * second / v
        others = 1 / (v * (v - 1))
        by_first = first * (second.sum(-1, keepdim=True) - second) * others
        by_second = second * (first.sum(-1, keepdim=True) - first) * others
        zero = torch.zeros_like(equal[..., 0])
        kept, moved = equal.sum(-1), by_first.sum(-1) if changed else zero
        rest, rest_moved = _all_but_one(kept, moved)  # of all other pairs: none changed, one changed
        if changed:
            chance = (kept[:, 0] * rest_moved[:, 0] + moved[:, 0] * rest[:, 0]) / size
            tokens = [
                (equal * rest_moved[..., None] + part * rest[..., None]) / size
                for part in (by_first, by_second)
            ]
        else:
            chance = kept[:, 0] * rest[:, 0]
            tokens = [equal * rest[..., None]] * 2
        return chance, torch.cat([tokens[0], answer(tokens[1])], dim=1)

    return marginals


def _possible(tokens: Int[Tensor, "b k"], v: int) -> Float[Tensor, "b k v"]:
    """1 at the token, or at all of them where it is unknown."""
    one = torch.nn.functional.one_hot(tokens.clamp(max=v - 1), v).double()
    return torch.where((tokens == v)[..., None], 1.0, one)


def _all_but_one(
    kept: Float[Tensor, "b k"], moved: Float[Tensor, "b k"]
) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b k"]]:
    """For each place the coefficients of 1 and z in the product of kept + moved z over all other places."""

    def products(a: Tensor, b: Tensor) -> list[tuple[Tensor, Tensor]]:
        out = [(torch.ones_like(a[:, 0]), torch.zeros_like(a[:, 0]))]
        for i in range(a.shape[1] - 1):
            last, last_moved = out[-1]
            out.append((last * a[:, i], last_moved * a[:, i] + last * b[:, i]))
        return out

    before = products(kept, moved)
    after = products(kept.flip(1), moved.flip(1))[::-1]
    pairs = list(zip(before, after, strict=True))
    rest = torch.stack([p * q for (p, _), (q, _) in pairs], dim=1)
    return rest, torch.stack([p * n + m * q for (p, m), (q, n) in pairs], dim=1)


def of_counts(sort: bool) -> Callable[[Tensor, Tensor, int], Marginals]:
    """The answer holds each value as often as the list: in any order, all alike, or (`sort`) in ascending order.

    With c_v the number of values v, a list has probability v^-k; of those with the known tokens there are
    m! / prod (c_v - a_v)! where a_v of them are known and m are not, and a shuffle has probability prod c_v! / k!.
    The sum over all c runs along the values; its state is the number of values so far.
    """

    def marginals(given: Int[Tensor, "b k"], answered: Int[Tensor, "b k"], v: int) -> Marginals:
        size, device = given.shape[1], given.device
        known, known_answers = (
            torch.nn.functional.one_hot(tokens, v + 1).sum(1).double()[:, None, None, :v]
            for tokens in (given, answered)
        )
        reached = torch.arange(size + 1, device=device)
        count = (reached[None, :] - reached[:, None]).double()[None, :, :, None]  # (1, n, n, 1): from, to
        weight = (count >= known) / _factorial((count - known).clamp(min=0))
        if sort:
            weight = weight * _in_blocks(answered, v)
        else:
            ways = _factorial(count.clamp(min=0)) / _factorial((count - known_answers).clamp(min=0))
            weight = weight * (count >= known_answers) * ways
        weight = weight * (count >= 0)
        free, free_answers = (given == v).sum(1).double(), (answered == v).sum(1).double()
        scale = _factorial(free) * float(v) ** -size
        if not sort:
            scale = scale * _factorial(free_answers) / _factorial(torch.tensor(float(size)))
        between = _between(weight) * scale[:, None, None, None]
        chance = between[..., 0].sum((1, 2))
        of_list = (between * (count - known)).sum((1, 2)) / free.clamp(min=1)[:, None]
        if sort:
            place = torch.arange(size, device=device)
            inside = (reached[:, None, None] <= place) & (place < reached[None, :, None])  # (n, n, k)
            of_answer = torch.einsum("bnmv,nmk->bkv", between, inside.double())
        else:
            of_answer = (
                (between * (count - known_answers)).sum((1, 2)) / free_answers.clamp(min=1)[:, None]
            )[:, None].expand(-1, size, -1)
        return chance, torch.cat([of_list[:, None].expand(-1, size, -1), of_answer], dim=1)

    return marginals


def _in_blocks(answered: Int[Tensor, "b k"], v: int) -> Float[Tensor, "b n n v"]:
    """1 where no known answer at the places from .. to - 1 is another value than v."""
    wrong = (answered[..., None] != torch.arange(v, device=answered.device)) & (answered != v)[..., None]
    total = torch.nn.functional.pad(wrong.double().cumsum(1), (0, 0, 1, 0))  # (b, k + 1, v)
    return (total[:, None] - total[:, :, None] == 0).double()


def _between(weight: Float[Tensor, "b n n v"]) -> Float[Tensor, "b n n v"]:
    """Sum over all chains 0 .. k through the values, by where the chain was before and after each value."""
    b, n, _, v = weight.shape
    before = [torch.nn.functional.one_hot(torch.zeros(b, dtype=torch.long), n).to(weight)]
    after = [torch.nn.functional.one_hot(torch.full((b,), n - 1), n).to(weight)]
    for value in range(v - 1):
        before.append(torch.einsum("bn,bnm->bm", before[-1], weight[..., value]))
        after.append(torch.einsum("bnm,bm->bn", weight[..., v - 1 - value], after[-1]))
    forward, backward = torch.stack(before, dim=-1), torch.stack(after[::-1], dim=-1)
    return forward[:, :, None] * weight * backward[:, None]


def _factorial(number: Tensor) -> Tensor:
    return torch.lgamma(number.double() + 1).exp()


MARGINALS: dict[str, Callable[[Tensor, Tensor, int], Marginals]] = {
    "copy": of_pairs(lambda tokens: tokens, changed=False),
    "reverse": of_pairs(lambda tokens: tokens.flip(1), changed=False),
    "shuffle": of_counts(sort=False),
    "sort": of_counts(sort=True),
    "replace": of_pairs(lambda tokens: tokens, changed=True),
}


def lists_exact(name: str, size: int, num_values: int, smoothing: float = 1e-4) -> ListsExact:
    """The perfect backbone for lists of `size` values, all operations alike."""
    config = {
        "family": ListsExact.family,
        "process": Absorbing(num_values).to_dict(),
        "length": 1 + 2 * size,
        "smoothing": smoothing,
    }
    weights = torch.full((len(OPERATIONS),), 1 / len(OPERATIONS), dtype=torch.float64)
    return ListsExact(name, config, {"operations": weights})


FAMILY = Family(name=ListsExact.family, build=ListsExact)
