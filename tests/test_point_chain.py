"""The whole chain in a world of real numbers, from an empty folder to a run that is read again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.commands.chain import run_stage
from irl_lens.config.presets import preset
from irl_lens.config.schema import BaseConfig, CodesConfig, Preset
from irl_lens.config.value_types import Deviation
from irl_lens.errors import UserError
from irl_lens.files.tensors import CheckpointError
from irl_lens.models.heads.gaussian import Gaussian
from irl_lens.models.heads.mixture import Mixture
from irl_lens.progress import QuietProgress
from irl_lens.rl.runner import RolloutRunner
from irl_lens.runs.run import Run
from irl_lens.training.controllers import train_controllers
from irl_lens.training.pretrain import PretrainJob, pretrain
from tests.every_analysis import every_analysis
from tests.point_world import PointConfig, PointWorld


def settings(deviation: Deviation = "state", components: int = 1, **world: bool) -> Preset:
    smoke = preset("smoke")
    return replace(
        smoke,
        name="point",
        world=PointConfig(**world),
        base=BaseConfig(
            d_model=16,
            n_layers=2,
            n_heads=2,
            d_mlp=24,
            deviation=deviation,
            components=components,
        ),
        pretrain=replace(smoke.pretrain, steps=60, batch=64, lr=1e-2),
        controllers=replace(smoke.controllers, layers=(1,), rank=4, steps=8, batch=32),
        discovery=replace(smoke.discovery, layer=1, rank=4, steps=8, batch=32),
        codes=CodesConfig(steps=4, history=6, hidden=8, latent=3, batch=16),
        internal_rl=replace(smoke.internal_rl, episodes=64, batch=32, start="posterior"),
        raw_rl=replace(smoke.raw_rl, episodes=64, batch=32),
        evaluation=replace(smoke.evaluation, trajectories=64, rollouts=32),
    )


def trained(folder: Path, wanted: Preset) -> Run:
    run = Run.create(folder, wanted, seed=0)
    for name in run.chain:
        run_stage(name, run, QuietProgress())
    return Run.open(folder)


@pytest.mark.parametrize("components", [1, 3])
def test_where_the_base_is_uncertain_steps_weigh_as_much_more_as_asked_for(components: int) -> None:
    plain = settings(components=components)
    losses, batch = [], None
    for uncertain in (0.0, 0.5):
        job = PretrainJob(replace(plain, pretrain=replace(plain.pretrain, uncertain=uncertain)), 0)
        batch = job.stream[0]
        losses.append(job.loss(batch, 1)[0])
    stream, mask = job.fast.final(job.fast.tensor(batch.observations)), job.fast.tensor(batch.mask)
    outputs, head = job.model.hooked.unembed(stream[mask]), job.model.action_head
    _, deviations = head.policy(outputs).detach().chunk(2, dim=-1)
    weights = deviations.prod(dim=-1) ** (1 / deviations.shape[-1])
    nll = head.nll(outputs, job.fast.tensor(batch.actions[batch.mask]))
    torch.testing.assert_close(losses[1] - losses[0], ((weights - 1) * nll).sum())
    assert weights.std() > 0.01 and not job.weights(outputs).requires_grad


def test_steps_of_discrete_actions_are_not_weighed() -> None:
    smoke = preset("smoke")
    wanted = replace(smoke, pretrain=replace(smoke.pretrain, uncertain=0.5))
    with pytest.raises(UserError, match=r"uncertain=0\.5 .* 4 actions; leave it at 0"):
        PretrainJob(wanted, 0)


@pytest.mark.parametrize(
    ("labelled", "deviation", "counts", "components"),
    [(True, "state", False, 1), (False, "constant", True, 1), (True, "state", True, 3)],
)
def test_the_whole_chain(
    tmp_path: Path, labelled: bool, deviation: Deviation, counts: bool, components: int
) -> None:
    run = trained(
        tmp_path / "run", settings(deviation, components, labelled=labelled, counts=counts)
    )
    assert ("controllers" in run.chain) == labelled
    assert list(run.finished()) == list(run.chain)
    losses = [row["nll"] for row in run.stage("base").metrics()]
    assert losses[-1] < losses[0] - 0.5
    assert "floor" not in run.stage("base").result  # there is no filter
    assert ("f1" in run.stage("codes").result) == labelled
    assert ("reached_2" in run.stage("internal-rl").result) == labelled

    world = run.world
    assert isinstance(world, PointWorld) and isinstance(
        run.base.action_head, Mixture if components > 1 else Gaussian
    )
    assert ("action_head.log_deviation" in run.stage("base").weights()) == (deviation == "constant")
    played = RolloutRunner(run.fast, world.horizon, run.policy).play(world.vector_env(16), 0)
    assert np.isfinite(played.actions).all() and played.decisions is not None
    if labelled:
        assert [*run.controllers] == [1]
    assert run.metacontroller.layer == run.preset.codes.layer

    found = every_analysis(LoadedRun(run))
    assert ("control" in found) == ("gate" in found) == labelled
    assert found["patching"].setting.metric == "mean action"  # type: ignore[attr-defined]
    assert "prefer" not in found["patching"].caption()


def test_controllers_of_a_world_without_labels_are_refused(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", settings(labelled=False), seed=0)
    pretrain(run, QuietProgress())
    with pytest.raises(UserError, match="names no subgoals"):
        train_controllers(run, QuietProgress())


@pytest.mark.parametrize("what", ["observation", "actions"])
def test_a_world_that_was_changed_since_is_refused(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.create(tmp_path / "run", settings(), seed=0)
    pretrain(run, QuietProgress())
    assert run.base.made_for() == run.stage("base").result["made_for"]
    if what == "actions":
        wider = replace(PointWorld.actions, high=2.0)
        monkeypatch.setattr(PointWorld, "actions", wider)
    else:
        monkeypatch.setattr("tests.point_world.SCALE", 2.0)
    with pytest.raises(CheckpointError, match=rf"trained on the {what} .*now has"):
        _ = Run.open(run.folder).base
