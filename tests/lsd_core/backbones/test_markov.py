"""The Markov oracle's conditionals are Bayes' rule."""

import pytest
import torch

from lsd_core.backbones.markov import MarkovExact
from lsd_core.backbones.protocol import Backbone, log_weights, log_x0
from lsd_core.backbones.storage import from_bytes, to_bytes
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing
from tests.lsd_core.oracles import all_states, conditionals

SMOOTHING = 0.05


def chain(smoothing: float = SMOOTHING) -> MarkovExact:
    gen = torch.Generator().manual_seed(0)
    initial = torch.rand(3, generator=gen, dtype=torch.float64)
    transition = torch.rand(3, 3, generator=gen, dtype=torch.float64) ** 2
    tensors = {"initial": initial / initial.sum(), "transition": transition / transition.sum(1, keepdim=True)}
    config = {"family": "markov", "process": Absorbing(3).to_dict(), "length": 4, "smoothing": smoothing}
    return MarkovExact("chain", config, tensors)


def test_conditionals_equal_bayes_by_enumeration() -> None:
    backbone = chain()
    step = (1 - SMOOTHING) * backbone.transition + SMOOTHING / 3
    joint = torch.einsum("a,ab,bc,cd->abcd", backbone.initial, step, step, step)
    x = all_states(4, 4)
    expected = conditionals(joint)
    masked = x == 3
    law = log_weights(backbone, x, torch.full((len(x),), 0.5, dtype=torch.float64))
    torch.testing.assert_close(law[masked], expected[masked], atol=1e-10, rtol=0)


def test_a_chain_through_the_positions_in_any_order_has_the_conditionals_of_that_order() -> None:
    straight, places = chain(), [2, 0, 3, 1]
    config = straight.config | {"positions": places}
    shuffled = MarkovExact("chain", config, straight.tensors())
    step = (1 - SMOOTHING) * straight.transition + SMOOTHING / 3
    joint = torch.einsum(
        "a,ab,bc,cd->bdac", straight.initial, step, step, step
    )  # the chain's c stands at 0 ... 3
    x = all_states(4, 4)
    law = log_weights(shuffled, x, torch.full((len(x),), 0.5, dtype=torch.float64))
    torch.testing.assert_close(law[x == 3], conditionals(joint)[x == 3], atol=1e-10, rtol=0)
    assert shuffled.fingerprint != straight.fingerprint
    assert from_bytes(to_bytes(shuffled), "memory").fingerprint == shuffled.fingerprint
    identity = MarkovExact("chain", straight.config | {"positions": [0, 1, 2, 3]}, straight.tensors())
    t = torch.full((len(x),), 0.5, dtype=torch.float64)
    assert torch.equal(identity.features(x, t), straight.features(x, t))
    with pytest.raises(InputError, match=r"config\.positions must be a permutation of 0 \.\. 3"):
        MarkovExact("chain", straight.config | {"positions": [0, 1, 1, 2]}, straight.tensors())


def test_conditionals_survive_an_impossible_reveal() -> None:
    tensors = {"initial": torch.tensor([1.0, 0.0, 0.0]), "transition": torch.eye(3)}
    config = {"family": "markov", "process": Absorbing(3).to_dict(), "length": 4, "smoothing": 1e-4}
    x = torch.tensor([[0, 3, 3, 1]])  # a frozen chain cannot go from 0 to 1
    law = log_x0(MarkovExact("frozen", config, tensors), x, torch.tensor([0.5]).double()).exp()[0]
    torch.testing.assert_close(law.sum(-1), torch.ones(4, dtype=torch.float64))
    assert float(law[1, 0]) == pytest.approx(2 / 3, abs=1e-3)  # the one rare step is as likely anywhere
    assert float(law[1, 2]) < 1e-3


def test_it_keeps_the_protocol_and_is_stored() -> None:
    backbone = chain()
    assert isinstance(backbone, Backbone)
    assert from_bytes(to_bytes(backbone), "memory").fingerprint == backbone.fingerprint
    assert chain(0.06).fingerprint != backbone.fingerprint


def test_wrong_chains_are_refused() -> None:
    with pytest.raises(InputError, match="smoothing must lie in"):
        chain(0.0)
    good = chain()
    with pytest.raises(InputError, match="transition must have shape"):
        MarkovExact("n", good.config, {**good.tensors(), "transition": torch.ones(2, 2)})
