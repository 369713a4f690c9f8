"""A tiny base that is far from its initialisation, and what several tests do with it."""

import pytest
import torch
from torch import Tensor

from irl_lens.config.schema import BaseConfig
from irl_lens.envs.spaces import DiscreteActions, ObservationSpec
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath

SPEC = ObservationSpec(("a", "b"), (5, 6), (0,))
OBSERVATIONS = torch.stack(
    [
        torch.randint(5, (3, 4), generator=torch.Generator().manual_seed(1)),
        torch.randint(5, 11, (3, 4), generator=torch.Generator().manual_seed(2)),
    ],
    dim=-1,
)


def make_model(seed: int = 0) -> TrajectoryModel:
    torch.manual_seed(seed)
    model = TrajectoryModel(
        BaseConfig(d_model=16, n_layers=2, n_heads=2, d_mlp=24), SPEC, DiscreteActions(4)
    )
    with torch.no_grad():
        for parameter in model.parameters():  # no bias zero, no gain one
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


@pytest.fixture
def model() -> TrajectoryModel:
    return make_model()


def decoded(fast: FastPath) -> Tensor:
    rows, steps, _ = OBSERVATIONS.shape
    cache = fast.cache(rows, steps)
    windows = OBSERVATIONS.split([1, steps - 2, 1], dim=1)
    return torch.cat([fast.logits(window, cache=cache) for window in windows], dim=1)


def assert_same(fast: Tensor, slow: Tensor) -> None:
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-5)
