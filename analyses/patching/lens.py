"""Logit lens for actions: what the model would do if it stopped after layer l.

    x^l_t = W_U LN(e^l_t) + b_U        e^l_t at the output of layer l, 0 the embedding

(nostalgebraist 2020.) After the last layer this is the model's own output. Shown is the logit
difference of the pair's two actions, clean less corrupted, as a share of the model's own at
the decision: when in depth and time the edit comes to be seen in what the model would do. The
null takes the two actions of an unrelated pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens import HookedTransformer

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.patching.contrast import DEFAULT, Contrast, Setting
from irl_lens.analyses.patching.grid import Grid, heatmaps, introduction, table
from irl_lens.analyses.patching.metrics import Readout, Way, difference
from irl_lens.analyses.patching.sweep import Effects, itself
from irl_lens.analyses.stats.estimates import Estimate


@dataclass(frozen=True)
class LensResult(Result):
    """The lens' logit difference by layer and step, as a share of the model's own.

    Attributes:
        setting: Edit and sizes; the metric is the usual one of the world's actions.
        changed: Share of pairs in which the edit makes the model prefer another action.
        examples: What was edited in the first pairs.
        grid: Places are the embedding (L0) and the outputs of blocks.
    """

    setting: Setting
    changed: float
    examples: tuple[str, ...]
    grid: Grid

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a layer and step."""
        return table([self.grid]).drop(columns="component").rename(columns={"site": "layer"})

    def figure(self) -> go.Figure:
        """Draws layers over steps."""
        title = f"Logit lens: where the edit shows in the action (edit: {self.setting.edit})"
        return heatmaps([self.grid], title, "share of the model's<br>own difference")

    def caption(self) -> str:
        """Says from which layer on the choice stands."""
        layers = [
            f"{name} {self.grid.at(i, 0)} (null {self.grid.null_at(i, 0).value:.3f})"
            for i, name in enumerate(self.grid.sites)
        ]
        clear = [name for i, name in enumerate(self.grid.sites) if self.grid.beaten(i, 0)]
        told = f"first beyond the null at {clear[0]}" if clear else "nowhere beyond the null"
        return (
            f"{introduction(self.setting, self.changed, self.examples)} At the decision, the "
            f"lens shows of the model's own {self.setting.metric}: {'; '.join(layers)}; {told}. "
            "The last layer is the model's own output, 1 by definition. That an early layer shows "
            "nothing does not mean that it has not decided: it may write in another basis."
        )

    def claims(self) -> tuple[Claim, ...]:
        """The layer below the last that shows most beyond the null."""
        below = self.grid.beyond[:, :-1, 0]
        i = int(below[0].argmax())
        sentence = (
            f"At the decision the lens shows, at {self.grid.sites[i]}, {self.grid.at(i, 0)} of "
            f"the {self.setting.metric} of the whole model, null "
            f"{self.grid.null_at(i, 0).value:.3f}."
        )
        none = Estimate(0, 0, 0)
        found = Estimate(*below[:, i].tolist())
        return (Claim.against(sentence, found, none, tried=below.shape[1]),)


def action_lens(loaded: LoadedRun, setting: Setting = DEFAULT) -> LensResult:
    """Looks at the base through the lens, in clean and corrupted episodes.

    Args:
        loaded: The run.
        setting: Edit and sizes; its metric is not used.
    """
    setting = setting.usual(loaded.world)
    contrast = setting.contrast(loaded.world, loaded.base.model.hooked)
    order = (torch.arange(len(contrast.pairs)) + 1) % len(contrast.pairs)
    found, null = (
        lens_differences(contrast, setting.lags, readout)
        for readout in (contrast.readout, contrast.readout.rows(order))
    )
    total = found[-1, 0]
    names = tuple(f"L{i}" for i in range(len(found)))
    grid = Grid.of("residual stream", names, found, null, total)
    return LensResult(setting, contrast.changed, contrast.pairs.changes[:3], grid)


def lens_differences(contrast: Contrast, lags: int, readout: Readout | Way) -> Effects:
    """Returns the lens' usual metric, clean less corrupted, from L0 up."""
    row, step = itself(contrast, lags).unbind(-1)
    sides = []
    for cache in (contrast.clean, contrast.corrupted):
        logits = lens_logits(contrast.model, [x[row, step] for x in streams(contrast.model, cache)])
        sides.append(difference(logits, readout).double().cpu().numpy())
    return np.asarray(sides[0] - sides[1])


def streams(model: HookedTransformer, cache: Mapping[str, Tensor]) -> list[Tensor]:
    """Returns the embedding and the outputs of all blocks from a cache."""
    outputs = [cache[f"blocks.{i}.hook_resid_post"] for i in range(model.cfg.n_layers)]
    return [cache["blocks.0.hook_resid_pre"], *outputs]


@torch.no_grad()
def lens_logits(
    model: HookedTransformer, layers: list[Tensor]
) -> Float[Tensor, "layers *batch actions"]:
    """Reads streams ``[*batch, d_model]`` as the last layer's."""
    return model.unembed(model.ln_final(torch.stack(layers)))
