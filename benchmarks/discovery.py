"""A step of discovery, beside metacontroller-pytorch 0.3.3 (Phil Wang) at equal sizes.

    discovery.speedup_vs_peer     seconds of its step over seconds of ours

Equal are width, layers, heads and MLP of the frozen base, layer of the control, batch and steps,
latent, rank and hidden layer of the hypernetwork. Both read all of the sequence and take an AdamW
step, in float32; what else the two are made of is their own (a GRU each way here, bidirectional
attention there).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from benchmarks.measuring import PEERS, Setting, Values, in_turn, ratios, require
from irl_lens.config.presets import preset
from irl_lens.config.schema import BaseConfig, DiscoveryConfig, Preset
from irl_lens.envs.registry import make_world
from irl_lens.envs.spaces import discrete
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath
from irl_lens.training.discovery import DiscoveryJob

LENGTH = 40
"""Steps of the peer's sequences; here demonstrations are as long as they are."""


def measure(setting: Setting) -> Values:
    """Times ours, and the peer's if it is there."""
    chosen = preset(setting.preset)
    took = in_turn({"ours": by_us(chosen, chosen.discovery, "auto", setting)}, setting)
    return {"discovery.step.milliseconds": [1e3 * seconds for seconds in took["ours"]]}


def measure_peer(setting: Setting) -> Values:
    """Times both.

    Raises:
        MissingError: The peer is not installed.
    """
    require("metacontroller", PEERS)
    chosen = preset(setting.preset)
    # The peer takes no rank that is not below the latent's size.
    equal = replace(chosen.discovery, decoder="hypernetwork", lookahead=0, rank=16, latent=32)
    ours = by_us(chosen, equal, "float32", setting)
    took = in_turn({"ours": ours, "peer": by_peer(chosen, equal, setting)}, setting)
    return {"discovery.speedup_vs_peer": ratios(took["peer"], took["ours"])}


def by_us(
    chosen: Preset, config: DiscoveryConfig, precision: str, setting: Setting
) -> Callable[[], object]:
    """Returns a step on an untrained base, which costs the same."""
    world = make_world(chosen.world)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = TrajectoryModel(chosen.base, world.observation, world.actions).frozen()
    fast = FastPath(model.to(setting.device), precision)  # type: ignore[arg-type]
    job = DiscoveryJob(config, world, fast, seed=0)
    return lambda: job.step(1)


def by_peer(chosen: Preset, config: DiscoveryConfig, setting: Setting) -> Callable[[], object]:
    """Returns a step of the peer's, its losses added up as its README does."""
    from metacontroller import MetaController, Transformer  # pyright: ignore[reportMissingImports]

    world, base = make_world(chosen.world), chosen.base
    model = Transformer(
        base.d_model,
        state_embed_readout={"num_continuous": world.observation.columns},
        action_embed_readout={"num_discrete": discrete(world.actions).n},
        lower_body=_body(base, config.layer),
        upper_body=_body(base, base.n_layers - config.layer),
    )
    model = model.to(setting.device).requires_grad_(False)
    meta = MetaController(
        base.d_model,
        dim_meta_controller=config.hidden,
        dim_latent=config.latent,
        hypernetwork_low_rank=config.rank,
    ).to(setting.device)
    optimizer = torch.optim.AdamW(meta.parameters(), 1e-3, fused=True)
    draw = torch.Generator().manual_seed(0)
    states = torch.randn(config.batch, LENGTH, world.observation.columns, generator=draw)
    actions = torch.randint(discrete(world.actions).n, (config.batch, LENGTH), generator=draw)
    states, actions = states.to(setting.device), actions.to(setting.device)

    def step() -> None:
        losses = model(states, actions, meta_controller=meta, discovery_phase=True)
        optimizer.zero_grad(set_to_none=True)
        (losses.action_recon + 0.1 * losses.kl).backward()
        optimizer.step()

    return step


def _body(base: BaseConfig, depth: int) -> dict[str, object]:
    return {
        "depth": depth,
        "heads": base.n_heads,
        "attn_dim_head": base.d_model // base.n_heads,
        "ff_mult": base.d_mlp / base.d_model,
    }
