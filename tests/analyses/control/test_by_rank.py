"""Vectors against ranks, and layers against depths, on a base that a matrix is known to steer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from irl_lens.analyses.control.by_depth import control_by_depth
from irl_lens.analyses.control.by_layer import Trying
from irl_lens.analyses.control.by_rank import control_by_rank
from irl_lens.analyses.core.demonstrations import draw
from irl_lens.analyses.core.trial import Trial
from irl_lens.config.presets import preset
from irl_lens.errors import UserError
from irl_lens.hooks import ControllerBank, FullController
from irl_lens.models.base import TrajectoryModel, hook_name
from irl_lens.progress import QuietProgress
from irl_lens.runs.run import Run
from irl_lens.training.controllers import train_controllers

if TYPE_CHECKING:
    from tests.analyses.conftest import Steered

RunOf = Callable[..., Run]
SizesOf = Callable[..., list[Run]]


@pytest.fixture
def run_of(steered: Steered, tmp_path: Path) -> RunOf:
    """Makes a run of a finished base in the steered base's world."""

    def make(model: TrajectoryModel, banks: dict[int, ControllerBank] | None = None) -> Run:
        smoke, layers = preset("smoke"), tuple(banks or (1,))
        chosen = replace(
            smoke,
            world=steered.field.world.config,  # type: ignore[attr-defined]
            base=model.config,
            controllers=replace(smoke.controllers, layers=layers, kind="full"),
            evaluation=replace(smoke.evaluation, trajectories=128, rollouts=64),
        )
        run = Run.create(tmp_path / f"run-{model.n_layers}", chosen, 0)
        run.stage("base").finish(model.weights(), {})
        if banks:
            states = {layer: bank.state_dict() for layer, bank in banks.items()}
            weights = {f"layer{i}.{n}": w for i, state in states.items() for n, w in state.items()}
            run.stage("controllers").finish(weights, {f"nll_layer{i}": 0.0 for i in banks})
        return run

    return make


def planted_bank(steered: Steered) -> ControllerBank:
    """The controllers that lead straight to each colour."""
    matrices = steered.meta.decoder.delta(  # type: ignore[operator]
        torch.eye(4)[:, None].expand(-1, 24, -1), torch.eye(24).expand(4, -1, -1)
    ).mT
    names = steered.field.world.subgoal_names
    return ControllerBank(names, FullController(matrices, steered.meta.hook_name))


def deeper(model: TrajectoryModel) -> TrajectoryModel:
    """The same model with a second block that writes nothing."""
    taller = TrajectoryModel(replace(model.config, n_layers=2), model.spec, model.actions)
    weights = {name: torch.zeros_like(w) for name, w in taller.weights().items()}
    return taller.load_weights(weights | model.weights()).frozen()


def test_planted_controllers_close_the_gap_and_their_control_does_not(steered: Steered) -> None:
    world, base = steered.field.world, steered.field.base
    trying = Trying.of(base, "subgoal", draw(world, 0, "test", 64), Trial(world, 64, 0, 0.5))
    control, closed = trying.control(1, planted_bank(steered))
    assert control.gap_closed.low > 0.1 and control.steers
    # They lead straight to a colour, over others too, so not all tasks are done.
    assert control.outcome.success_solvable.low > 0.25 > control.random.success_solvable.high
    assert control.p < 0.01 and (closed > 0).mean() > 0.7


@pytest.fixture
def sizes_of(steered: Steered, tmp_path: Path) -> SizesOf:
    """Trains controllers of several kinds and ranks on one base for a few steps, a run each."""

    def make(model: TrajectoryModel, steps: int, *sizes: tuple[str, int]) -> list[Run]:
        smoke, runs = preset("smoke"), []
        trained = {"layers": (1,), "steps": steps, "batch": 16, "lr": 3e-2, "targets": "policy"}
        for kind, rank in sizes:
            chosen = replace(
                smoke,
                world=steered.field.world.config,  # type: ignore[attr-defined]
                base=model.config,
                controllers=replace(smoke.controllers, **trained, kind=kind, rank=rank),
                evaluation=replace(smoke.evaluation, trajectories=128, rollouts=32),
            )
            run = Run.create(tmp_path / f"{kind}-{rank}-{len(runs)}", chosen, 0)
            run.stage("base").finish(model.weights(), {})
            train_controllers(run, QuietProgress())
            runs.append(run)
        return runs

    return make


def test_where_a_matrix_is_needed_a_vector_does_less(
    steered: Steered, sizes_of: SizesOf, tmp_path: Path
) -> None:
    sizes = ("low-rank", 4), ("vector", 1), ("low-rank", 1)
    result = control_by_rank(sizes_of(steered.field.base.model, 40, *sizes))
    gaps = {size.name: size.control.gap_closed.value for size in result.sizes}
    assert list(gaps) == ["mean difference", "vector", "rank 1", "rank 4"]
    assert gaps["rank 4"] > 0.3 > gaps["vector"] and result.best.name == "rank 4"
    assert result.best.over_vector.low > 0 and result.best.p < 0.01
    assert "closes more than a trained vector" in result.caption()
    assert [size.numbers for size in result.sizes] == [24, 24, 48, 192]
    assert len(result.to_dataframe()) == 4 and result.claims()[0].p < 0.05
    assert len(result.figure().to_dict()["data"]) == 8
    assert result.save(tmp_path / "it").exists()


def test_a_base_that_nothing_steers_is_not_steered(steered: Steered, sizes_of: SizesOf) -> None:
    model = copy.deepcopy(steered.field.base.model)
    model.hooked.unembed.W_U.data.zero_()
    result = control_by_rank(sizes_of(model, 3, ("vector", 1), ("low-rank", 4)))
    assert all(size.control.gap_closed.value == pytest.approx(0) for size in result.sizes)
    assert all(size.p == 1 and not size.control.steers for size in result.sizes)
    assert "closes no more than a trained vector" in result.caption()
    assert "than random directions: none" in result.caption()


def test_without_trained_vectors_mean_differences_are_what_is_to_be_beaten(
    steered: Steered, sizes_of: SizesOf
) -> None:
    runs = sizes_of(steered.field.base.model, 2, ("full", 1))
    result = control_by_rank(runs, rollouts=16)
    assert [size.name for size in result.sizes] == ["mean difference", "full matrix"]
    assert "than a mean difference" in result.caption()
    assert result.sizes[0].over_vector.value == 0 and result.sizes[0].p == 1


def test_sizes_that_cannot_be_compared_are_refused(
    steered: Steered, run_of: RunOf, sizes_of: SizesOf
) -> None:
    model = steered.field.base.model
    one, twin, vector = sizes_of(model, 1, ("low-rank", 1), ("low-rank", 1), ("vector", 1))
    with pytest.raises(UserError, match="no controllers at layer 9; there are some at 1"):
        control_by_rank([one], layer=9)
    with pytest.raises(UserError, match="two of the runs have controllers of rank 1"):
        control_by_rank([one, twin])
    for runs in ([], [vector]):
        with pytest.raises(UserError, match="needs a run with matrices; first: irl-lens sweep"):
            control_by_rank(runs)
    (longer,) = sizes_of(model, 2, ("low-rank", 4))
    with pytest.raises(
        UserError, match=r"controllers\.steps = 1 .* controllers\.steps = 2; compare"
    ):
        control_by_rank([one, longer])
    with pytest.raises(UserError, match="has no controllers; first: irl-lens train controllers"):
        control_by_rank([run_of(model)])


def test_the_depth_that_can_be_steered_is_told_from_the_one_that_cannot(
    steered: Steered, run_of: RunOf, tmp_path: Path
) -> None:
    model, bank = steered.field.base.model, planted_bank(steered)
    nothing, above = (
        ControllerBank(bank.names, FullController(torch.zeros(4, 24, 24), hook_name(layer)))
        for layer in (1, 2)
    )
    runs = [run_of(model, {1: bank}), run_of(deeper(model), {1: nothing, 2: above})]
    result = control_by_depth(runs, episodes=32, rollouts=32)
    assert result.depths == (1, 2) and len(result.to_dataframe()) == 3
    assert result.best(1)[1].low > 0.25 > result.best(2)[1].high
    said = result.caption()
    assert "1 block: best at layer 1 (1.00 of the depth)" in said
    assert "random directions at layers 1." in said and "random directions at no layer." in said
    assert len(result.claims()) == 2 and len(result.figure().to_dict()["data"]) == 3 * 2 * 2
    assert result.save(tmp_path / "it").exists()


def test_seeds_of_one_depth_are_taken_together(smoke_run: Run) -> None:
    result = control_by_depth([smoke_run, smoke_run], episodes=16, rollouts=16)
    curve = result.curve(2, "subgoals reached")
    assert list(curve) == list(smoke_run.preset.controllers.layers)
    assert all(e.low == e.value == e.high for e in curve.values())
    assert "One depth says nothing of depth." in result.caption()


def test_runs_that_cannot_be_compared_are_refused(
    steered: Steered, run_of: RunOf, smoke_run: Run
) -> None:
    with pytest.raises(UserError, match="at least one run"):
        control_by_depth([])
    with pytest.raises(UserError, match="compare one world"):
        control_by_depth([smoke_run, run_of(steered.field.base.model, {1: planted_bank(steered)})])
    with pytest.raises(UserError, match="has no controllers; first: irl-lens train controllers"):
        control_by_depth([run_of(deeper(steered.field.base.model))])
