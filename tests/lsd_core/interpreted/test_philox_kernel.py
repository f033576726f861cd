"""Fused uniforms are the plain ones, bit for bit."""

from lsd_core.numerics import randomness
from tests.lsd_core.fused_cases import differing_uniforms, words


def test_fused_uniforms_are_the_plain_ones_bit_for_bit() -> None:
    assert sum(1 for _ in words()) > 5
    assert differing_uniforms() == 0


def test_uniforms_take_the_fused_path(fused_on_cpu: None, monkeypatch) -> None:
    [*_, (trajectory, call, position), _, _, _] = words()
    plain = randomness._plain(3, trajectory, call, position, randomness.Purpose.TOKEN)
    drawn = randomness.uniforms(3, trajectory, call, position, randomness.Purpose.TOKEN)
    assert drawn.equal(plain)
    monkeypatch.setattr(randomness, "_plain", None)
    assert randomness.uniforms(3, trajectory, call, position, randomness.Purpose.TOKEN).equal(plain)
