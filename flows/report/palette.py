"""How a sampler looks in every figure: its method's colour, dashed for controls, a mark for its base sampler."""

from collections.abc import Iterable

from lsd_core.distillation.methods import METHODS
from lsd_core.samplers import place_of

CONTROL = "--"
MARKS = "os^Dvp"


def colour_and_line(method: str) -> tuple[str, str]:
    """The same for a method everywhere, and for no other."""
    learned = METHODS[method].learned
    kind = [name for name, each in METHODS.items() if each.learned == learned]
    return f"C{kind.index(method)}", "-" if learned else CONTROL


def marks(samplers: Iterable[str]) -> dict[str, str]:
    """A mark for each base sampler that is drawn, in the order of the catalogue."""
    ordered = sorted(set(samplers), key=place_of)
    return {name: MARKS[index % len(MARKS)] for index, name in enumerate(ordered)}
