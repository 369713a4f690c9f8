"""Observations of real numbers: read alike by the fast path and by TransformerLens, or refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from irl_lens.config.schema import BaseConfig
from irl_lens.envs.spaces import DiscreteActions, ObservationSpec, RealColumn
from irl_lens.errors import UserError
from irl_lens.models.base import TrajectoryModel, hook_name
from irl_lens.models.fast import FastPath
from irl_lens.models.observations import ObservationEmbedding
from irl_lens.training.pretrain import predictions
from tests.point_world import PointConfig, PointWorld

WORLDS = {
    "real": PointWorld(PointConfig()),
    "mixed": PointWorld(PointConfig(counts=True)),
}


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> PointWorld:
    return WORLDS[request.param]


def model_of(world: PointWorld, **options) -> TrajectoryModel:
    sizes = BaseConfig(d_model=16, n_layers=3, n_heads=2, d_mlp=24, **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TrajectoryModel(sizes, world.observation, world.actions)


def seen(world: PointWorld) -> torch.Tensor:
    return torch.from_numpy(world.demonstrate(5, 0).observations)


def test_the_fast_path_agrees_with_transformer_lens(world: PointWorld) -> None:
    model, observations = model_of(world), seen(world)
    found = FastPath(model).logits(observations)
    torch.testing.assert_close(found, model(observations), atol=1e-5, rtol=0)
    assert found.std(dim=(0, 1)).min() > 1e-3  # and depends on what is seen


@pytest.mark.parametrize("point", ["hook_resid_pre", "hook_resid_post", "attn.hook_z"])
def test_with_hooks_attached_too(world: PointWorld, point: str) -> None:
    model, observations = model_of(world), seen(world)
    hooks = [(f"blocks.1.{point}", lambda x, hook: x * 1.5 + 0.1)]
    fast = FastPath(model).logits(observations, fwd_hooks=hooks)
    slow = model.hooked.run_with_hooks(observations, fwd_hooks=hooks)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=0)
    assert not torch.allclose(fast, model(observations), atol=1e-3)


def test_with_the_cache_too(world: PointWorld) -> None:
    model, observations = model_of(world), seen(world)
    fast, steps = FastPath(model), observations.shape[1]
    hooks = [(hook_name(2), lambda x, hook: x * 1.5 + 0.1)]
    with torch.inference_mode():
        cache = fast.cache(len(observations), steps)
        parts = [
            fast.logits(step, cache=cache, fwd_hooks=hooks) for step in observations.split(1, 1)
        ]
        whole = model.hooked.run_with_hooks(observations, fwd_hooks=hooks)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-4, rtol=0)


def test_the_embedding_is_that_of_its_equation() -> None:
    spec = ObservationSpec(("a", "b"), (2, 3), (0,), (RealColumn("x", 0.5), RealColumn("y", 4.0)))
    embed = ObservationEmbedding(spec, 8)
    found = embed(torch.tensor([[1.0, 4.0, 0.3, -2.0]]))
    w = embed.W_E
    assert embed.b_E is not None
    expected = w[1] + w[4] + 0.3 / 0.5 * w[5] - 2.0 / 4.0 * w[6] + embed.b_E
    torch.testing.assert_close(found[0], expected)


def test_sparse_and_dense_observations_are_the_same() -> None:
    world = WORLDS["mixed"]
    model, sparse = model_of(world), seen(world)
    dense = torch.from_numpy(world.observation.dense(sparse.numpy()))
    assert dense.shape[-1] == 5
    torch.testing.assert_close(model(dense), model(sparse), atol=1e-5, rtol=0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_must_be_finite(world: PointWorld, value: float) -> None:
    model, observations = model_of(world), seen(world)
    observations[1, 2, -1] = value
    column = observations.shape[-1] - 1
    said = rf"{value} in column {column} \(y\) of an observation.* finite numbers"
    for read in (model, FastPath(model).logits):
        with pytest.raises(UserError, match=said):
            read(observations)


@pytest.mark.parametrize("value", [3.0, -1.0, 0.5, np.nan])
def test_categorical_columns_beside_them_keep_their_range(value: float) -> None:
    model, observations = model_of(WORLDS["mixed"]), seen(WORLDS["mixed"])
    observations[1, 2, 0] = value
    with pytest.raises(UserError, match=rf"{value} in column 0 \(reached\).* 0 to 2 there"):
        model(observations)


def test_observations_of_another_width_are_refused(world: PointWorld) -> None:
    model = model_of(world)
    with pytest.raises(UserError, match=r"2 of real numbers \(x to y\)"):
        model(torch.zeros(1, 1, 7))


def test_other_real_columns_are_another_world() -> None:
    other = PointWorld(PointConfig())
    other.observation = ObservationSpec(reals=(RealColumn("x", 0.5), RealColumn("y", 1.0)))
    with pytest.raises(UserError, match="take the world of the model's own run"):
        model_of(WORLDS["real"]).check_fits(other)


def test_other_actions_are_another_world() -> None:
    other = PointWorld(PointConfig())
    other.actions = DiscreteActions(2)  # type: ignore[assignment]
    with pytest.raises(UserError, match=r"2 actions, and .* 2 numbers from -1 to 1"):
        model_of(WORLDS["real"]).check_fits(other)


@pytest.mark.parametrize("ahead", [1, 3])
def test_the_loss_of_observations_ahead_is_that_of_its_equation(ahead: int) -> None:
    world = WORLDS["mixed"]
    model, batch = model_of(world), world.demonstrate(4, 0)
    with torch.no_grad():
        _, found = predictions(model, FastPath(model), batch, ahead)
        stream = FastPath(model).final(torch.from_numpy(batch.observations))
        predicted = model.next_observation(stream)
    expected = []
    for row, length in enumerate(batch.lengths):
        for t in range(length - ahead):
            following, x = batch.observations[row, t + ahead], predicted[row, t]
            category = -x[:3].log_softmax(0)[int(following[0])]
            numbers = (torch.from_numpy(following[1:]) / 0.5 - x[3:]).square().sum() / 2
            expected.append(category + numbers)
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-4, rtol=1e-4)


def test_beyond_the_end_of_all_episodes_nothing_is_predicted() -> None:
    world = WORLDS["mixed"]
    model, batch = model_of(world), world.demonstrate(4, 0)
    _, found = predictions(model, FastPath(model), batch, int(batch.lengths.max()))
    assert found.shape == (0,)


def test_only_predicted_columns_are_predicted() -> None:
    reals = (RealColumn("x", predicted=False), RealColumn("y"))
    spec = ObservationSpec(("a",), (3,), (), reals)
    model = TrajectoryModel(
        BaseConfig(d_model=8, n_layers=1, n_heads=1, d_mlp=8), spec, DiscreteActions(2)
    )
    assert model.next_observation.out_features == 1
    predicted = torch.tensor([[0.5]])
    loss = model.next_observation.nll(predicted, torch.tensor([[1.0, 100.0, 1.5]]))
    assert float(loss) == 0.5
