"""Sets of templates: named by content, split in two, drawn by (seed, trajectory), and carried by a teacher's spec."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lsd_core.candidates.teacher import generate_shard, teacher_spec
from lsd_core.errors import InputError
from lsd_core.storage.store import Store
from lsd_core.trajectories import TeacherSpec, commit_shard, encode_shard, publish_manifest, read_trajectories
from lsd_core.trajectories.conditions import (
    TemplateSet,
    damaged_conditions,
    read_conditions,
    read_template_set,
)
from tests.lsd_core.given import LENGTH, V, template
from tests.lsd_core.oracles import TableBackbone, conditionals, joint_law

TEMPLATES = torch.stack([template(2, None, None, 1), template(None, 0, None, None), template(0, None, 2, 2)])
WHOLE = TemplateSet(templates=TEMPLATES, num_tokens=V)


def network() -> TableBackbone:
    """A chain with a name and a fingerprint that a spec takes."""
    backbone = TableBackbone(conditionals(joint_law(7, V, LENGTH, 1.5)), V)
    backbone.fingerprint = "ab" * 32
    return backbone


def test_a_set_is_read_back_by_its_digest(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    WHOLE.publish(store)
    assert torch.equal(read_template_set(store, WHOLE.digest).templates, TEMPLATES)
    assert damaged_conditions(store) == {}
    file = tmp_path / WHOLE.key
    file.write_text(file.read_text().replace("null", "1", 1))
    assert list(damaged_conditions(store)) == [WHOLE.key]
    with pytest.raises(InputError, match="have the content of its digest"):
        read_template_set(Store(str(tmp_path)), WHOLE.digest)
    WHOLE.publish(Store(str(tmp_path)))  # mends it
    assert damaged_conditions(Store(str(tmp_path))) == {}


@pytest.mark.parametrize(("share", "sizes"), [(0.5, (1, 2)), (0.01, (2, 1)), (0.99, (1, 2)), (0.0, (3, 3))])
def test_the_parts_are_disjoint_whatever_the_order_of_the_lines(share: float, sizes: tuple[int, int]) -> None:
    def parts(whole: TemplateSet) -> list[set[tuple[int, ...]]]:
        both = [whole.conditions(p, held_out=share, unconditional=0.0) for p in ("learn", "held_out")]
        return [{tuple(row) for row in each.templates.tolist()} for each in both]

    learn, held_out = parts(WHOLE)
    assert (len(learn), len(held_out)) == sizes
    assert not learn & held_out or share == 0
    assert [learn, held_out] == parts(TemplateSet(templates=TEMPLATES.flip(0), num_tokens=V))


def test_one_template_cannot_be_split_and_all_given_is_no_template() -> None:
    one = TemplateSet(templates=TEMPLATES[:1], num_tokens=V)
    with pytest.raises(InputError, match="held_out must be 0 for a single template"):
        one.conditions("learn", held_out=0.5, unconditional=0.0)
    assert len(one.conditions("held_out", held_out=0.0, unconditional=0.0).templates) == 1
    with pytest.raises(InputError, match="leave a position free"):
        TemplateSet(templates=torch.zeros(1, LENGTH, dtype=torch.long), num_tokens=V)


def test_a_trajectory_draws_its_template_alone_and_a_share_has_nothing_given() -> None:
    given = WHOLE.conditions("learn", held_out=0.0, unconditional=0.4)
    drawn = given.at(5, torch.arange(4000))
    assert torch.equal(given.at(5, torch.tensor([3999, 7])), drawn[[3999, 7]])
    free = (drawn == V).all(1)
    assert float(free.double().mean()) == pytest.approx(0.4, abs=0.03)
    for one in TEMPLATES:
        assert float((drawn == one).all(1).double().mean()) == pytest.approx(0.2, abs=0.03)
    assert given.mean_free == pytest.approx(0.4 * 4 + 0.6 * 2)
    assert given.record["free"] == [1, 3]


def test_a_spec_without_conditions_has_the_hash_that_it_had(make_spec: Callable[..., TeacherSpec]) -> None:
    assert "conditions" not in make_spec().to_dict()
    record = WHOLE.conditions("learn", held_out=0.5, unconditional=0.0).record
    named = make_spec(conditions=record)
    assert named.hash != make_spec().hash
    assert TeacherSpec.from_dict(json.loads(json.dumps(named.to_dict()))) == named
    for wrong in ({"digest": "x"}, record | {"digest": "../x"}, record | {"part": "other"}):
        with pytest.raises(InputError, match="conditions"):
            make_spec(conditions=wrong)


@pytest.mark.parametrize("steps", [None, 5])
def test_trajectories_come_back_from_the_store_with_what_was_given(tmp_path: Path, steps: int | None) -> None:
    store, given = Store(str(tmp_path)), WHOLE.conditions("learn", held_out=0.0, unconditional=0.3)
    WHOLE.publish(store)
    asked: dict[str, Any] = {"batch": 8, "shard_rows": 16, "seed": 3, "conditions": given, "steps": steps}
    spec = teacher_spec(network(), method="exact" if steps is None else "euler", **asked)
    assert spec.most_free == LENGTH
    paths = generate_shard(network(), spec, 0, conditions=read_conditions(store, spec.conditions))
    publish_manifest(store, spec, [commit_shard(store, spec, 0, encode_shard(paths, spec))])
    found = read_trajectories(store, spec, 16)
    templates = given.at(3, torch.arange(16))
    assert torch.equal(found.given, templates != V)
    assert torch.equal(found.x_end.long()[found.given], templates[found.given])
    if steps is not None:
        assert found.reveal_step[found.given].unique().tolist() == [-1]
        assert int(found.reveal_step[~found.given].min()) >= 0
    with pytest.raises(InputError, match="be those of the teacher"):
        generate_shard(network(), spec, 0)
