"""Direct attribution: which layers and heads write an action's logit, and a controller's part.

The last stream r is the sum of everything that was ever written to it, and but for its scale
s the last normalisation is linear, so the logit of action a is a sum over the writers i:

    x_a = sum_i w_a . (r_i - mean(r_i)) / s + b_a,      w_a = gain * W_U[:, a]

(Elhage et al. 2021; nostalgebraist's lens taken apart.) Of real actions the
means are taken apart in the same way. Terms: the embedding, every head's
z W_O, every MLP, the change a controller makes at a block's output, and all biases as one.
What a writer does to later writers is not in its term: that is what patching measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens import HookedTransformer

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.figures.intervals import with_intervals
from irl_lens.analyses.figures.style import GREY, MAIN, styled
from irl_lens.analyses.patching.contrast import DEFAULT, Contrast, Setting, activations
from irl_lens.analyses.patching.grid import introduction
from irl_lens.analyses.patching.metrics import MEAN_ACTION, difference, restored
from irl_lens.analyses.patching.pairs import Observations
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.arrays import NDArray
from irl_lens.hooks import Intervention


@dataclass(frozen=True)
class DirectResult(Result):
    """Share of the edit's effect on the logit difference that each term writes.

    Attributes:
        setting: Edit and sizes; the metric is the usual one of the world's actions.
        changed: Share of pairs in which the edit makes the model prefer another action.
        examples: What was edited in the first pairs.
        total: Mean of the metric, clean less corrupted: logit difference [nats], or mean action.
        terms: Names of the terms; their shares add up to 1.
        shares: Share of each term.
        null: The same for the two actions of an unrelated pair.
    """

    setting: Setting
    changed: float
    examples: tuple[str, ...]
    total: float
    terms: tuple[str, ...]
    shares: tuple[Estimate, ...]
    null: tuple[Estimate, ...]

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a term."""
        rows = zip(self.terms, self.shares, self.null, strict=True)
        return pd.DataFrame(
            [{"term": n} | x.columns("share") | y.columns("null") for n, x, y in rows]
        )

    def figure(self) -> go.Figure:
        """Draws each term's share beside the null's."""
        figure = go.Figure()
        curves = {"share": (self.shares, MAIN), "unrelated actions": (self.null, GREY)}
        for name, (estimates, colour) in curves.items():
            figure.add_bar(
                x=list(self.terms),
                **with_intervals(estimates, width=2),
                name=name,
                marker_color=colour,
            )
        figure.update_xaxes(title="written by", tickangle=-60)
        figure.update_yaxes(title=f"share of the {self.setting.metric}")
        title = f"Who writes the {self._written} that the edit changes (edit: {self.setting.edit})"
        return styled(figure, title, 460)

    def caption(self) -> str:
        """Names the largest terms, and says which are beyond the null."""
        order = sorted(range(len(self.terms)), key=lambda i: -abs(self.shares[i].value))[:3]
        parts = [
            f"{self.terms[i]} {self.shares[i]} ("
            f"{'beyond' if self._beyond(i) else 'within'} the null's {self.null[i].value:.3f})"
            for i in order
        ]
        unit = "on the model's scale" if self._real else "nats"
        null = "way that the mean moves in" if self._real else "two actions of"
        moved = f"{self.setting.metric} by {self.total:.2f} {unit}"
        return (
            f"{introduction(self.setting, self.changed, self.examples)} The edit moves the "
            f"{moved}. Written directly by: {'; '.join(parts)}. All shares add up to 1. The null "
            f"takes the {null} an unrelated pair."
        )

    @property
    def _real(self) -> bool:
        return self.setting.metric == MEAN_ACTION

    @property
    def _written(self) -> str:
        return "mean action" if self._real else "logits"

    def _beyond(self, i: int) -> bool:
        share, null = self.shares[i], self.null[i]
        return share.low > null.high or share.high < null.low

    def claims(self) -> tuple[Claim, ...]:
        """The largest term against the null."""
        i = max(range(len(self.terms)), key=lambda i: abs(self.shares[i].value))
        share, null = self.shares[i], self.null[i]
        sentence = (
            f"Most of the {self._written} that an edit ({self.setting.edit}) changes is written by "
            f"{self.terms[i]}: a share of {share}, for unrelated actions {null.value:.3f}."
        )
        return (Claim.against(sentence, share, null, tried=len(self.terms)),)


def attribute_logits(
    loaded: LoadedRun, setting: Setting = DEFAULT, controllers: Sequence[Intervention] = ()
) -> DirectResult:
    """Takes the logits of the base apart, in clean and corrupted episodes.

    Args:
        loaded: The run.
        setting: Edit and sizes; its metric is not used.
        controllers: Active in both, each with a term of its own.
    """
    setting = setting.usual(loaded.world)
    contrast = setting.contrast(loaded.world, loaded.base.model.hooked)
    names, terms = zip(
        *(
            direct_terms(contrast.model, x, contrast.pairs.decisions, controllers)
            for x in _sides(contrast)
        ),
        strict=True,
    )
    change = (terms[0] - terms[1]).movedim(1, 0)
    parts = difference(change, contrast.readout).double().cpu().numpy()
    order = (torch.arange(len(contrast.pairs)) + 1) % len(contrast.pairs)
    others = difference(change, contrast.readout.rows(order)).double().cpu().numpy()
    total = parts.sum(axis=0)
    shares, null = (tuple(restored(part, total) for part in p) for p in (parts, others))
    said = contrast.changed, contrast.pairs.changes[:3]
    return DirectResult(setting, *said, float(total.mean()), names[0], shares, null)


@torch.no_grad()
def direct_terms(
    model: HookedTransformer,
    observations: Observations,
    decisions: Int[NDArray[np.int64], " rows"],
    controllers: Sequence[Intervention] = (),
) -> tuple[tuple[str, ...], Float[Tensor, "rows terms actions"]]:
    """Splits the logits of every action at one step of each row.

    Args:
        model: The base model.
        observations: Sparse observations.
        decisions: The step, of each row.
        controllers: Interventions at outputs of blocks, active in the run.

    Returns:
        The terms' names, and the terms; over them they add up to the logits.

    Raises:
        ValueError: A controller is not at the output of a block.
    """
    with ExitStack() as stack:
        for controller in controllers:
            _check(controller)
            stack.enter_context(controller.attached(model))
        cache = activations(model, observations)
    at = torch.arange(len(decisions)), torch.from_numpy(decisions)
    here = {name: x[at] for name, x in cache.items() if not name.endswith("hook_pattern")}
    return split_logits(model, here, {c.hook_name for c in controllers})


@torch.no_grad()
def split_logits(
    model: HookedTransformer, here: Mapping[str, Tensor], controlled: set[str]
) -> tuple[tuple[str, ...], Float[Tensor, "rows terms actions"]]:
    """Splits the logits of every action, given the activations that they came from.

    Args:
        model: The base model.
        here: What each position has at the hook points within blocks, and the last scale.
        controlled: Hook points, outputs of blocks, at which a controller has a term.

    Returns:
        The terms' names, and the terms; over them they add up to the logits.
    """
    names, written = _written(model, here, controlled)
    scale = here["ln_final.hook_scale"][:, None]
    gain, head = model.ln_final.w[:, None] * model.unembed.W_U, model.unembed.b_U  # type: ignore
    centred = written - written.mean(dim=-1, keepdim=True)
    terms = centred / scale @ gain
    terms[:, -1] += model.ln_final.b @ model.unembed.W_U + head  # type: ignore
    return names, terms


def _written(
    model: HookedTransformer, here: Mapping[str, Tensor], controlled: set[str]
) -> tuple[tuple[str, ...], Float[Tensor, "rows terms d_model"]]:
    """What was written to the stream, by whom; the biases of attention last."""
    names, parts = ["embedding"], [here["blocks.0.hook_resid_pre"]]
    for layer, block in enumerate(model.blocks):
        name = f"blocks.{layer}"
        heads = torch.einsum("rhd,hdm->hrm", here[f"{name}.attn.hook_z"], block.attn.W_O)
        parts += [*heads, here[f"{name}.hook_mlp_out"]]
        names += [f"L{layer + 1}H{head}" for head in range(len(heads))] + [f"L{layer + 1} MLP"]
        if (post := f"{name}.hook_resid_post") in controlled:
            names.append(f"L{layer + 1} controller")
            parts.append(here[post] - here[f"{name}.hook_resid_mid"] - here[f"{name}.hook_mlp_out"])
    bias = torch.stack([block.attn.b_O for block in model.blocks]).sum(dim=0)
    return (*names, "biases"), torch.stack([*parts, bias.expand_as(parts[0])], dim=1)


def _sides(contrast: Contrast) -> tuple[Observations, Observations]:
    return contrast.pairs.clean, contrast.pairs.corrupted


def _check(controller: Intervention) -> None:
    if not controller.hook_name.endswith("hook_resid_post"):
        raise ValueError(
            f"a controller at {controller.hook_name}; only one at the output of a block "
            "(blocks.N.hook_resid_post) has a term of its own"
        )
