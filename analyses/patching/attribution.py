"""Attribution patching: all patches at once, to first order.

    effect of putting x(clean) at a site  ~  (x(clean) - x(corrupted)) . d metric / d x

with the gradient taken in the corrupted run (Nanda 2023, "Attribution patching"; Syed et al.
2023, arXiv 2310.10348): two forwards and one backward for every site of the model. It is
wrong where the model is not linear on the way from one run to the other, so the exact sweep
stands beside it. The null puts an unrelated pair's clean activations in the same formula.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.figures.style import GREY, PALETTE, styled
from irl_lens.analyses.patching.contrast import DEFAULT, HOOKS, Contrast, Setting
from irl_lens.analyses.patching.grid import Grid, introduction, table
from irl_lens.analyses.patching.sweep import Effects, Sources, grids_of, itself, sweep, unrelated
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.arrays import NDArray
from irl_lens.hooks.core.address import Axes


@dataclass(frozen=True)
class Agreement:
    """How well the approximation fits the exact sweep, over the sites of one component.

    Attributes:
        component: Its name.
        correlation: Pearson's, of restored shares, with a bootstrap interval over pairs.
        null: The same of the null.
        error: Largest absolute difference of restored shares.
        worst: Where.
    """

    component: str
    correlation: Estimate
    null: Estimate
    error: float
    worst: str


@dataclass(frozen=True)
class AttributionResult(Result):
    """Approximate restored shares and exact ones.

    Attributes:
        setting: Edit, metric and sizes.
        changed: Share of pairs in which the edit makes the model prefer another action.
        examples: What was edited in the first pairs.
        approximate: One grid a component.
        exact: The same of the exact sweep.
        agreements: How the two compare.
    """

    setting: Setting
    changed: float
    examples: tuple[str, ...]
    approximate: tuple[Grid, ...]
    exact: tuple[Grid, ...]
    agreements: tuple[Agreement, ...]

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a site."""
        exact = table(self.exact)[["restored", "restored_low", "restored_high"]]
        approximate = table(self.approximate).rename(
            columns=lambda c: c.replace("restored", "approximate")
        )
        return approximate.join(exact.add_prefix("exact_"))

    def figure(self) -> go.Figure:
        """Draws the approximate share of each site over the exact one."""
        figure = go.Figure()
        for i, (one, other) in enumerate(zip(self.approximate, self.exact, strict=True)):
            figure.add_scatter(
                x=other.shares[0].ravel(),
                y=one.shares[0].ravel(),
                text=[f"{p}, step {-lag}" for p in one.sites for lag in range(self.setting.lags)],
                mode="markers",
                name=one.component,
                marker={
                    "color": PALETTE[i % len(PALETTE)],
                    "symbol": "circle" if i < len(PALETTE) else "diamond",
                    "size": 6,
                },
                hovertemplate="%{text}: exact %{x:.3f}, approximate %{y:.3f}",
            )
        shares = [g.shares[0] for g in (*self.approximate, *self.exact)]
        ends = [min(x.min() for x in shares), max(x.max() for x in shares)]
        figure.add_scatter(
            x=ends, y=ends, mode="lines", name="equal", line={"color": GREY, "dash": "dot"}
        )
        figure.update_xaxes(title="share of the edit's effect restored, exact sweep")
        figure.update_yaxes(title="share restored, by the gradient")
        title = f"Attribution patching against the sweep (edit: {self.setting.edit})"
        return styled(figure, title, 600, margin_t=120)

    def caption(self) -> str:
        """Says how far the approximation can be trusted."""
        parts = [
            f"{a.component}: correlation {a.correlation} (null {a.null.value:.3f}), largest error "
            f"{a.error:.3f} at {a.worst}"
            + ("" if a.correlation.low > a.null.high else ", no better than the null")
            for a in self.agreements
        ]
        return (
            f"{introduction(self.setting, self.changed, self.examples)} The gradient's "
            f"approximation against the exact sweep, by component. {'; '.join(parts)}. The null "
            "is the approximation for an unrelated pair's activations."
        )

    def claims(self) -> tuple[Claim, ...]:
        """The component that the approximation fits worst."""
        worst = min(self.agreements, key=lambda a: a.correlation.value)
        sentence = (
            f"The gradient's approximation fits the exact sweep worst for {worst.component}: "
            f"correlation {worst.correlation} over sites, of the null {worst.null.value:.3f}."
        )
        reach, tried = 1 - worst.null.value, len(self.agreements)
        return (Claim.against(sentence, worst.correlation, worst.null, reach, tried),)


def attribute_patches(
    loaded: LoadedRun, setting: Setting = DEFAULT, components: tuple[str, ...] = tuple(HOOKS)
) -> AttributionResult:
    """Approximates every patch of the base, and makes them all to compare.

    Args:
        loaded: The run.
        setting: Edit, metric and sizes.
        components: Which of :data:`irl_lens.analyses.patching.contrast.HOOKS`.
    """
    setting = setting.within(loaded.world)
    contrast, lags = setting.contrast(loaded.world, loaded.base.model.hooked), setting.lags
    exact = sweep(contrast, components, lags)
    rough = attribution(contrast, components, lags)
    null = attribution(contrast, components, lags, unrelated(contrast, lags))
    other = sweep(contrast, components, lags, unrelated(contrast, lags))
    grids = grids_of(contrast, rough, null), grids_of(contrast, exact, other)
    agreements = [
        _agreement(quick, slow, rough[name], null[name], exact[name], contrast.total)
        for name, quick, slow in zip(components, *grids, strict=True)
    ]
    examples = contrast.pairs.changes[:3]
    return AttributionResult(setting, contrast.changed, examples, *grids, tuple(agreements))


def attribution(
    contrast: Contrast, components: Sequence[str], lags: int, sources: Sources | None = None
) -> dict[str, Effects]:
    """Approximates what patching each site changes; see :func:`sweep.sweep`."""
    sources = itself(contrast, lags) if sources is None else sources
    layers = range(contrast.model.cfg.n_layers)
    sites = {c: [f"blocks.{layer}.{HOOKS[c]}" for layer in layers] for c in components}
    gradients = corrupted_gradients(contrast, [name for names in sites.values() for name in names])
    return {
        c: np.concatenate([_products(contrast, n, gradients[n], sources, lags) for n in names])
        for c, names in sites.items()
    }


def corrupted_gradients(contrast: Contrast, names: Sequence[str]) -> Mapping[str, Tensor]:
    """Returns the gradient of each pair's metric at hook points of the corrupted run."""
    stream = contrast.corrupted["blocks.0.hook_resid_pre"].clone().requires_grad_()
    kept: dict[str, Tensor] = {}

    def keep(x: Tensor, hook) -> None:
        kept[hook.name] = x

    with torch.enable_grad():
        logits = contrast.model.run_with_hooks(
            stream, start_at_layer=0, return_type="logits", fwd_hooks=[(n, keep) for n in names]
        )
        total = contrast.measure(logits).sum()
    return dict(zip(names, torch.autograd.grad(total, [kept[n] for n in names]), strict=True))


def _products(
    contrast: Contrast, name: str, gradient: Tensor, sources: Sources, lags: int
) -> Effects:
    """(x(clean) - x(corrupted)) . gradient at every site of a hook point, heads in turn."""
    axis = Axes.of(name)
    clean, corrupted, slope = (
        x.movedim(axis.step, 1) for x in (contrast.clean[name], contrast.corrupted[name], gradient)
    )
    row, step = itself(contrast, lags).unbind(-1)
    change = clean[sources[..., 0], sources[..., 1]] - corrupted[row, step]
    products = (change * slope[row, step]).sum(dim=-1).double()
    # [lags, pairs] of the stream, [lags, pairs, heads] of heads.
    sites = products[..., None] if products.ndim == 2 else products
    return sites.permute(2, 0, 1).cpu().numpy()


def _agreement(
    rough: Grid,
    exact: Grid,
    rough_effects: Effects,
    null_effects: Effects,
    exact_effects: Effects,
    total: Float[NDArray[np.float64], " pairs"],
) -> Agreement:
    error = np.abs(rough.shares[0] - exact.shares[0])
    site, lag = np.unravel_index(error.argmax(), error.shape)
    own = correlation(rough_effects, exact_effects, total)
    null = correlation(null_effects, exact_effects, total)
    worst = f"{rough.sites[site]}, step {-int(lag)}"
    return Agreement(rough.component, own, null, float(error.max()), worst)


def correlation(
    one: Effects,
    other: Effects,
    total: Float[NDArray[np.float64], " pairs"],
    draws: int = 500,
    seed: int = 0,
) -> Estimate:
    """Correlates restored shares over sites; the interval resamples pairs.

    Args:
        one: Effects of patches at all sites, by one way of measuring.
        other: Effects at the same sites, by another way.
        total: Clean less corrupted, of each pair.
        draws: Resamples.
        seed: Seed of the resampling.
    """
    both = np.stack([one, other]).reshape(2, -1, len(total))

    def of(weights: NDArray) -> float:
        return float(np.corrcoef(both[0] @ weights, both[1] @ weights)[0, 1])

    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(total), np.full(len(total), 1 / len(total)), size=draws)
    low, high = np.quantile([of(weights) for weights in drawn], (0.025, 0.975))
    return Estimate(of(np.ones(len(total))), float(low), float(high))
