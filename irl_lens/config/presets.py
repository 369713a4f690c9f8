"""The named configurations: ``smoke`` (about a minute), ``grid`` and ``ant`` (two CPU cores), and
``paper-grid`` and ``paper-ant``.

The latter are the paper's own sizes (arXiv 2512.20605, Tables A4 to A10), which want a large
accelerator; ``grid`` and ``ant`` are the same worlds with smaller models and shorter training, but
that demonstrations of ``ant`` go astray (:mod:`irl_lens.envs.ant.straying`) and ways are seen
there (:attr:`irl_lens.envs.ant.spec.AntConfig.ways`).
"""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

from irl_lens.config.compile import CompileConfig
from irl_lens.config.rl import CodesRLConfig, InternalRLConfig, RLConfig
from irl_lens.config.schema import (
    BaseConfig,
    CodesConfig,
    ControllersConfig,
    DiscoveryConfig,
    EvaluationConfig,
    Preset,
    PretrainConfig,
    SwitchesConfig,
)
from irl_lens.config.validation import check_types
from irl_lens.envs.registry import ANT, GRID, SMALL_GRID, VARIABLE, import_user_modules
from irl_lens.errors import UserError

_GRID = Preset(
    name="grid",
    world=GRID,
    base=BaseConfig(d_model=256, n_layers=6, n_heads=4, d_mlp=1_024),
    pretrain=PretrainConfig(
        steps=5_500,
        batch=64,
        chunk=16,
        optimizer="muon",
        lr=2e-3,
        schedule="cosine",
        targets="policy",
        observation_weight=0.1,
        precision="auto",
    ),
    controllers=ControllersConfig(
        layers=(1, 3, 5),
        rank=64,
        steps=2_000,
        batch=64,
        lr=1e-2,
        schedule="cosine",
        targets="policy",
    ),
    # Finds when to switch: the base follows whole tasks, so the encoder must not name them.
    discovery=DiscoveryConfig(
        layer=3,
        lookahead=10,
        decoder="linear",
        steps=1_300,
        batch=64,
        lr=3e-3,
        decoder_lr=1e-3,
        schedule="cosine",
        # At full weight from the start the KL term collapses the posterior and it stays
        # collapsed, so alpha rises slowly from almost nothing.
        alpha=((0.0, 5e-4), (0.18, 5e-4), (0.33, 0.05), (0.54, 0.12), (1.0, 0.2)),
        log_sigma=-2.0,
        targets="policy",
    ),
    codes=CodesConfig(steps=2_000),
    internal_rl=InternalRLConfig(
        episodes=204_800,
        batch=1_024,
        lr=1e-3,
        epochs=4,
        start="posterior",
        temperature=0.5,
        prefix_episodes=0,
    ),
    raw_rl=RLConfig(episodes=204_800, batch=1_024, lr=3e-5, temperature=0.5),
    compile=CompileConfig(steps=3_000, batch=64, schedule="cosine", targets="policy"),
    compile_rl=CodesRLConfig(
        episodes=204_800, batch=1_024, lr=1e-3, epochs=4, start="posterior", temperature=0.5
    ),
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
    codes=CodesConfig(steps=20, history=16, hidden=16, latent=4, batch=16),
    internal_rl=InternalRLConfig(episodes=256, batch=64, width=32, start="posterior"),
    raw_rl=RLConfig(episodes=256, batch=64),
    compile=CompileConfig(steps=20, batch=16, hidden=16, width=16, latent=4),
    compile_rl=CodesRLConfig(episodes=256, batch=64, width=32, start="posterior"),
    evaluation=EvaluationConfig(trajectories=64, rollouts=32, probe_iterations=30),
)

_ANT = Preset(
    name="ant",
    world=ANT,
    base=BaseConfig(d_model=128, n_layers=4, n_heads=4, d_mlp=512, act_fn="gelu", components=4),
    pretrain=PretrainConfig(
        steps=2_000,
        batch=64,
        chunk=8,
        uses=3,
        optimizer="muon",
        lr=2e-3,
        schedule="cosine",
        targets="policy",
        observation_weight=0.3,
        ahead=16,
        uncertain=0.5,
        epsilon=0.02,
        precision="auto",
    ),
    controllers=ControllersConfig(
        layers=(1, 2),
        rank=16,
        steps=300,
        batch=32,
        lr=5e-3,
        init=0.05,
        schedule="cosine",
        targets="policy",
    ),
    # Not part of its chain, unless switches.steps is 0. A leg takes 38 steps.
    discovery=DiscoveryConfig(
        layer=1,
        lookahead=40,
        stride=4,
        decoder="linear",
        steps=1_000,
        batch=32,
        lr=5e-3,
        decoder_lr=1.5e-3,
        schedule="cosine",
        alpha=((0.0, 5e-4), (0.08, 5e-4), (0.16, 0.02), (0.4, 0.1), (0.75, 0.35), (1.0, 0.8)),
        log_sigma=-2.0,
        targets="policy",
    ),
    switches=SwitchesConfig(steps=500, chunk=8),
    codes=CodesConfig(
        steps=2_400,
        batch=16,
        chunk=8,
        uses=8,
        lr=5e-3,
        decoder_lr=2e-3,
        refractory=4,
        explained=0.8,
    ),
    internal_rl=InternalRLConfig(
        episodes=61_440,
        batch=512,
        lr=5e-4,
        epochs=4,
        start="posterior",
        temperature=0.5,
        prefix_episodes=0,
    ),
    raw_rl=RLConfig(episodes=61_440, batch=512, lr=3e-5, temperature=0.5),
    # Its subgoals take about five times as many steps as the grid's, which the paper's rate is for.
    compile=CompileConfig(rate=50.0, steps=2_000, batch=32, schedule="cosine", targets="policy"),
    compile_rl=CodesRLConfig(
        episodes=61_440, batch=512, lr=5e-4, epochs=4, start="posterior", temperature=0.5
    ),
    evaluation=EvaluationConfig(trajectories=1_024, rollouts=512),
)

_PAPER_ANT = Preset(
    name="paper-ant",
    world=replace(ANT, ways=False),
    # The paper's is a Hawk state-space model of this size; ours is a transformer.
    base=BaseConfig(d_model=256, n_layers=8, n_heads=8, d_mlp=512),
    pretrain=PretrainConfig(steps=204_800, batch=512, chunk=16, observation_weight=10.0),
    controllers=ControllersConfig(layers=(4,), kind="full", batch=256, lr=3e-4),
    # Controllers of codes have rank 16 here, and are whole matrices there.
    discovery=DiscoveryConfig(layer=4, steps=32_000, batch=128, lr=3e-4),
    internal_rl=InternalRLConfig(episodes=13_107_200, batch=256),
    raw_rl=RLConfig(episodes=13_107_200, batch=256),
    compile_rl=CodesRLConfig(episodes=13_107_200, batch=256),
)

PRESETS: dict[str, Preset] = {
    preset.name: preset for preset in (_GRID, _SMOKE, _ANT, Preset(name="paper-grid"), _PAPER_ANT)
}
_OWN = tuple(PRESETS)


def preset(name: str) -> Preset:
    """Looks a preset up.

    Raises:
        UserError: If there is none of that name; names all of them, and the nearest.
    """
    if name not in PRESETS:
        import_user_modules()  # which may come with presets of their own
    if name not in PRESETS:
        near = get_close_matches(name, PRESETS, n=1)
        hint = f" did you mean {near[0]!r}?" if near else ""
        raise UserError(
            f"no preset {name!r}; the presets are {', '.join(PRESETS)};{hint} files or modules "
            f"that {VARIABLE} names can register more"
        )
    return PRESETS[name]


def register_preset(added: Preset) -> None:
    """Makes a preset known by its name; one of the same name and kind of world is replaced.

    Raises:
        UserError: The name is that of a preset that comes with the package or is of another kind
            of world, or a setting is of another type or out of range.
    """
    if added.name in _OWN:
        raise UserError(f"preset {added.name!r} comes with irl-lens; give yours another name")
    check_types(added, "")
    if not all(c.isalnum() or c in "-_." for c in added.name):
        raise UserError(f"a preset called {added.name!r}; take letters, digits, -, _ and .")
    known = PRESETS.get(added.name)
    if known and _origin(known) != _origin(added):
        raise UserError(
            f"there is another preset {added.name!r}, set in a {type(known.world).__name__}; give "
            "yours another name"
        )
    PRESETS[added.name] = added


def _origin(one: Preset) -> tuple[str, str]:
    """Of which class the world is, which a cell that is run again makes anew."""
    world = type(one.world)
    return world.__module__, world.__qualname__
