"""An atlas finds planted directions and places led to, and nothing where nothing is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from irl_lens.analyses.atlas import Atlas, atlas, cluster_atlas, controller_atlas, difference
from irl_lens.analyses.atlas.describe import Setting, describe
from irl_lens.analyses.atlas.ending import ending
from irl_lens.analyses.atlas.subjects import Subject, cluster_subjects
from irl_lens.analyses.atlas.weights import Targets, overlap, probed, score, written_to
from irl_lens.analyses.core.label_controllers import decoded
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.result import read_arrays, write
from irl_lens.analyses.rollouts.taskless import Course
from irl_lens.envs.scenes import Walkable
from irl_lens.errors import UserError
from irl_lens.hooks import FullController, LowRankController, VectorController
from irl_lens.models.fast import FastPath
from irl_lens.runs.run import Run

if TYPE_CHECKING:
    from tests.analyses.conftest import Steered

D = 16


def _planted(reads: torch.Tensor, writes: torch.Tensor) -> Subject:
    matrix = torch.outer(writes, reads)
    return Subject("A", 0, FullController(matrix, "blocks.0.hook_resid_post"))


def test_planted_directions_are_found_and_others_are_not() -> None:
    weights = torch.randn(D, 3, generator=torch.Generator().manual_seed(0))
    target, elsewhere, read = torch.linalg.qr(weights).Q.mT
    subject = _planted(read, target)
    named = {"target": target[:, None], "elsewhere": elsewhere[:, None]}
    found = {(s.side, s.target): s for s in score(subject, {"read": read[:, None]}, named)}
    for key in (("reads", "read"), ("writes", "target")):
        assert found[key].value == pytest.approx(1, abs=1e-5) and found[key].p <= 0.02
    assert found["writes", "elsewhere"].value < 1e-5 and found["writes", "elsewhere"].p > 0.5


def test_of_many_weights_the_planted_one_alone_stands_out() -> None:
    """Each by itself, one in twenty others would."""
    weights = torch.randn(D, 42, generator=torch.Generator().manual_seed(3))
    read, target = torch.linalg.qr(weights[:, :2]).Q.mT
    others = {f"other {i}": x[:, None] for i, x in enumerate(weights[:, 2:].mT)}
    writes = {"target": target[:, None]} | others
    found = score(_planted(read, target), {"read": read[:, None]}, writes)
    assert {(s.side, s.target) for s in found if s.p < 0.05} == {
        ("reads", "read"),
        ("writes", "target"),
    }


def test_a_score_is_the_product_s_norm() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix, weights = (torch.randn(D, n, generator=generator) for n in (D, 5))
    spectrum = _planted(torch.ones(D), torch.ones(D)).spectrum.of(matrix)
    size = matrix.norm() * weights.norm()
    for directions, product in ((spectrum.reads, matrix @ weights), (spectrum.writes, None)):
        product = matrix.mT @ weights if product is None else product
        value = overlap(spectrum.values, directions, weights)
        torch.testing.assert_close(value, product.norm() / size)


def test_random_controllers_are_no_more_than_their_placebos() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = {"weights": torch.randn(D, 4, generator=generator)}
    p = []
    for _ in range(40):
        draws = torch.randn(2, 4, D, generator=generator)
        controller = LowRankController(draws[0], draws[1].mT, "blocks.0.hook_resid_post")
        p.append(score(Subject("A", 0, controller), weights, {}, draws=39)[0].p)
    assert 0.3 < np.mean(p) < 0.7


def test_a_placebo_has_the_norm_and_other_directions() -> None:
    generator = torch.Generator().manual_seed(0)
    subject = _planted(*torch.randn(2, D, generator=generator))
    placebo = subject.placebo(generator)
    assert isinstance(placebo, LowRankController)
    torch.testing.assert_close(
        placebo.spectrum.values, subject.spectrum.values, atol=1e-4, rtol=1e-4
    )
    full = FullController(placebo.B.detach() @ placebo.A.detach(), placebo.hook_name)
    assert isinstance(subject.controller, FullController)
    assert abs(float(full.cosine(subject.controller))) < 0.5


def test_the_placebo_of_a_vector_is_a_vector() -> None:
    vector = VectorController(torch.arange(1.0, 1.0 + D), "blocks.0.hook_resid_post")
    subject, weights = Subject("A", 0, vector), {"x": torch.ones(D, 1)}
    placebo = subject.placebo(torch.Generator().manual_seed(0))
    assert isinstance(placebo, VectorController)
    torch.testing.assert_close(placebo.v.norm(), vector.v.norm())
    reads, writes = score(subject, weights, weights)
    assert reads.value == reads.placebo == 0 and reads.p == 1
    assert writes.value == pytest.approx(float(vector.v.sum() / vector.v.norm() / D**0.5))


def test_targets_are_the_next_layer_s_and_the_last_has_logits_alone(sighted: FastPath) -> None:
    parts = ("query", "key", "OV")
    heads = [f"layer 2 head {head} {part}" for part in parts for head in range(2)]
    found = written_to(sighted.model, 1)
    assert list(found) == ["action logits", *heads]
    a: Any = sighted.model.hooked.blocks[1].attn
    x = torch.randn(3, D, generator=torch.Generator().manual_seed(1))
    for part, circuit in (("query", a.W_Q @ a.W_K.mT), ("OV", a.W_V @ a.W_O)):
        name = f"layer 2 head 1 {part}"
        torch.testing.assert_close((x @ found[name]).norm(), (x @ circuit[1]).norm())
    assert list(written_to(sighted.model, 2)) == ["action logits"]
    centred = probed(torch.eye(4) + 3, ("a", "b", "c", "d"))
    total = torch.stack(list(centred.values())).sum(0)
    torch.testing.assert_close(total, torch.zeros(4, 1))


TARGETS: tuple[Targets, Targets] = {}, {"weights": torch.ones(24, 1)}
SMALL = Setting(agents=12, draws=9)


@pytest.fixture(scope="module")
def planted(steered: Steered) -> Atlas:
    """Of codes that are known to lead to one colour each, and of one that does nothing."""
    field, world = replace(steered.field, rows=60), steered.field.world
    assert isinstance(world, Walkable)
    codes, names = torch.eye(4), world.subgoal_names
    subjects = [Subject(names[g], g, decoded(steered.meta, codes[g]), codes[g]) for g in (0, 2)]
    still = FullController(torch.zeros(24, 24), steered.meta.hook_name)
    subjects.append(Subject("still", 3, still))
    return describe("codes", subjects, TARGETS, field, [world.situation(1)], SMALL, steered.meta)


def test_planted_controllers_lead_to_their_own_and_one_that_is_nothing_nowhere(
    planted: Atlas,
) -> None:
    *real, still = planted.entries
    assert "adjusted for 3 controllers (Holm)" in planted.caption()
    for entry in real:
        found = entry.behaviour
        assert found.steered.hits[entry.own].value > 0.6 and entry.differs
        assert found.alone.hits[entry.own].value < 0.5 and found.p < 0.01
        assert str(entry) in planted.caption() and " more than the placebo" in str(entry)
    found = still.behaviour
    assert found.steered == found.placebo == found.alone
    assert found.p == 1 and still.norm == 0 and not still.differs
    assert "not reliably more" in str(still)
    effects = [claim.effect for claim in planted.claims()]
    assert min(effects[:2]) > 0.3 and effects[2] == 0


def test_the_gate_ends_a_planted_code_on_arrival(planted: Atlas) -> None:
    """It opens on coloured cells, and those are the subgoals."""
    for entry in planted.entries[:2]:
        ended = entry.behaviour.ending
        assert ended is not None
        assert ended.arrival.value == 1 and ended.chance < 0.5 and ended.p < 0.01
        assert ended.dwell.value == pytest.approx(entry.behaviour.steered.steps.value)
        assert not ended.delays.any()
    assert planted.entries[2].behaviour.ending is None


def test_boards_show_where_a_controller_leads(planted: Atlas) -> None:
    for entry in planted.entries:
        (board,) = entry.boards
        views, standing = board.views, list(board.scene.standing)
        goal = next(t.place for t in board.scene.things if t.label == str(entry.own))
        for view in views.values():
            assert view.occupancy.sum() == pytest.approx(1)
            assert view.actions is not None
            np.testing.assert_allclose(view.actions[standing].sum(axis=1), 1, atol=1e-5)
        if entry.name == "still":
            np.testing.assert_array_equal(views["steered"].occupancy, views["alone"].occupancy)
        else:
            assert views["steered"].occupancy[goal] > 1.5 * views["alone"].occupancy[goal]


def test_failures_are_drawn_where_they_happened(planted: Atlas) -> None:
    failures = planted.entries[2].behaviour.failures
    assert failures
    for failure in failures:
        things = {thing.place: thing.label for thing in failure.scene.things}
        assert failure.path[0] == failure.scene.agent
        assert not set(failure.path[1:-1].tolist()) & set(things)
        reached = things.get(int(failure.path[-1]))
        assert reached == (str(failure.instead) if failure.instead >= 0 else None)
        assert failure.instead != 3


def test_openings_are_compared_with_arrivals() -> None:
    """Of four agents that arrive at step 2 one gate opens then, one sooner, one later, one not."""
    gate = np.zeros((6, 8), bool)
    gate[:, 0] = True
    gate[0, 2] = gate[1, 1] = gate[1, 2] = gate[2, 5] = gate[4, 3] = True
    reached = np.array([[1], [0], [1], [1], [-1], [0]])
    at = np.where(reached >= 0, 2, -1)
    lengths = np.array([8, 8, 8, 8, 8, 2])
    course = Course(reached, at, lengths, np.zeros((6, 9), np.int64), np.zeros((6, 9, 2)), 9)
    found = ending(gate, course)
    shares = [x.value for x in (found.arrival, found.early, found.late)]
    assert shares == [0.25, 0.25, 0.25] and found.dwell.value == pytest.approx(8 / 3)
    assert sorted(found.delays.tolist()) == [-1, 0, 3]
    assert found.chance == pytest.approx(0.25, abs=0.02) and found.p == 1
    nobody = ending(gate, replace(course, reached=np.full((6, 1), -1)))
    assert "No agent arrives" in str(nobody)


def test_clusters_are_found_without_subgoals(steered: Steered) -> None:
    subjects = cluster_subjects(steered.meta, steered.switch_codes, "ABCD", clusters=4)
    assert sorted(subject.own for subject in subjects) == [0, 1, 2, 3]
    for subject in subjects:
        assert subject.name.endswith(f"(100% {'ABCD'[subject.own]})")
        assert subject.code is not None
        torch.testing.assert_close(subject.code, torch.eye(4)[subject.own])
    assert len(cluster_subjects(steered.meta, steered.switch_codes, "ABCD", clusters=9)) == 4


def test_pages_need_no_network(planted: Atlas, tmp_path: Path) -> None:
    write(planted, tmp_path / "atlas", "Atlas")
    written = {file.name for file in (tmp_path / "atlas").iterdir()}
    pages = {f"controller-{number}.html" for number in range(3)}
    assert written == {"index.html", "plotly.js", *pages}
    for file in (tmp_path / "atlas").glob("*.html"):
        assert "http" not in file.read_text().split("<body>")[0]
        assert '<script src="plotly.js">' in file.read_text()
    assert 'href="atlas/index.html"' in (tmp_path / "atlas.html").read_text()
    page = (tmp_path / "atlas" / "controller-2.html").read_text()
    assert "Of 1 scores, those beyond random controllers" in page and "Westfall" in page
    assert page.count("<details>") == len(planted.entries[2].behaviour.failures)


def test_saved_numbers_are_kept(planted: Atlas, tmp_path: Path) -> None:
    content = json.loads(planted.save(tmp_path / "atlas").read_text())
    stored = read_arrays(tmp_path / "atlas")[content["cosines"]["array"]]
    np.testing.assert_array_equal(stored, planted.cosines)
    table = planted.to_dataframe()
    assert set(table.controller) == {entry.name for entry in planted.entries}
    assert table[table.quantity == "first 0"].value_low.notna().all()


def test_an_atlas_does_not_differ_from_itself_and_does_from_another(planted: Atlas) -> None:
    same = difference(planted, planted)
    assert not same.to_dataframe()["difference"].dropna().to_numpy().any()
    assert "no controller differs" in same.caption() and same.figure()
    first, *others = planted.entries
    idle = replace(first.behaviour, steered=first.behaviour.alone)
    other = replace(planted, entries=(replace(first, behaviour=idle), *others))
    found = difference(planted, other)
    assert found.gaps()[0].high < 0 and f"{first.name} differ" in found.caption()
    with pytest.raises(UserError, match="no controller of the same name"):
        difference(planted, replace(planted, entries=(replace(first, name="other"),)))
    with pytest.raises(UserError, match="take runs of one world"):
        difference(planted, replace(planted, names=("A",)))


def test_a_run_s_own_controllers_are_described(smoke_run: Run) -> None:
    loaded = LoadedRun(smoke_run)
    small: dict[str, int] = {"boards": 4, "shown": 0, "draws": 9, "episodes": 24}
    names = loaded.world.subgoal_names
    codes, clusters = atlas(loaded, **small), cluster_atlas(loaded, 2, **small)
    assert {entry.name for entry in codes.entries} <= set(names)
    assert 1 <= len(clusters.entries) <= 2 and clusters.entries[0].name.startswith("cluster 1")
    trained = controller_atlas(loaded, **small)
    assert [entry.name for entry in trained.entries] == list(names)
    assert all(entry.behaviour.ending is None for entry in trained.entries)
    assert trained.kind.startswith("supervised controllers, layer ")
    with pytest.raises(UserError, match="no controllers at layer 99"):
        controller_atlas(loaded, 99, **small)
