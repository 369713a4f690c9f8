"""How well the held-out task is done after reinforcement learning, internal and raw-action.

All meet the same fresh boards. What was learned is a distribution, and is played in several ways:

    drawn      codes and primitive actions drawn as in training
    mean       the policy's mean code at every switch, primitive actions drawn as before
    likeliest  the mean code, and the likeliest primitive action (its mean, if it is Gaussian)

A policy explores by what it draws, so that success while it is trained is less than what it has
learned: the mean code is what it thinks best.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.trial import Outcome, Trial
from irl_lens.analyses.figures.intervals import one_legend
from irl_lens.analyses.figures.style import CONTRAST, MAIN, paler, styled
from irl_lens.arrays import NDArray
from irl_lens.models.fast import FastPath
from irl_lens.rl.recorder import EPISODIC
from irl_lens.training.parallel import in_threads

MEASURES = {
    "success_solvable": "success, solvable boards",
    "success_all": "success, all boards",
    "subgoals": "subgoals reached",
    "visits": "visits completed",
}
PLAYERS = {
    "internal_mean": ("internal RL, mean codes", MAIN),
    "internal": ("internal RL, codes drawn", paler(MAIN)),
    "internal_likeliest": ("internal RL, mean codes and likeliest actions", paler(MAIN, 0.3)),
    "raw": ("raw-action RL", CONTRAST),
    "raw_likeliest": ("raw-action RL, likeliest actions", paler(CONTRAST)),
}
"""The ways of playing, by attribute: what each is called, and its colour."""


@dataclass(frozen=True)
class HeldOutSuccess(Result):
    """The held-out task after training on it.

    Attributes:
        internal: Played by the internal policy, codes drawn; None if it is not trained.
        raw: Played by the base after raw-action RL; None if there was none.
        internal_mean: By the internal policy's mean codes.
        internal_likeliest: By these, and the likeliest primitive actions.
        raw_likeliest: By the likeliest primitive actions after raw-action RL.
    """

    internal: Outcome | None = None
    raw: Outcome | None = None
    internal_mean: Outcome | None = None
    internal_likeliest: Outcome | None = None
    raw_likeliest: Outcome | None = None

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """Those that there are, by attribute, in the order of :data:`PLAYERS`."""
        every = {name: getattr(self, name) for name in PLAYERS}
        return {name: outcome for name, outcome in every.items() if outcome is not None}

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a way of playing."""
        rows = [{"player": PLAYERS[n][0]} | x.columns() for n, x in self.outcomes.items()]
        return pd.DataFrame(rows)

    def caption(self) -> str:
        """Says how much of the task is done after each."""
        return " ".join(
            f"On the held-out task after {PLAYERS[name][0]}: {outcome.sentence()}."
            for name, outcome in self.outcomes.items()
        )

    def figure(self) -> go.Figure:
        """Draws shares of boards, and mean numbers beside them."""
        figure = make_subplots(cols=2, subplot_titles=("share of boards", "mean number"))
        for name, outcome in self.outcomes.items():
            for column, measures in enumerate((list(MEASURES)[:2], list(MEASURES)[2:]), start=1):
                found = [getattr(outcome, measure) for measure in measures]
                figure.add_bar(
                    x=[MEASURES[measure] for measure in measures],
                    y=[x.value for x in found],
                    error_y={
                        "array": [x.high - x.value for x in found],
                        "arrayminus": [x.value - x.low for x in found],
                    },
                    **one_legend(PLAYERS[name][0], column == 1),
                    marker_color=PLAYERS[name][1],
                    row=1,
                    col=column,
                )
        figure.update_yaxes(rangemode="tozero")
        figure.update_yaxes(range=[0, 1], col=1)
        layout = {"legend": {"y": 1.12}, "margin": {"t": 120}}
        return styled(figure, "The held-out task after reinforcement learning", 430, **layout)


def success(loaded: LoadedRun) -> HeldOutSuccess:
    """Plays the held-out task with whatever of a run was trained on it."""
    done = loaded.run.finished()
    players = _internal(loaded) if "internal-rl" in done else {}
    internal = dict(zip(players, in_threads([*players.values()]), strict=True))
    return HeldOutSuccess(**internal, **(raw_outcomes(loaded) if "raw-rl" in done else {}))


def _internal(loaded: LoadedRun) -> dict[str, Callable[[], Outcome]]:
    base, trial, policy = loaded.base, loaded.trial, loaded.run.policy
    return {
        "internal": partial(trial.play, base, policy),
        "internal_mean": partial(trial.play, base, policy.by_mean()),
        "internal_likeliest": partial(trial.likeliest.play, base, policy.by_mean()),
    }


def raw_outcomes(loaded: LoadedRun) -> dict[str, Outcome]:
    """Of raw-action RL's ways of playing, by attribute of :class:`HeldOutSuccess`."""
    players: dict[str, dict[str, NDArray[Any]]] = {}
    for key, array in raw_episodes(loaded).items():
        player, _, name = key.partition(".")
        players.setdefault(player, {})[name] = array
    return {player: Outcome.of_episodes(episodes) for player, episodes in players.items()}


def raw_episodes(loaded: LoadedRun) -> dict[str, NDArray[Any]]:
    """Episodes of raw-action RL: those that a bundle keeps in place of its weights, or new ones.

    Returns:
        One number an episode, by ``PLAYER.NAME``: a raw one of :data:`PLAYERS`, and what is known
        of :data:`irl_lens.rl.recorder.EPISODIC`.
    """
    if kept := loaded.run.stage("raw-rl").arrays():
        return kept
    temperature, base = loaded.run.preset.raw_rl.temperature, FastPath(loaded.run.raw)
    trial = Trial(loaded.world, loaded.sizes.rollouts, loaded.run.seed, temperature)
    trials = {"raw": trial, "raw_likeliest": trial.likeliest}
    played = in_threads([partial(trial.rollout, base) for trial in trials.values()])
    return {
        f"{player}.{name}": array
        for player, rollout in zip(trials, played, strict=True)
        for name, array in rollout.known(EPISODIC).items()
    }
