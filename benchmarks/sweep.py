"""A patching sweep of one episode of 40 steps, layers by steps, beside TransformerLens' own loop.

Both patch the clean stream before each block at each step into the corrupted run, and read the
same metric: the same values to 1e-5, checked. Of the loop
(``transformer_lens.patching.generic_activation_patch``) one forward is a site.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformer_lens import HookedTransformer, patching

from benchmarks.measuring import Setting, Values, in_turn, ratios
from irl_lens.analyses.patching.contrast import Contrast
from irl_lens.analyses.patching.pairs import Pairs
from irl_lens.analyses.patching.sweep import sweep
from irl_lens.arrays import NDArray
from irl_lens.config.presets import preset
from irl_lens.envs.registry import make_world
from irl_lens.models.base import TrajectoryModel

METRIC = "logit difference"


def measure(setting: Setting) -> Values:
    """Times both."""
    contrast = made(setting, pairs=1, steps=8 if setting.small else 40)
    ours, theirs = by_us(contrast), by_transformer_lens(contrast)
    there = theirs().double().cpu()
    torch.testing.assert_close(torch.from_numpy(ours()), there, atol=1e-5, rtol=0)
    took = in_turn({"ours": ours, "tl": theirs}, setting)
    return {
        "sweep.milliseconds": [1e3 * seconds for seconds in took["ours"]],
        "sweep.speedup_vs_tl": ratios(took["tl"], took["ours"]),
    }


def made(setting: Setting, pairs: int, steps: int) -> Contrast:
    """Returns the runs of an untrained base over pairs of demonstrations."""
    episodes, model = demonstrated(pairs, steps, setting)
    return Contrast.of(model, episodes, METRIC)


def demonstrated(pairs: int, steps: int, setting: Setting) -> tuple[Pairs, HookedTransformer]:
    """Returns pairs of demonstrations, decided at the end, and an untrained base."""
    chosen = preset(setting.preset)
    world = make_world(chosen.world)
    seen = world.demonstrate(2 * pairs, seed=0).observations
    clean, corrupted = np.split(seen[:, np.arange(steps) % seen.shape[1]], 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = TrajectoryModel(chosen.base, world.observation, world.actions).frozen()
    decisions, said = np.full(pairs, steps - 1), ("another demonstration",) * pairs
    given = Pairs("demonstration", clean, corrupted, decisions, said)
    return given, model.to(setting.device).hooked


def by_us(contrast: Contrast) -> Callable[[], NDArray[np.float64]]:
    """Returns the sweep; its values are means over pairs, ``[layers, steps]``."""
    steps = contrast.pairs.clean.shape[1]

    def swept() -> NDArray[np.float64]:
        effects = sweep(contrast, ("residual pre",), steps)["residual pre"]
        return (effects + contrast.values[1]).mean(axis=-1)[:, ::-1].copy()

    return swept


def by_transformer_lens(contrast: Contrast) -> Callable[[], Tensor]:
    """Returns TransformerLens' loop over the same sites."""
    layers, steps = contrast.model.cfg.n_layers, contrast.pairs.clean.shape[1]
    # By its own count there would be as many steps as an observation has columns.
    sites = pd.MultiIndex.from_product([range(layers), range(steps)], names=["layer", "pos"])
    corrupted = torch.from_numpy(contrast.pairs.corrupted).to(contrast.model.W_U.device)

    @torch.no_grad()
    def looped() -> Tensor:
        found = patching.generic_activation_patch(
            contrast.model,
            corrupted,
            contrast.clean,  # type: ignore[arg-type]
            lambda logits: contrast.measure(logits).mean(),
            patching.layer_pos_patch_setter,
            "resid_pre",
            index_df=sites.to_frame(index=False),
        )
        assert isinstance(found, Tensor)
        return found.view(layers, steps)

    return looped
