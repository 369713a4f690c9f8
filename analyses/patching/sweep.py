"""Activation patching: a clean activation in the corrupted run, site by site.

    x^l_t <- x^l_t(clean)   at layer l, step t, and for heads one by one

(Meng et al. 2022, arXiv 2202.05262; Heimersheim and Nanda 2024, arXiv 2404.15255.) Steps are
counted back from the decision. All steps of some pairs are patched in one forward, which starts
at the patched block, or after it where its output is patched: the stream before is the corrupted
run's, whatever is patched.

The null patches from an unrelated pair's clean run, at the same step: what any other clean
activation would do there. It is far from 0 where the site carries the choice of an action, as
the other choice is then lost; only what goes beyond it is about the edit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens import HookedTransformerConfig

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.patching.contrast import BY_HEAD, DEFAULT, HOOKS, Contrast, Setting
from irl_lens.analyses.patching.grid import Grid, heatmaps, introduction, site_names, table
from irl_lens.arrays import NDArray
from irl_lens.hooks import TransplantPatch

Sources = Int[Tensor, "lags pairs 2"]
Effects = Float[NDArray[np.float64], "sites lags pairs"]


@dataclass(frozen=True)
class SweepResult(Result):
    """Share of the edit's effect that each site restores, 0 the corrupted run, 1 the clean.

    Attributes:
        setting: Edit, metric and sizes.
        changed: Share of pairs in which the edit makes the model prefer another action.
        examples: What was edited in the first pairs.
        grids: One a component.
    """

    setting: Setting
    changed: float
    examples: tuple[str, ...]
    grids: tuple[Grid, ...]

    def grid(self, component: str) -> Grid:
        """Returns the grid of one component."""
        return next(grid for grid in self.grids if grid.component == component)

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a site."""
        return table(self.grids)

    def figure(self) -> go.Figure:
        """Draws one heat map a component."""
        title = f"Restored by patching the clean activation in (edit: {self.setting.edit})"
        return heatmaps(self.grids, title, "share of the edit's<br>effect restored")

    def caption(self) -> str:
        """Says which single sites matter, against the null."""
        sentences = [introduction(self.setting, self.changed, self.examples)]
        sentences += [grid.sentence() for grid in self.grids]
        return " ".join(
            [
                *sentences,
                "The null is the same patch from an unrelated pair. Each is the best of all its "
                "sites, so that the intervals are narrower than a search deserves.",
            ]
        )

    def claims(self) -> tuple[Claim, ...]:
        """The best site of each component against the null; the stream carries everything."""
        parts = [grid for grid in self.grids if not grid.component.startswith("residual")]
        return tuple(grid.claim() for grid in parts)


def sweep_patches(
    loaded: LoadedRun, setting: Setting = DEFAULT, components: tuple[str, ...] = tuple(HOOKS)
) -> SweepResult:
    """Patches every site of the base.

    Args:
        loaded: The run.
        setting: Edit, metric and sizes.
        components: Which of :data:`irl_lens.analyses.patching.contrast.HOOKS` to patch.
    """
    setting = setting.within(loaded.world)
    model = loaded.base.model.hooked
    swept = [
        Swept.of(part, components, setting.lags) for part in setting.parts(loaded.world, model)
    ]
    whole = Swept.joined(swept)
    grids = _grids(model.cfg, whole.effects, whole.null, whole.total)
    return SweepResult(setting, whole.changed, whole.changes[:3], grids)


@dataclass(frozen=True)
class Swept:
    """What is kept of some pairs.

    Attributes:
        effects: Of every site, by component.
        null: The same of patches from unrelated pairs.
        total: The metric in the clean run less that in the corrupted one.
        changed: Share of pairs in which the edit makes the model prefer another action.
        changes: What was edited.
    """

    effects: Mapping[str, Effects]
    null: Mapping[str, Effects]
    total: Float[NDArray[np.float64], " pairs"]
    changed: float
    changes: tuple[str, ...]

    @classmethod
    def of(cls, contrast: Contrast, components: Sequence[str], lags: int) -> Swept:
        """Sweeps over pairs."""
        effects = sweep(contrast, components, lags)
        null = sweep(contrast, components, lags, unrelated(contrast, lags))
        return cls(effects, null, contrast.total, contrast.changed, contrast.pairs.changes)

    @classmethod
    def joined(cls, parts: Sequence[Swept]) -> Swept:
        """Puts the pairs of all parts together."""
        counts = [len(part.changes) for part in parts]
        return cls(
            _beside_each_other([part.effects for part in parts]),
            _beside_each_other([part.null for part in parts]),
            np.concatenate([part.total for part in parts]),
            float(np.average([part.changed for part in parts], weights=counts)),
            sum((part.changes for part in parts), ()),
        )


def _beside_each_other(
    parts: Sequence[Mapping[str, NDArray[np.float64]]],
) -> dict[str, NDArray[np.float64]]:
    return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}


def grids_of(
    contrast: Contrast, effects: Mapping[str, Effects], null: Mapping[str, Effects]
) -> tuple[Grid, ...]:
    """Averages the effects of a sweep over pairs, beside those of its null."""
    return _grids(contrast.model.cfg, effects, null, contrast.total)


def _grids(
    cfg: HookedTransformerConfig,
    effects: Mapping[str, Effects],
    null: Mapping[str, Effects],
    total: Float[NDArray[np.float64], " pairs"],
) -> tuple[Grid, ...]:
    return tuple(
        Grid.of(name, site_names(name, cfg.n_layers, cfg.n_heads), effects[name], null[name], total)
        for name in effects
    )


def sweep(
    contrast: Contrast,
    components: Sequence[str],
    lags: int,
    sources: Sources | None = None,
    tick: Callable[[int], None] = lambda done: None,
) -> dict[str, Effects]:
    """Returns what patching each site changes in the metric, component by component.

    Places are layers, and for the components of ``BY_HEAD`` the heads of each layer in turn.

    Args:
        contrast: The runs.
        components: What to patch.
        lags: Steps, from the decision back.
        sources: Pair and step of the clean run that is put at each site; its own if None.
        tick: Told before each forward how many of the component's are done; may raise to stop.

    Raises:
        ValueError: There is no such component, or not so many steps.
    """
    if unknown := [name for name in components if name not in HOOKS]:
        raise ValueError(f"no component {unknown[0]!r}; there are {', '.join(HOOKS)}")
    sources = itself(contrast, lags) if sources is None else sources
    return {name: _sweep(contrast, name, lags, sources, tick) for name in components}


def itself(contrast: Contrast, lags: int) -> Sources:
    """The pair and the step of every site, as they are."""
    steps = contrast.steps(lags)
    return torch.stack([_rows(steps).expand_as(steps), steps], dim=-1)


def unrelated(contrast: Contrast, lags: int) -> Sources:
    """The next pair for every pair, at the same step, or at its decision if that is sooner.

    No step is later than that of the site, so that no pattern lets a query see the future.
    """
    steps, pairs = contrast.steps(lags), len(contrast.pairs)
    other = (_rows(steps) + 1) % pairs
    last = steps[0, other]
    return torch.stack([other.expand_as(steps), steps.minimum(last)], dim=-1)


def _sweep(
    contrast: Contrast, component: str, lags: int, sources: Sources, tick: Callable[[int], None]
) -> Effects:
    cfg = contrast.model.cfg
    heads = [[h] for h in range(cfg.n_heads)] if component in BY_HEAD else [None]
    sites = _sites(contrast, lags, sources)
    values = []
    for layer in range(cfg.n_layers):
        name = f"blocks.{layer}.{HOOKS[component]}"
        for head in heads:
            tick(len(values))
            patch = TransplantPatch(contrast.clean[name], name, sites, heads=head)
            values.append(patched(contrast, layer, patch, lags))
    return np.stack(values) - contrast.values[1]


def _sites(contrast: Contrast, lags: int, sources: Sources) -> Int[Tensor, "sites 4"]:
    """Row, step, source pair and source step: lag after lag, all pairs in each."""
    steps = contrast.steps(lags).flatten()
    return torch.column_stack([_rows(steps), steps, sources.flatten(0, 1)])


def _rows(steps: Int[Tensor, "*lags rows"]) -> Int[Tensor, " rows"]:
    return torch.arange(steps.shape[-1], device=steps.device)


@torch.no_grad()
def patched(
    contrast: Contrast, layer: int, patch: TransplantPatch, lags: int
) -> Float[NDArray[np.float64], "lags pairs"]:
    """Returns the metric of corrupted runs, one a lag, begun at a block with a patch in it.

    A patch of what the block leaves is made first, and the run begun after the block.
    """
    after = patch.hook_name.endswith("hook_resid_post")
    begun = patch.hook_name if after else f"blocks.{layer}.hook_resid_pre"
    stream = contrast.corrupted[begun].repeat(lags, 1, 1)
    logits = contrast.model.run_with_hooks(
        patch(stream) if after else stream,
        start_at_layer=layer + after,
        return_type="logits",
        fwd_hooks=[] if after else [*patch.fwd_hooks()],
    )
    return contrast.measure(logits).double().cpu().numpy()
