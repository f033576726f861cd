"""What a worker tells while it learns: points in batches, whole or not at all, and how it ended."""

import json
import math

import pytest

from workers.messages import MARK, POINTS, Curve, Points, Told, flat


def heard(printed: str) -> list[Points]:
    """The points among printed lines."""
    lines = [Told("here", 1, line.removeprefix(MARK)) for line in printed.splitlines()]
    return [points for line in lines if line.is_points and (points := line.points()) is not None]


def curve() -> Curve:
    return Curve(key="cells/k/table-0.json", backbone="b", title="learning b nfe4")


def test_points_are_told_at_once_and_then_in_batches(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(messages.time, "monotonic", lambda: clock[0])
    with curve() as watch:
        for step in range(7):
            watch(step, {"loss": 1 / (1 + step)})
            clock[0] += 0.4
    told = heard(capsys.readouterr().out)
    assert [[step for step, _ in points.points] for points in told] == [[0], [1, 2, 3], [4, 5, 6], []]
    assert [points.status for points in told] == ["RUNNING"] * 3 + ["FINISHED"]
    assert told[1].points[0] == (1, {"loss": 0.5})
    assert {(points.key, points.title) for points in told} == {("cells/k/table-0.json", "learning b nfe4")}


def test_a_job_that_fails_says_so_and_one_that_learns_nothing_says_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        with curve() as watch:
            watch(0, {"loss": 1.0})
            raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        fail()
    assert [points.status for points in heard(capsys.readouterr().out)] == ["RUNNING", "FAILED"]
    with curve():
        pass
    assert capsys.readouterr().out == ""


def test_lists_become_series_and_what_is_not_finite_is_left_out() -> None:
    values = {"loss": 0.123456789, "gains": [1.0, math.inf, 3], "bad": math.nan}
    assert flat(values) == {"loss": 0.123457, "gains/00": 1.0, "gains/02": 3.0}


def test_a_line_that_did_not_arrive_whole_is_no_point() -> None:
    whole = POINTS + json.dumps({"key": "k", "backbone": "b", "title": "t", "points": [[0, {"loss": 1.0}]]})
    assert Told("here", 1, whole).points() is not None
    assert Told("here", 1, whole[:-5]).points() is None
    assert Told("here", 1, POINTS + '{"colour": 1}').points() is None
    assert not Told("here", 1, "learned a table").is_points
