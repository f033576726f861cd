"""Pictures in the documentation are what the code draws today."""

import re

from infra.docs_pictures import DOCS, LENGTH, PANELS, steps_picture

REMEDY = "run python -m infra.docs_pictures"


def test_the_picture_of_steps_is_what_the_samplers_draw() -> None:
    assert (DOCS / "steps.svg").read_text() == steps_picture(), REMEDY


def test_each_panel_reveals_every_token_once_and_errors_fall_from_panel_to_panel() -> None:
    text = steps_picture()
    assert text.count('class="cell new"') == len(PANELS) * LENGTH
    means = [float(mean) for mean in re.findall(r", ([\d.]+) on average", text)]
    assert means == sorted(means, reverse=True)
    assert len(means) == len(PANELS)
    broken = [int(count) for count in re.findall(r": (\d+) of \d+ transitions", text)]
    assert text.count('class="broken"') == sum(broken)
