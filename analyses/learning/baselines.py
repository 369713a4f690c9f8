"""Every method of reinforcement learning at once: what each ends at, over seeds (Fig. 8, A5).

    success = share of fresh boards that can be solved on which the held-out task is done,
              after training, codes and actions drawn

A method is what the settings of a run make it; the paper has some of them (arXiv 2512.20605,
Fig. 8, A5), the others bound internal RL from either side (:mod:`irl_lens.models.baselines`). Runs
of one method have the same settings and differ in their seeds. The JSON has a method's name, and
under it median, lowest and highest of its seeds, the seeds, the episodes and the commands.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import pandas as pd
import plotly.graph_objects as go

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.learning.compare_methods import learning_set
from irl_lens.analyses.learning.figure import draw
from irl_lens.analyses.learning.methods import Method, method_of, settings_of
from irl_lens.errors import UserError
from irl_lens.progress import Progress
from irl_lens.runs.folder import first_difference
from irl_lens.runs.run import Run

NAMES = {
    "internal_rl": "internal RL",
    "raw_rl": "raw-action RL",
    "compile": "CompILE",
    "no_abstraction": "no temporal abstraction",
    "cotrained": "co-trained base",
    "random_controllers": "random controllers",
    "supervised_policy": "policy over supervised controllers",
    "true_switching": "true switching",
}
"""Methods by their key, as in a legend."""
STAGE_OF = {"raw_rl": "raw-rl", "compile": "compile-rl"}
"""The stage that ends a method; of the others it is internal RL."""


@dataclass(frozen=True)
class Row:
    """What a method ends at.

    Attributes:
        median: Success of the median seed.
        low: Of the lowest.
        high: Of the highest.
        seeds: Those there are.
        episodes: Played by each.
        command: What trained them, one after the other.
    """

    median: float
    low: float
    high: float
    seeds: tuple[int, ...]
    episodes: int
    command: str


@dataclass(frozen=True)
class Baselines(Result):
    """See the module.

    Attributes:
        rows: By the method's key.
        methods: Learning curves, in the same order.
        subgoals: Abstract subgoals of the task.
    """

    rows: Mapping[str, Row]
    methods: tuple[Method, ...]
    subgoals: int

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a method."""
        return pd.DataFrame([{"method": key} | asdict(row) for key, row in self.rows.items()])

    def figure(self) -> go.Figure:
        """Draws learning curves of all methods."""
        return draw(self.methods, self.subgoals)

    def caption(self) -> str:
        """Says what each method ends at."""
        return " ".join(self._sentence(key) for key in self.rows)

    def claims(self) -> tuple[Claim, ...]:
        """Each method's end, untested: learning-methods tests."""
        return tuple(Claim(self._sentence(key)) for key in self.rows)

    def stored(self) -> Mapping[str, Row]:
        """Returns the methods by name; curves are the runs' own."""
        return self.rows

    def _sentence(self, key: str) -> str:
        row, name = self.rows[key], NAMES[key]
        seeds = f"{len(row.seeds)} seeds" if len(row.seeds) > 1 else "one seed"
        return (
            f"{name[0].upper()}{name[1:]} ends at a success of {row.median:.3f} "
            f"({row.low:.3f} to {row.high:.3f}; {seeds}, {row.episodes:,} episodes each)."
        )


def baselines(runs: Sequence[Run], progress: Progress | None = None) -> Baselines:
    """Gathers the finished reinforcement learning of runs by method.

    Args:
        runs: Runs on one world.
        progress: Told of nothing: this takes no time.

    Raises:
        UserError: There is no run, one has learned nothing yet, worlds differ, or two runs of a
            method differ in their settings or have the same seed.
    """
    subgoals = learning_set(runs).subgoals
    found = {key: own for key in NAMES if (own := [r for r in runs if key in _methods(r)])}
    rows, curves = {}, []
    for key, own in found.items():
        stage = STAGE_OF.get(key, "internal-rl")
        own = _checked(key, own, stage)
        curves.append(method_of(NAMES[key], stage, own))
        rows[key] = _row(own, stage, curves[-1])
    return Baselines(rows, tuple(curves), subgoals)


def _methods(run: Run) -> list[str]:
    """The methods that a run has finished."""
    done = [key for key, stage in STAGE_OF.items() if run.stage(stage).done]
    return [_internal(run), *done] if run.stage("internal-rl").done else done


def _internal(run: Run) -> str:
    """Which method a run's internal RL is."""
    rl, discovery = run.preset.internal_rl, run.preset.discovery
    is_so = {
        "supervised_policy": rl.decoder == "controllers",
        "random_controllers": rl.decoder == "random",
        "cotrained": run.cotrained,
        "no_abstraction": discovery.gate == "open",
        "true_switching": rl.switching == "true",
    }
    return next((key for key, so in is_so.items() if so), "internal_rl")


def _checked(key: str, runs: Sequence[Run], stage: str) -> list[Run]:
    """The runs of a method by seed, all of the same settings."""
    runs = sorted(runs, key=lambda run: run.seed)
    for one, other in pairwise(runs):
        was, now = (settings_of(run, stage) for run in (one, other))
        if was != now:
            said = " and ".join(first_difference(was, now))
            raise UserError(
                f"{one.folder} and {other.folder} are both {NAMES[key]}, with {said}; give runs of "
                "the same settings, or hold them side by side with learning-methods"
            )
        if one.seed == other.seed:
            raise UserError(
                f"{one.folder} and {other.folder} are both {NAMES[key]} of seed {one.seed}; give "
                "one of each seed"
            )
    return runs


def _row(runs: Sequence[Run], stage: str, curves: Method) -> Row:
    ends = [float(run.stage(stage).result["success"]) for run in runs]
    commands = dict.fromkeys(run.stage(stage).made_with()["command"] for run in runs)
    seeds = tuple(run.seed for run in runs)
    episodes = int(curves.episodes[-1])
    middle = statistics.median(ends)
    return Row(middle, min(ends), max(ends), seeds, episodes, "; ".join(commands))
