"""An atlas finds planted directions, and nothing where nothing is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from irl_lens.analyses.atlas import Atlas, difference, write_pages
from irl_lens.analyses.atlas.atlas import describe
from irl_lens.analyses.atlas.subjects import Subject, code_subjects
from irl_lens.analyses.atlas.weights import overlap, probed, score, written_to
from irl_lens.analyses.findings import Bench
from irl_lens.analyses.result import read_arrays
from irl_lens.analyses.roaming import Field
from irl_lens.hooks import FullController, LowRankController
from irl_lens.models.fast import FastPath
from irl_lens.runs import Run
from irl_lens.training.codes import load_metacontroller

D = 16


def _planted(reads: torch.Tensor, writes: torch.Tensor) -> Subject:
    matrix = torch.outer(writes, reads)
    return Subject("A", FullController(matrix, "blocks.0.hook_resid_post"))


def test_planted_directions_are_found_and_others_are_not() -> None:
    weights = torch.randn(D, 3, generator=torch.Generator().manual_seed(0))
    target, elsewhere, read = torch.linalg.qr(weights).Q.mT
    subject = _planted(read, target)
    named = {"target": target[:, None], "elsewhere": elsewhere[:, None]}
    found = {(s.side, s.target): s for s in score(subject, {"read": read[:, None]}, named)}
    for key in (("reads", "read"), ("writes", "target")):
        assert found[key].value == pytest.approx(1, abs=1e-5) and found[key].p <= 0.02
    assert found["writes", "elsewhere"].value < 1e-5 and found["writes", "elsewhere"].p > 0.5


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
        p.append(score(Subject("A", controller), weights, {}, draws=39)[0].p)
    assert 0.3 < np.mean(p) < 0.7


def test_a_placebo_has_the_norm_and_other_directions() -> None:
    generator = torch.Generator().manual_seed(0)
    subject = _planted(*torch.randn(2, D, generator=generator))
    placebo = subject.placebo(generator)
    torch.testing.assert_close(
        placebo.spectrum.values, subject.spectrum.values, atol=1e-4, rtol=1e-4
    )
    full = FullController(placebo.B.detach() @ placebo.A.detach(), placebo.hook_name)
    assert isinstance(subject.controller, FullController)
    assert abs(float(full.cosine(subject.controller))) < 0.5


def test_targets_are_the_next_layer_s_and_the_last_has_logits_alone(sighted: FastPath) -> None:
    heads = [f"block 2 {part}{head}" for part in "QKV" for head in range(2)]
    assert list(written_to(sighted.model, 1)) == ["action logits", *heads]
    assert list(written_to(sighted.model, 2)) == ["action logits"]
    centred = probed(torch.eye(4) + 3, ("a", "b", "c", "d"))
    total = torch.stack(list(centred.values())).sum(0)
    torch.testing.assert_close(total, torch.zeros(4, 1))


@pytest.fixture(scope="module")
def made(smoke_run: Run) -> Atlas:
    """An atlas of one real controller, and of one that does nothing."""
    bench = Bench(smoke_run)
    meta, names = load_metacontroller(bench.run), bench.world.subgoal_names
    subjects = code_subjects(meta, bench.base, bench.fit, names)
    code = next(subject for subject in subjects if subject.name != names[-1])
    spectrum = code.spectrum
    matrix = (spectrum.writes.mT * spectrum.values) @ spectrum.reads
    real = Subject(code.name, FullController(matrix, meta.hook_name))
    still = Subject(names[-1], FullController(torch.zeros_like(matrix), meta.hook_name))
    model = written_to(bench.base.model, meta.layer)
    field = Field(bench.base, bench.world, rows=12, seed=0)
    return describe([real, still], ({}, model), field, draws=9)


def test_a_controller_that_does_nothing_changes_nothing(made: Atlas) -> None:
    still = made.entries[-1].behaviour
    np.testing.assert_array_equal(still.steered.occupancy, still.alone.occupancy)
    assert still.steered.hits == still.placebo.hits == still.alone.hits
    assert still.p == 1 and made.entries[-1].norm == 0
    assert f"{made.names[-1]}: " in made.caption() and "not reliably more" in made.caption()


def test_shares_and_occupancy_add_up(made: Atlas) -> None:
    for entry in made.entries:
        for way in (entry.behaviour.steered, entry.behaviour.placebo, entry.behaviour.alone):
            assert way.occupancy.sum() == pytest.approx(1)
            assert sum(hit.value for hit in way.hits) <= 1 + 1e-9
        own = made.names.index(entry.name)
        assert not (entry.behaviour.instead == own).any()


def test_pages_need_no_network_and_an_atlas_does_not_differ_from_itself(
    made: Atlas, tmp_path: Path
) -> None:
    index = write_pages(made, tmp_path / "atlas")
    written = {file.name for file in index.parent.iterdir()}
    assert written == {"index.html", "plotly.js", "controller-0.html", "controller-1.html"}
    for file in index.parent.glob("*.html"):
        assert "http" not in file.read_text().split("<body>")[0]
        assert '<script src="plotly.js">' in file.read_text()
    gap = difference(made, made)
    assert len(gap) == len(made.to_dataframe())
    assert not gap["difference"].dropna().to_numpy().any()


def test_saved_numbers_are_kept(made: Atlas, tmp_path: Path) -> None:
    content = json.loads(made.save(tmp_path / "atlas").read_text())
    stored = read_arrays(tmp_path / "atlas")[content["cosines"]["array"]]
    np.testing.assert_array_equal(stored, made.cosines)
    assert dict(made.nearest(made.entries[0].name)) == {made.entries[1].name: 0.0}
