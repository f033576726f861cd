"""Sampler cards as a person gets them from somebody else: loaded and, if taken, sampled from."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

from lsd_core.sampler import load_sampler
from lsd_core.storage.sealed import seal
from tests.fuzz.outcomes import Case
from tests.fuzz.values import changed, spoiled


def cards(base: str, folder: Path, gen: Random, number: int) -> Iterator[Case]:
    """The card in the text, changed, and then sealed anew or not; `folder` is a store that holds nothing."""

    def load(name: str, data: bytes) -> None:
        file = folder / f"{name}.json"
        file.write_bytes(data)
        load_sampler(file, store=str(folder)).sample(2)

    yield Case("card", "as it is", partial(load, "base", base.encode()))
    for index in range(number):
        record, what = changed(json.loads(base), gen)
        if gen.random() < 0.3 and isinstance(record, dict):
            try:
                record, what = seal(record), f"{what}; sealed"
            except ValueError:  # NaN, or half a character
                what = f"{what}; not sealed"
        data = json.dumps(record).encode()
        if gen.random() < 0.2:
            data, more = spoiled(data, gen)
            what = f"{what}; {more}"
        yield Case("card", what, partial(load, str(index), data))
