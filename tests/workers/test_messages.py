"""What a worker tells while it learns: points in batches, whole or not at all, and how it ended."""

import math
import time

import pytest
import ray

from workers import messages
from workers.messages import Curve, Message, Points, flat
from workers.session import LOCAL, ray_session


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[Points]:
    """The points that are sent, in the place of Ray's transport."""
    sent: list[Points] = []

    def send(said: object, wait_s: float = 0.0) -> None:
        points = Message("here", 1, said).points()  # type: ignore[arg-type]
        assert points is not None
        sent.append(points)

    monkeypatch.setattr(messages, "send", send)
    return sent


def curve() -> Curve:
    return Curve(key="cells/k/table-0.json", backbone="b", title="learning b nfe4")


def test_points_are_told_at_once_and_then_in_batches(
    heard: list[Points], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(messages.time, "monotonic", lambda: clock[0])
    with curve() as watch:
        for step in range(7):
            watch(step, {"loss": 1 / (1 + step)})
            clock[0] += 0.4
    told = list(heard)
    assert [[step for step, _ in points.points] for points in told] == [[0], [1, 2, 3], [4, 5, 6], []]
    assert [points.status for points in told] == ["RUNNING"] * 3 + ["FINISHED"]
    assert told[1].points[0] == (1, {"loss": 0.5})
    assert {(points.key, points.title) for points in told} == {("cells/k/table-0.json", "learning b nfe4")}


def test_a_job_that_fails_says_so_and_one_that_learns_nothing_says_nothing(
    heard: list[Points],
) -> None:
    def fail() -> None:
        with curve() as watch:
            watch(0, {"loss": 1.0})
            raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        fail()
    assert [points.status for points in heard] == ["RUNNING", "FAILED"]
    heard.clear()
    with curve():
        pass
    assert heard == []


def test_lists_become_series_and_what_is_not_finite_is_left_out() -> None:
    values = {"loss": 0.123456789, "gains": [1.0, math.inf, 3], "bad": math.nan}
    assert flat(values) == {"loss": 0.123457, "gains/00": 1.0, "gains/02": 3.0}


def test_a_record_of_another_form_is_no_point() -> None:
    whole = {"key": "k", "backbone": "b", "title": "t", "points": [(0, {"loss": 1.0})]}
    assert Message("here", 1, whole).points() is not None
    assert Message("here", 1, {name: whole[name] for name in ("key", "points")}).points() is None
    assert Message("here", 1, {"colour": 1}).points() is None
    assert not Message("here", 1, "learned a table").is_points


@pytest.mark.usefixtures("local_ray")
def test_messages_arrive_also_after_their_actor_died_and_no_worker_waits_for_it() -> None:
    heard: list[object] = []

    def say(text: str) -> float:
        begin = time.monotonic()
        messages.send(text)
        return time.monotonic() - begin

    def said(text: str) -> list[float]:
        """Seconds of each call, until the driver has heard it."""
        took, deadline = [], time.monotonic() + 60
        while text not in heard and time.monotonic() < deadline:
            took.append(ray.get(ray.remote(say).remote(text)))
        assert text in heard
        return took

    with ray_session(LOCAL, hear=lambda told: heard.append(told.said)):
        said("before")
        ray.kill(ray.get_actor(messages.MAILBOX), no_restart=False)
        assert max(said("after")) < 5
    ray.get(ray.remote(say).remote("to nobody"))
    assert "to nobody" not in heard
