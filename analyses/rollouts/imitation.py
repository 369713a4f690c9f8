"""Whether the base by itself does what the expert did: training tasks, from where any begins.

    success of expert = share of episodes in which the base, told nothing, does some training task
                        / share in which the expert does one that it is asked for

Nothing tells a base what to do, so it is asked for nothing: what counts is that the abstract
subgoals that it reaches are, in order, those of any training task, on boards on which one can be
done. Primitive actions are drawn at the temperature of internal RL, as by all that act. The
expert's share is the higher one, of its best actions; in worlds whose expert never fails (all but
:class:`irl_lens.envs.contracts.Fallible`) it is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Bool, Int

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.trial import percent
from irl_lens.analyses.figures.intervals import with_intervals
from irl_lens.analyses.figures.style import CEILING, MAIN, paler, styled
from irl_lens.analyses.stats.estimates import Estimate, proportion
from irl_lens.arrays import NDArray
from irl_lens.envs.contracts import Fallible, Roamable, ask
from irl_lens.envs.protocol import World
from irl_lens.rl.runner import RolloutRunner
from irl_lens.rl.trainer import draw_seed

KINDS = {
    "solvable": ("train", False),
    "sampled": ("train", True),
    "heldout": ("heldout", False),
    "heldout_sampled": ("heldout", True),
}
"""What the expert is measured on: which tasks, and whether with the noise of demonstrations."""
LABELS = {
    "solvable": "expert,<br>training tasks",
    "sampled": "the same,<br>as demonstrated",
    "heldout": "expert,<br>held-out task",
    "heldout_sampled": "the same,<br>as demonstrated",
}


@dataclass(frozen=True)
class Imitation(Result):
    """See the module.

    Attributes:
        base: Share of episodes in which the base does a training task.
        episodes: How many: boards on which one can be done.
        experts: The expert's shares by name, those of :data:`KINDS`; none where it never fails.
    """

    base: Estimate
    episodes: int
    experts: dict[str, Estimate]

    @property
    def of_expert(self) -> float:
        """The base's share over the expert's, on training tasks."""
        return self.base.value / (self.experts["solvable"].value if self.experts else 1.0)

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a player."""
        shares = {"base alone": self.base} | {f"expert, {k}": x for k, x in self.experts.items()}
        return pd.DataFrame([{"player": name} | x.columns("success") for name, x in shares.items()])

    def caption(self) -> str:
        """Says how often the base does a training task, beside the expert."""
        means, drawn = (self.experts.get(name) for name in ("solvable", "sampled"))
        expert = "the expert, which is told the task, never fails"
        if means and drawn:
            expert = (
                f"the expert, which is told the task, does it in {percent(means.value)}, and "
                f"{percent(drawn.value)} with the noise of demonstrations"
            )
        return (
            f"Told nothing, the base by itself does some training task in {_share(self.base)} of "
            f"{self.episodes} episodes on boards on which one can be done; {expert}. That is "
            f"{self.of_expert:.3f} of the expert's success."
        )

    def figure(self) -> go.Figure:
        """Draws the shares."""
        bars = [("base alone,<br>any training task", self.base, MAIN)]
        for name, found in self.experts.items():
            pale = name.endswith("sampled")
            bars.append((LABELS[name], found, paler(CEILING) if pale else CEILING))
        labels, shares, colours = zip(*bars, strict=True)
        places = np.arange(len(bars))
        figure = go.Figure(go.Bar(x=places, **with_intervals(shares), marker_color=colours))
        figure.update_yaxes(title="share of episodes", range=[0, 1.02])
        figure.update_xaxes(tickvals=places, ticktext=labels, showgrid=False)
        return styled(figure, f"Tasks done by the base alone: {self.of_expert:.3f} of the expert's")


def imitation(loaded: LoadedRun) -> Imitation:
    """Lets a run's base roam, and its world's expert try tasks."""
    world, rows = loaded.world, loaded.sizes.rollouts
    drawn = draw_seed(loaded.run.seed, "analysis-imitation", 0)
    source = ask(world, Roamable, "imitation")
    tasks = source.training_tasks
    env = source.roaming(rows, max(map(len, tasks)))
    RolloutRunner(loaded.base, world.horizon, None, loaded.trial.temperature).play(env, drawn)
    somewhere = env.possible(tasks).any(axis=1)
    done = completed(env.reached, tasks)[somewhere]
    return Imitation(proportion(done), int(somewhere.sum()), _experts(world, rows, drawn))


def completed(
    reached: Int[NDArray[np.int64], "n subgoals"], tasks: Sequence[Sequence[int]]
) -> Bool[NDArray[np.bool_], " n"]:
    """Marks the episodes that began with all subgoals of some task, in order.

    Args:
        reached: Abstract subgoals in the order they were reached; -1 where there is none.
        tasks: Abstract subgoals of each, in order; none longer than what was taken note of.
    """
    begun = [(reached[:, : len(task)] == np.array(task)).all(axis=1) for task in tasks]
    return np.any(begun, axis=0)


def _experts(world: World, n: int, seed: int) -> dict[str, Estimate]:
    if not isinstance(world, Fallible):
        return {}
    tried = {name: world.attempts(n, seed, *kind) for name, kind in KINDS.items()}  # type: ignore
    return {name: proportion(found) for name, found in tried.items()}


def _share(estimate: Estimate) -> str:
    return f"{percent(estimate.value)} ({percent(estimate.low)} to {percent(estimate.high)})"
