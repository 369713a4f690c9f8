"""Methods of reinforcement learning: runs of the same settings, one a seed, with their curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, nan
from typing import Any

import numpy as np
from jaxtyping import Float

from irl_lens.analyses.core.claims import chance
from irl_lens.analyses.learning.run_curves import HALF, NAMES
from irl_lens.analyses.stats.estimates import Estimate, proportion
from irl_lens.analyses.stats.significance import permutation_pvalue
from irl_lens.arrays import NDArray
from irl_lens.runs.run import Run

READ = {
    "internal-rl": ("base", "pretrain", "discovery", "switches", "codes", "internal_rl"),
    "raw-rl": ("base", "pretrain", "raw_rl"),
    "compile-rl": ("compile", "compile_rl"),
}
"""The parts of a preset that what a stage learns depends on."""
WINDOW = 5
"""Batches whose mean success has to reach one half."""
Curves = Float[NDArray[np.float64], "seeds batches"]
Seeds = Float[NDArray[np.float64], " seeds"]


@dataclass(frozen=True)
class Method:
    """Runs of the same settings.

    Attributes:
        name: As in a legend.
        stage: One of ``READ``.
        seeds: One a run.
        episodes: Played by the end of each batch.
        success: Share of each batch's episodes that completed the task.
        subgoals: Mean abstract subgoals completed in each batch.
        switch_rate: Switches a step, forced ones left out; NaN where nothing switches.
    """

    name: str
    stage: str
    seeds: tuple[int, ...]
    episodes: Float[NDArray[np.float64], " batches"]
    success: Curves
    subgoals: Curves
    switch_rate: Curves

    @property
    def to_half(self) -> Seeds:
        """Episodes until half of them succeed, of each seed; infinite where they never do."""
        window = min(WINDOW, len(self.episodes))
        means = np.lib.stride_tricks.sliding_window_view(self.success, window, axis=1).mean(axis=2)
        reached = means >= HALF
        first = self.episodes[window - 1 :][reached.argmax(axis=1)]
        return np.where(reached.any(axis=1), first, np.inf)

    @property
    def initial(self) -> Seeds:
        """Success over the first tenth of the training."""
        return self.success[:, : self._tenth].mean(axis=1)

    @property
    def final(self) -> Seeds:
        """Success over the last tenth."""
        return self.success[:, -self._tenth :].mean(axis=1)

    def last(self, seed: int) -> Estimate:
        """Success of one seed, by its number, over the last tenth; interval over episodes."""
        played = round(self._tenth * float(self.episodes[0]))
        return proportion(np.arange(played) < round(float(self.final[seed]) * played))

    @property
    def _tenth(self) -> int:
        return max(1, len(self.episodes) // 10)


def methods(runs: Sequence[Run]) -> tuple[Method, ...]:
    """Groups the finished reinforcement learning of runs by settings, internal first."""
    found = []
    for stage in READ:
        done = [run for run in runs if run.stage(stage).done]
        names = _names(done, stage)
        for name in dict.fromkeys(names):
            own = [run for run, other in zip(done, names, strict=True) if other == name]
            found.append(method_of(name, stage, own))
    return tuple(found)


def difference(method: Method, control: Method) -> tuple[float, float]:
    """The p-value of two methods ending at the same success, and the least that there can be.

    Over seeds, paired where both have the same ones; of single runs over their episodes.
    """
    if len(method.seeds) == len(control.seeds) == 1:
        return chance(method.last(0), control.last(0)), 0.0
    n, m = len(method.seeds), len(control.seeds)
    if min(n, m) < 2:
        return nan, nan
    paired = sorted(method.seeds) == sorted(control.seeds)
    one, other = (x.final[np.argsort(x.seeds)] for x in (method, control))
    return permutation_pvalue(one, other, paired), 2 / (2**n if paired else comb(n + m, n))


def method_of(name: str, stage: str, runs: Sequence[Run]) -> Method:
    """Makes runs of the same settings one method, with the curves of a stage."""
    # A training that several runs have, as its settings are the same in all, counts once.
    found = {str((run.seed, log := _log(run, stage))): (run.seed, log) for run in runs}
    seeds, logs = zip(*sorted(found.values(), key=lambda pair: pair[0]), strict=True)
    logs = [log[: min(map(len, logs))] for log in logs]

    def curves(key: str) -> Curves:
        return np.array([[row.get(key, nan) for row in log] for log in logs], np.float64)

    episodes = curves("episodes")[0]
    figures = curves("success"), curves("subgoals"), curves("switch_rate")
    return Method(name, stage, seeds, episodes, *figures)


def _log(run: Run, stage: str) -> list[dict[str, float]]:
    """A line a batch, without the time it took."""
    rows = run.stage(stage).metrics()
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def _names(runs: Sequence[Run], stage: str) -> list[str]:
    """Each run's method: that of its stage, and the settings in which the runs differ."""
    settings = [settings_of(run, stage) for run in runs]
    keys = settings[0] if settings else ()
    differing = [key for key in keys if len({own[key] for own in settings}) > 1]
    return [
        ", ".join([NAMES[stage], *(f"{key}={own[key]}" for key in differing)]) for own in settings
    ]


def settings_of(run: Run, stage: str) -> dict[str, str]:
    """The settings that what a stage learns depends on, as on the command line."""
    parts = run.preset.to_dict()
    return {
        f"{part}.{key}": _said(value) for part in READ[stage] for key, value in parts[part].items()
    }


def _said(value: Any) -> str:
    """A setting as on the command line."""
    return ",".join(map(_said, value)) if isinstance(value, list | tuple) else str(value)
