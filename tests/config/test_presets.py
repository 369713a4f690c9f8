from __future__ import annotations

import pytest

from irl_lens.config.presets import PRESETS, preset
from irl_lens.config.schema import Preset
from irl_lens.envs.protocol import VectorWorld, World
from irl_lens.envs.registry import make_world
from irl_lens.errors import UserError


@pytest.mark.parametrize("name", PRESETS)
def test_presets_fit_together(name: str) -> None:
    chosen = preset(name)
    assert chosen.name == name
    layers = chosen.base.n_layers
    assert all(1 <= layer <= layers for layer in chosen.controllers.layers)
    for part in (chosen.discovery, chosen.codes):
        assert 1 <= part.layer <= layers
        knots = [fraction for fraction, _ in part.alpha]
        assert knots == sorted(knots) and knots[0] == 0.0 and knots[-1] <= 1.0
    for training in (chosen.internal_rl, chosen.raw_rl, chosen.compile_rl):
        assert training.episodes % training.batch == 0


@pytest.mark.parametrize("name", PRESETS)
def test_worlds_can_be_made(name: str) -> None:
    world = make_world(preset(name).world)
    assert isinstance(world, World) and isinstance(world.vector_env(2), VectorWorld)


def test_paper_grid_is_the_defaults() -> None:
    assert preset("paper-grid") == Preset(name="paper-grid")


def test_unknown_preset_names_all_and_the_nearest() -> None:
    with pytest.raises(
        UserError, match=r"'gird'.*grid, smoke, ant, paper-grid, paper-ant.*did you mean 'grid'"
    ):
        preset("gird")
