"""Path patching head to head: through which later heads does an earlier one act.

The direct path from head s to the query, key or value of head r is that through the residual
stream alone. In the corrupted run, with every other head and MLP as it was,

    e_r  <-  e_r + (z_s(clean) - z_s(corrupted)) W_O^s     at the input of layer r
    q_r  <-  W_Q^r LN(e_r) + b_Q^r                         (likewise k, v)

and then the run goes on from layer r with that query, at all steps (Wang et al. 2022, arXiv
2211.00593, but for the MLPs between, which are frozen here). Everything else being frozen, the
new input of r is known without a forward: only the run from layer r on is one.

The null sends an unrelated pair's clean z along the path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float
from plotly.subplots import make_subplots
from torch import Tensor

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.figures.style import PALE, styled
from irl_lens.analyses.patching.contrast import DEFAULT, Contrast, Setting
from irl_lens.analyses.patching.grid import colour_axis, head_names, introduction, shares
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.arrays import NDArray
from irl_lens.hooks import ReplacePatch

INPUTS = ("q", "k", "v")
Paths = Float[NDArray[np.float64], "senders receivers pairs"]


@dataclass(frozen=True)
class PathResult(Result):
    """Share of the edit's effect that each path restores.

    Attributes:
        setting: Edit, metric and sizes; all steps are patched.
        changed: Share of pairs in which the edit makes the model prefer another action.
        examples: What was edited in the first pairs.
        heads: Names of all heads.
        shares: By input of the receiver: value, low and high, ``[3, senders, receivers]``; 0
            where no path leads.
        null: The same of the null.
    """

    setting: Setting
    changed: float
    examples: tuple[str, ...]
    heads: tuple[str, ...]
    shares: dict[str, Float[NDArray[np.float64], "3 senders receivers"]]
    null: dict[str, Float[NDArray[np.float64], "3 senders receivers"]]

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a path."""
        rows = [
            {"sender": self.heads[s], "receiver": self.heads[r], "input": name}
            | Estimate(*self.shares[name][:, s, r].tolist()).columns("restored")
            | Estimate(*self.null[name][:, s, r].tolist()).columns("null")
            for name in self.shares
            for s, r in self._paths()
        ]
        return pd.DataFrame(rows)

    def figure(self) -> go.Figure:
        """Draws senders over receivers, for queries, keys and values."""
        figure = make_subplots(1, len(self.shares), subplot_titles=list(self.shares))
        missing = np.ones((len(self.heads), len(self.heads)), bool)
        missing[tuple(np.transpose(self._paths()))] = False
        for column, (name, value) in enumerate(self.shares.items(), start=1):
            figure.add_heatmap(
                x=list(self.heads),
                y=list(self.heads),
                z=np.where(missing, np.nan, value[0]),
                customdata=np.stack([*value[1:], self.null[name][0]], axis=-1),
                coloraxis="coloraxis",
                hovertemplate="%{y} to %{x}: %{z:.3f} (95 % %{customdata[0]:.3f} to "
                "%{customdata[1]:.3f}), null %{customdata[2]:.3f}<extra></extra>",
                row=1,
                col=column,
            )
        # Each head by its name, where plotly would name every other one.
        every: dict[str, Any] = {"showgrid": False, "dtick": 1, "tickfont_size": 10}
        figure.update_xaxes(title="receiving head", tickangle=-90, **every)
        figure.update_yaxes(autorange="reversed", **every)
        figure.update_yaxes(title="sending head", col=1)
        values = [value[0] for value in self.shares.values()]
        axis = colour_axis(values, "share of the edit's<br>effect restored")
        title = f"Path patching, head to head (edit: {self.setting.edit}; grey: no path)"
        height = 170 + 18 * len(self.heads)
        return styled(figure, title, height, coloraxis=axis, plot_bgcolor=PALE)

    def caption(self) -> str:
        """Names the strongest path to each input, against the null."""
        return " ".join(
            [
                introduction(self.setting, self.changed, self.examples),
                *(self._strongest(name) for name in self.shares),
                "The null sends an unrelated pair's activations. The strongest of many paths is "
                "chosen, so that its interval is narrower than a search deserves.",
            ]
        )

    def _strongest(self, name: str) -> str:
        if not self._paths():
            return f"No path leads to a {name}: the model has a single layer."
        s, r = self._best_path(name)
        best, null = self._best(name)
        beaten = "above" if best.low > max(null.high, 0) else "not above"
        return (
            f"Through the {name}, most from {self.heads[s]} to {self.heads[r]}: {best}, {beaten} "
            f"the null's {null.value:.3f}."
        )

    def _best_path(self, name: str) -> tuple[int, int]:
        return max(self._paths(), key=lambda path: self.shares[name][0, *path])

    def _best(self, name: str) -> tuple[Estimate, Estimate]:
        """The share of the strongest path, and that of its null."""
        s, r = self._best_path(name)
        own, null = (Estimate(*x[name][:, s, r].tolist()) for x in (self.shares, self.null))
        return own, null

    def _paths(self) -> list[tuple[int, int]]:
        """Senders and receivers a path leads between; head names begin with their layer."""
        layer = [name.split("H")[0] for name in self.heads]
        count = len(self.heads)
        return [(s, r) for s in range(count) for r in range(s, count) if layer[s] != layer[r]]

    def claims(self) -> tuple[Claim, ...]:
        """The strongest path to each input against the null."""
        paths = self._paths()
        found = []
        for name in self.shares if paths else ():
            best, null = self._best(name)
            said = self._strongest(name)
            said = f"Of paths between heads, {said[0].lower()}{said[1:]}"
            found.append(Claim.against(said, best, null, tried=len(paths)))
        return tuple(found)


def patch_paths(
    loaded: LoadedRun, setting: Setting = DEFAULT, inputs: tuple[str, ...] = INPUTS
) -> PathResult:
    """Patches every path from head to head of the base.

    Args:
        loaded: The run.
        setting: Edit, metric and sizes; its lags bound how early a decision may come.
        inputs: Which inputs of the receivers.
    """
    setting = setting.within(loaded.world)
    contrast = setting.contrast(loaded.world, loaded.base.model.hooked)
    order = (torch.arange(len(contrast.pairs)) + 1) % len(contrast.pairs)
    cfg, total = contrast.model.cfg, contrast.total
    found = {name: shares(paths(contrast, name), total) for name in inputs}
    null = {name: shares(paths(contrast, name, order), total) for name in inputs}
    heads = head_names(cfg.n_layers, cfg.n_heads)
    said = contrast.changed, contrast.pairs.changes[:3]
    return PathResult(setting, *said, heads, found, null)


def paths(contrast: Contrast, name: str, order: Tensor | None = None) -> Paths:
    """Returns what every path to one input of the receivers changes in the metric.

    Args:
        contrast: The runs.
        name: ``q``, ``k`` or ``v`` of the receiver.
        order: Pair whose clean run each pair is sent; its own if None.

    Raises:
        ValueError: There is no such input.
    """
    if name not in INPUTS:
        raise ValueError(f"no input {name!r} of a head; there are {', '.join(INPUTS)}")
    cfg = contrast.model.cfg
    count = cfg.n_layers * cfg.n_heads
    changes = np.zeros((count, count, len(contrast.pairs)))
    sent = [_sent(contrast, layer, order) for layer in range(cfg.n_layers)]
    for layer in range(1, cfg.n_layers):
        carried = torch.cat(sent[:layer])
        for head in range(cfg.n_heads):
            receiver = layer * cfg.n_heads + head
            values = _received(contrast, carried, layer, head, name)
            changes[: len(carried), receiver] = values - contrast.values[1]
    return changes


@torch.no_grad()
def _sent(
    contrast: Contrast, layer: int, order: Tensor | None
) -> Float[Tensor, "heads pairs steps d_model"]:
    """What the stream gains when each head of a layer is as in the clean run."""
    name = f"blocks.{layer}.attn.hook_z"
    clean = contrast.clean[name] if order is None else contrast.clean[name][order]
    weight = contrast.model.blocks[layer].attn.W_O
    return torch.einsum("psha,ham->hpsm", clean - contrast.corrupted[name], weight)


@torch.no_grad()
def _received(
    contrast: Contrast,
    carried: Float[Tensor, "senders pairs steps d_model"],
    layer: int,
    head: int,
    name: str,
) -> Float[NDArray[np.float64], "senders pairs"]:
    """The metric when one input of one head gets what each sender sent it alone."""
    block = contrast.model.blocks[layer]
    stream = contrast.corrupted[f"blocks.{layer}.hook_resid_pre"]
    changed = block.ln1((stream + carried).flatten(0, 1))
    weight, bias = (getattr(block.attn, f"{p}_{name.upper()}")[head] for p in ("W", "b"))
    received = (changed @ weight + bias)[:, :, None].expand(-1, -1, contrast.model.cfg.n_heads, -1)
    patch = ReplacePatch(received, f"blocks.{layer}.attn.hook_{name}", heads=[head])
    logits = contrast.model.run_with_hooks(
        stream.repeat(len(carried), 1, 1),
        start_at_layer=layer,
        return_type="logits",
        fwd_hooks=[*patch.fwd_hooks()],
    )
    return contrast.measure(logits).double().cpu().numpy()
