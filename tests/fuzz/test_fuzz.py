"""Whatever is put in works, is refused in one line, or is reported: eight kinds of inputs with fixed seeds."""

from pathlib import Path

import pytest

from tests.fuzz.everything import all_cases
from tests.fuzz.outcomes import OUTCOMES, tried


@pytest.mark.slow
def test_no_input_ends_in_a_traceback_a_hang_or_many_lines(
    tmp_path: Path, lsd_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSD_CACHE", str(tmp_path / "cache"))
    tally = tried(all_cases(tmp_path))
    print(*tally.lines(), sep="\n")
    assert not tally.faults, "\n".join(tally.faults)
    assert tally.inputs >= 1000
    assert all(sum(count[outcome] for outcome in OUTCOMES) for count in tally.counts.values())
