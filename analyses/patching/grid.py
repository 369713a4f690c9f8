"""Restored shares by layer, or head, and step: estimates, heat maps and sentences of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.subplots import make_subplots

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.figures.style import styled
from irl_lens.analyses.patching.contrast import BY_HEAD, Setting
from irl_lens.analyses.patching.metrics import restored
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.arrays import NDArray

Effects = Float[NDArray[np.float64], "sites lags pairs"]
SCALE = [[0, "#0072B2"], [0.5, "#FFFFFF"], [1, "#D55E00"]]
"""Blue below, white at 0, vermilion above: apart for colour-blind readers too."""


@dataclass(frozen=True)
class Grid:
    """Restored shares of one component.

    Attributes:
        component: Its name.
        sites: Where: layers or heads, counted from 1 and ``L1H0`` for head 0 of layer 1.
        shares: Value, low and high of each site and lag, ``[3, sites, lags]``.
        null: The same of the null.
        beyond: The same of the difference of the two, pair by pair.
    """

    component: str
    sites: tuple[str, ...]
    shares: Float[NDArray[np.float64], "3 sites lags"]
    null: Float[NDArray[np.float64], "3 sites lags"]
    beyond: Float[NDArray[np.float64], "3 sites lags"]

    @classmethod
    def of(
        cls,
        component: str,
        sites: tuple[str, ...],
        effects: Effects,
        null: Effects,
        total: Float[NDArray[np.float64], " pairs"],
    ) -> Grid:
        """Averages effects over pairs.

        Args:
            component: What was patched.
            sites: Where.
            effects: What patching changed in the metric.
            null: What the null did.
            total: Clean less corrupted.
        """
        return cls(component, sites, *(shares(x, total) for x in (effects, null, effects - null)))

    def at(self, site: int, lag: int) -> Estimate:
        """Returns one site's share."""
        return Estimate(*self.shares[:, site, lag].tolist())

    def null_at(self, site: int, lag: int) -> Estimate:
        """Returns one site's share under the null."""
        return Estimate(*self.null[:, site, lag].tolist())

    def beaten(self, site: int, lag: int) -> bool:
        """Whether a site restores something, and more than the null does."""
        return bool(min(self.shares[1, site, lag], self.beyond[1, site, lag]) > 0)

    @property
    def best(self) -> tuple[int, int]:
        """Site and lag of the largest share."""
        site, lag = np.unravel_index(np.nanargmax(self.shares[0]), self.shares.shape[1:])
        return int(site), int(lag)

    def claim(self) -> Claim:
        """The best site against the null, pair by pair."""
        site, lag = self.best
        beyond = Estimate(*self.beyond[:, site, lag].tolist())
        said = self.sentence()
        said = f"A clean activation restores {said[0].lower()}{said[1:]}"
        return Claim.against(said, beyond, Estimate(0, 0, 0), tried=self.shares[0].size)

    def sentence(self) -> str:
        """Says what the best site restores, and whether the null does as much.

        Of the residual stream, which carries everything in the end, what each layer does.
        """
        if self.component.startswith("residual"):
            layers = [f"{p} {self.shares[0, i, 0]:.3f}" for i, p in enumerate(self.sites)]
            return f"By {self.component} at the decision: {', '.join(layers)}."
        site, lag = self.best
        best, null = self.at(site, lag), self.null_at(site, lag)
        when = "the decision" if lag == 0 else f"{lag} step{'s' * (lag > 1)} before it"
        beaten = "above" if self.beaten(site, lag) else "not above"
        return (
            f"Most by {self.component}, at {self.sites[site]} and {when}: {best}, "
            f"{beaten} the null's {null.value:.3f}."
        )


def shares(
    effects: Effects, total: Float[NDArray[np.float64], " pairs"]
) -> Float[NDArray[np.float64], "3 sites lags"]:
    """Returns value, low and high of the restored share of every site and lag."""
    found = [[restored(cell, total) for cell in row] for row in effects]
    return np.array([[(e.value, e.low, e.high) for e in row] for row in found]).transpose(2, 0, 1)


def site_names(component: str, layers: int, heads: int) -> tuple[str, ...]:
    """Names the sites of a component: layers, or heads."""
    return head_names(layers, heads) if component in BY_HEAD else layer_names(layers)


def layer_names(layers: int) -> tuple[str, ...]:
    """Names layers, counted from 1."""
    return tuple(f"L{layer + 1}" for layer in range(layers))


def head_names(layers: int, heads: int) -> tuple[str, ...]:
    """Names the heads of all layers, layer after layer; heads are counted from 0."""
    return tuple(f"{name}H{head}" for name in layer_names(layers) for head in range(heads))


def table(grids: Sequence[Grid]) -> pd.DataFrame:
    """Returns one row a site and lag."""
    rows = [
        {"component": grid.component, "site": name, "steps_before": lag}
        | grid.at(site, lag).columns("restored")
        | grid.null_at(site, lag).columns("null")
        | Estimate(*grid.beyond[:, site, lag].tolist()).columns("beyond_null")
        for grid in grids
        for site, name in enumerate(grid.sites)
        for lag in range(grid.shares.shape[2])
    ]
    return pd.DataFrame(rows)


def heatmaps(grids: Sequence[Grid], title: str, unit: str) -> go.Figure:
    """Draws grids side by side, those of layers above those of heads.

    Args:
        grids: What to draw.
        title: Title of the figure.
        unit: Unit of the shares, beside the colour bar.
    """
    rows, columns, tallest = _layout(grids)
    height = 120 + sum(110 + 16 * n for n in tallest)
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[grid.component for grid in grids],
        row_heights=[40 + 16 * n for n in tallest],
        vertical_spacing=90 / height,
        horizontal_spacing=0.06,
    )
    for i, grid in enumerate(grids):
        row, col = i // columns + 1, i % columns + 1
        figure.add_trace(_heatmap(grid), row, col)
        if col == 1:
            axis = "head" if grid.component in BY_HEAD else "layer"
            figure.update_yaxes(title=axis, row=row, col=col)
    figure.update_xaxes(title="step", showgrid=False, title_standoff=4)
    # Each site by its name: where rows are narrow plotly names every other one.
    figure.update_yaxes(autorange="reversed", showgrid=False, dtick=1)
    return styled(figure, title, height, **_scales(grids, unit))


def colour_axis(values: Sequence[NDArray[np.float64]], unit: str, **bar: Any) -> dict[str, Any]:
    """Returns a colour axis of equal reach below and above 0, wide enough for all values."""
    bound = max((float(np.nanmax(np.abs(value))) for value in values), default=0) or 1.0
    bar = {"title": unit, "tickformat": ".2~g", **bar}
    return {"colorscale": SCALE, "cmin": -bound, "cmax": bound, "colorbar": bar}


def _heatmap(grid: Grid) -> go.Heatmap:
    return go.Heatmap(
        x=-np.arange(grid.shares.shape[2]),
        y=list(grid.sites),
        z=grid.shares[0],
        customdata=np.stack([*grid.shares[1:], grid.null[0]], axis=-1),
        coloraxis="coloraxis2" if grid.component in BY_HEAD else "coloraxis",
        hovertemplate="%{y}, step %{x}: %{z:.3f} (95 % %{customdata[0]:.3f} to "
        "%{customdata[1]:.3f}), null %{customdata[2]:.3f}<extra></extra>",
    )


def _scales(grids: Sequence[Grid], unit: str) -> dict[str, dict[str, Any]]:
    """A colour axis for layers and one for heads, each of which does far less alone."""
    heads = [grid.shares[0] for grid in grids if grid.component in BY_HEAD]
    layers = [grid.shares[0] for grid in grids if grid.component not in BY_HEAD]
    length = 0.5 if heads and layers else 1
    above = {"y": 1, "yanchor": "top", "len": length}
    below = {"y": 0, "yanchor": "bottom", "len": length}
    return {
        "coloraxis": colour_axis(layers, f"layers: {unit}" if heads else unit, **above),
        "coloraxis2": colour_axis(heads, f"heads: {unit}" if layers else unit, **below),
    }


def introduction(setting: Setting, changed: float, examples: Sequence[str]) -> str:
    """Says what the pairs are; ``changed`` is NaN where no action is preferred."""
    other = f"; the edit makes it prefer another action in {changed:.0%} of them"
    return (
        f"{setting.pairs} pairs of episodes that differ in one edit ({setting.edit}: "
        f"{'; '.join(examples)}), those of {setting.pairs * setting.pool} on which the base's "
        f"choice depends most{other if isfinite(changed) else ''}. "
        f"Metric: {setting.metric}, 0 in the corrupted run and 1 in the clean one. Steps are "
        "counted from the decision."
    ).replace("%", " %")


def _layout(grids: Sequence[Grid]) -> tuple[int, int, list[int]]:
    """Rows, columns, and how many sites the tallest grid of each row has."""
    columns = min(len(grids), 5)
    rows = ceil(len(grids) / columns)
    parts = [grids[i * columns : (i + 1) * columns] for i in range(rows)]
    return rows, columns, [max(len(grid.sites) for grid in part) for part in parts]
