"""The named configurations: ``smoke`` (about a minute), ``grid`` (two CPU cores), ``paper-grid``.

``paper-grid`` is the paper's own sizes (arXiv 2512.20605, Tables A4 to A9), which want a
large accelerator; ``grid`` is the same world with a smaller model and shorter training.
"""

from __future__ import annotations

from difflib import get_close_matches

from irl_lens.config import (
    BaseConfig,
    ControllersConfig,
    DiscoveryConfig,
    EvaluationConfig,
    Preset,
    PretrainConfig,
    RLConfig,
)
from irl_lens.envs.worlds import GRID, SMALL_GRID
from irl_lens.errors import UserError

_GRID = Preset(
    name="grid",
    world=GRID,
    base=BaseConfig(d_model=128, n_layers=4, n_heads=4, d_mlp=512),
    pretrain=PretrainConfig(
        steps=5_000,
        batch=64,
        chunk=32,
        optimizer="muon",
        lr=2e-3,
        schedule="cosine",
        observation_weight=0.1,
        precision="auto",
    ),
    controllers=ControllersConfig(layers=(1, 2, 3), label="subgoal", steps=400, batch=128, lr=2e-3),
    discovery=DiscoveryConfig(
        layer=2,
        steps=4_300,
        batch=64,
        lr=2e-3,
        # At full weight from the start the KL term collapses the posterior and it stays
        # collapsed, so alpha rises slowly from almost nothing; the gate opens between 0.05
        # and 0.12, and stays shut when alpha is through there too soon.
        alpha=((0.0, 5e-4), (0.28, 5e-4), (0.4, 0.05), (0.63, 0.12), (0.81, 0.6)),
        log_sigma=-2.0,
    ),
    internal_rl=RLConfig(episodes=204_800, batch=1_024, lr=3e-4, epochs=4),
    raw_rl=RLConfig(episodes=204_800, batch=1_024, lr=3e-5),
    evaluation=EvaluationConfig(trajectories=2_048, rollouts=1_024),
)

_SMOKE = Preset(
    name="smoke",
    world=SMALL_GRID,
    base=BaseConfig(d_model=32, n_layers=2, n_heads=2, d_mlp=64),
    pretrain=PretrainConfig(
        steps=60, batch=32, chunk=16, optimizer="muon", lr=2e-3, schedule="cosine"
    ),
    controllers=ControllersConfig(layers=(1,), rank=4, steps=20, batch=32),
    discovery=DiscoveryConfig(
        layer=1,
        history=16,
        sequence=16,
        hidden=16,
        latent=4,
        decoder_hidden=16,
        rank=4,
        steps=40,
        batch=16,
        alpha=((0.0, 5e-4), (0.5, 0.17)),
        log_sigma=-2.0,
    ),
    internal_rl=RLConfig(episodes=256, batch=64, width=32),
    raw_rl=RLConfig(episodes=256, batch=64),
    evaluation=EvaluationConfig(trajectories=64, rollouts=32, probe_iterations=30),
)

PRESETS: dict[str, Preset] = {
    preset.name: preset for preset in (_GRID, _SMOKE, Preset(name="paper-grid"))
}


def preset(name: str) -> Preset:
    """Looks a preset up.

    Raises:
        UserError: If there is none of that name; names all of them, and the nearest.
    """
    if name not in PRESETS:
        near = get_close_matches(name, PRESETS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(f"no preset {name!r}; the presets are {', '.join(PRESETS)}{hint}")
    return PRESETS[name]
