"""Where bases of several depths can be steered: controllers by layer in a set of runs.

Each run's supervised controllers are tried at each of their layers, as
:mod:`irl_lens.analyses.control.by_layer` does, all on the same fresh demonstrations and the same
boards. (arXiv 2512.20605, Fig. 4, with its ablation of depth: 4, 6, 8.) Layers are drawn by
their share of the depth, 1 the output of the last block. Runs of one depth are seeds: what is
drawn is their median, and bars from lowest to highest; of a single seed they are its interval
over episodes. The control is the same norm in random directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.control.by_layer import Trying, adjusted
from irl_lens.analyses.control.layer_control import LayerControl
from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.demonstrations import Sample, draw
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Seed
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.trial import Trial, percent
from irl_lens.analyses.figures.intervals import ABOVE_PANELS, one_legend, with_intervals
from irl_lens.analyses.figures.style import PALETTE, paler, styled
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.errors import UserError
from irl_lens.progress import Progress, QuietProgress
from irl_lens.runs.folder import first_difference
from irl_lens.runs.run import Run

MEASURES = {
    "gap closed": ("share", "gap_closed", "random_gap_closed"),
    "success, solvable boards": ("share of boards", "success_solvable", "success_solvable"),
    "subgoals reached": ("mean number", "subgoals", "subgoals"),
}
"""Panels: the unit, and what is drawn of the controllers and of the control."""


@dataclass(frozen=True)
class Steered:
    """The controllers of one layer of one run.

    Attributes:
        run: Its folder's name.
        seed: Its seed.
        depth: Blocks of its base.
        control: What they do; p adjusted for all runs and layers.
    """

    run: str
    seed: int
    depth: int
    control: LayerControl

    @property
    def share(self) -> float:
        """The layer as a share of the depth."""
        return self.control.layer / self.depth

    def measure(self, panel: str, random: bool = False) -> Estimate:
        """What a panel draws of it, or of its control."""
        name = MEASURES[panel][1 + random]
        if hasattr(self.control, name):
            return getattr(self.control, name)
        return getattr(self.control.random if random else self.control.outcome, name)


@dataclass(frozen=True)
class DepthResult(Result):
    """See the module.

    Attributes:
        found: One a run and layer.
        label: What the controllers are for.
    """

    found: tuple[Steered, ...]
    label: str

    @property
    def depths(self) -> tuple[int, ...]:
        """Those of the runs."""
        return tuple(sorted({one.depth for one in self.found}))

    def curve(self, depth: int, panel: str, random: bool = False) -> dict[int, Estimate]:
        """Returns median, lowest and highest over seeds by layer; of one seed, its interval."""
        own = [one for one in self.found if one.depth == depth]
        layers = sorted({one.control.layer for one in own})
        return {
            layer: _over_seeds(
                [one.measure(panel, random) for one in own if one.control.layer == layer]
            )
            for layer in layers
        }

    def best(self, depth: int) -> tuple[int, Estimate]:
        """Layer of highest success, of equals the one that reaches more subgoals; the success."""
        success, reached = (self.curve(depth, panel) for panel in list(MEASURES)[1:])
        layer = max(success, key=lambda i: (success[i].value, reached[i].value))
        return layer, success[layer]

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a run and layer."""
        rows = [
            {"run": one.run, "seed": one.seed, "depth": one.depth, "layer": one.control.layer}
            | one.control.columns()
            for one in self.found
        ]
        return pd.DataFrame(rows)

    def figure(self) -> go.Figure:
        """Draws what controllers do by layer, a line for each depth, the control dotted."""
        figure = make_subplots(cols=3, subplot_titles=list(MEASURES), horizontal_spacing=0.08)
        for column, panel in enumerate(MEASURES, start=1):
            for i, depth in enumerate(self.depths):
                for random in (False, True):
                    self._line(figure, column, panel, i, depth, random)
            figure.update_yaxes(title=MEASURES[panel][0], col=column)
        figure.update_xaxes(title="layer, share of the depth", range=[0, 1.05])
        return styled(figure, "Steering with the true subgoal, by depth", 430, **ABOVE_PANELS)

    def _line(
        self, figure: go.Figure, column: int, panel: str, number: int, depth: int, random: bool
    ) -> None:
        curve, colour = self.curve(depth, panel, random), PALETTE[number % len(PALETTE)]
        name = _blocks(depth) + (", random" if random else "")
        figure.add_scatter(
            x=[layer / depth for layer in curve],
            **with_intervals(list(curve.values()), width=3),
            **one_legend(name, column == 1),
            line={"color": paler(colour) if random else colour, "dash": ["solid", "dot"][random]},
            row=1,
            col=column,
        )

    def caption(self) -> str:
        """Where each depth is steered best."""
        said = " ".join(self._sentence(depth) for depth in self.depths)
        alone = " One depth says nothing of depth." if len(self.depths) == 1 else ""
        return (
            f"Supervised controllers by layer, the true {self.label} given. {said} Layers are the "
            f"best of those tried.{alone}"
        )

    def claims(self) -> tuple[Claim, ...]:
        """One a depth; not tested, as seeds are few."""
        return tuple(Claim(self._sentence(depth)) for depth in self.depths)

    def _sentence(self, depth: int) -> str:
        own = [one for one in self.found if one.depth == depth]
        layer, success = self.best(depth)
        seeds = len({one.run for one in own})
        random = self.curve(depth, "success, solvable boards", random=True)[layer]
        reached = self.curve(depth, "subgoals reached")[layer].value
        spread = f"lowest to highest of {seeds} seeds" if seeds > 1 else "95 %, one seed"
        steered = sorted({one.control.layer for one in own if one.control.steers})
        where = f"at layers {', '.join(map(str, steered))}" if steered else "at no layer"
        gap = f"; more of the gap closed than by random directions {where}"
        return (
            f"{_blocks(depth)}: best at layer {layer} ({layer / depth:.2f} of the depth), success "
            f"{percent(success.value)} ({percent(success.low)} to {percent(success.high)}, "
            f"{spread}; random directions {percent(random.value)}) and {reached:.2f} subgoals "
            f"reached{gap if own[0].control.gap_known else ''}."
        )


def control_by_depth(
    runs: Sequence[Run],
    progress: Progress | None = None,
    episodes: Count = 512,
    rollouts: Count = 512,
    seed: Seed = 0,
) -> DepthResult:
    """Tries the supervised controllers of runs.

    Args:
        runs: Runs of one world and one kind of label, of any depths and seeds.
        progress: Told of every run.
        episodes: Demonstrations to try them on.
        rollouts: Boards of the held-out task.
        seed: Seed of demonstrations and boards, the same for all runs.

    Raises:
        UserError: There is no run, one has no controllers, or worlds or labels differ.
    """
    label = _checked(runs)
    progress = progress or QuietProgress()
    progress.stage("control by depth", len(runs))
    sample, found = None, []
    for done, run in enumerate(runs, start=1):
        loaded = LoadedRun(run).pretrained
        sample = sample or draw(loaded.world, seed, "control-depth", episodes)
        found += _steered(loaded, label, sample, rollouts, seed)
        progress.update(done)
    controls = adjusted([one.control for one in found])
    pairs = zip(found, controls, strict=True)
    return DepthResult(tuple(replace(one, control=control) for one, control in pairs), label)


def _steered(
    loaded: LoadedRun, label: str, sample: Sample, rollouts: int, seed: int
) -> list[Steered]:
    run = loaded.run
    trial = Trial(loaded.world, rollouts, seed, loaded.trial.temperature)
    trying = Trying.of(loaded.base, label, sample, trial)
    return [
        Steered(
            run.folder.name, run.seed, loaded.base.model.n_layers, trying.control(layer, bank)[0]
        )
        for layer, bank in run.controllers.items()
    ]


def _checked(runs: Sequence[Run]) -> str:
    """Returns the label of all runs' controllers."""
    if not runs:
        raise UserError("control by depth needs at least one run")
    for run in runs:
        if not run.stage("controllers").done:
            raise UserError(
                f"{run.folder} has no controllers; first: irl-lens train controllers --preset "
                f"{run.preset.name} --out {run.folder}"
            )
        parts = (
            {"world": x.preset.to_dict()["world"], "label": x.preset.controllers.label}
            for x in (runs[0], run)
        )
        one, other = parts
        if one != other:
            was, now = first_difference(one, other)
            raise UserError(f"{runs[0].folder} has {was} and {run.folder} {now}; compare one world")
    return runs[0].preset.controllers.label


def _over_seeds(found: Sequence[Estimate]) -> Estimate:
    values = [e.value for e in found]
    if len(values) == 1:
        return found[0]
    return Estimate(float(np.median(values)), min(values), max(values))


def _blocks(depth: int) -> str:
    return f"{depth} block{'s' * (depth > 1)}"
