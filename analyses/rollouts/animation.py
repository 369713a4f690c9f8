"""One episode, step by step: where the agent is, the gate, the code and the next action.

    beta_t = f_switch(e_t, h_{t-1}, z_{t-1}),   pi_t = p(a | o_1..t, z_1..t),   alone: p(a | o_1..t)

The held-out task on one board, on which it can be done. The internal policy chooses codes where
it is trained; else each subgoal's mean code is put in when the gate opens. Everything is read
off again from what was seen and decided, so it is what acted. Beside the action probabilities,
or the means of real actions, stand those of the base alone after the same walk; the control is
the base alone on the same board, with the same noise. One episode has no interval: it
illustrates, and proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Seed
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.switch_codes import Centroids, SwitchCodes, class_means, nearest
from irl_lens.analyses.rollouts.animation_export import encoded, exported, gif_is_possible
from irl_lens.analyses.rollouts.animation_figure import draw
from irl_lens.analyses.rollouts.shown_episode import ShownEpisode
from irl_lens.envs.contracts import ask
from irl_lens.envs.protocol import VectorWorld, World
from irl_lens.envs.scenes import Situation, Stageable
from irl_lens.envs.spaces import ContinuousActions
from irl_lens.errors import UserError
from irl_lens.hooks import Intervention
from irl_lens.models.acting import GatedActor
from irl_lens.models.causal import CausalHalf
from irl_lens.models.fast import FastPath
from irl_lens.models.trace import encode
from irl_lens.rl.oracle import OracleCodes
from irl_lens.rl.recorder import Rollout
from irl_lens.rl.runner import RolloutRunner
from irl_lens.rl.trainer import draw_seed

TRIES = 100
"""Boards looked at for one on which the task can be done."""


@dataclass(frozen=True)
class Animation(ShownEpisode, Result):
    """An episode with its figure, its files and what is said of it."""

    def figure(self) -> go.Figure:
        """Draws it with buttons to play it and a slider."""
        return draw(self)

    def pages(self) -> dict[str, bytes]:
        """Returns it as a GIF, if imageio is installed."""
        return {"rollout.gif": encoded(self, ".gif")} if gif_is_possible() else {}

    def export(self, path: Path | str) -> Path:
        """Writes it as a GIF or MP4.

        Args:
            path: Ends in ``.gif`` or ``.mp4``.

        Raises:
            UserError: It ends otherwise, or imageio or what it needs is not installed.
        """
        return exported(self, Path(path))

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a step."""
        table = {
            "step": np.arange(len(self.actions)),
            "place": self.path[:-1],
            "column": self.trail[:-1, 0],
            "row": self.trail[:-1, 1],
            "subgoal": [self.names[subgoal] for subgoal in self.subgoals],
            "code_like": [self.names[subgoal] for subgoal in self.alike],
            "beta": self.beta,
            "switch": self.switches,
            "changed": self.changed,
        }
        if self.deviations is None:
            table["action"] = [self.labels[action] for action in self.actions]
        for number, label in enumerate(self.labels):
            table[label] = self.meant[:, number]
            table[f"{label}_alone"] = self.alone[:, number]
            if self.deviations is not None:
                table[f"{label}_done"] = self.actions[:, number]
        return pd.DataFrame(table)

    def claims(self) -> tuple[Claim, ...]:
        """Returns none: one episode proves nothing."""
        return ()

    def caption(self) -> str:
        """Says how far it gets, when the gate opens and what the codes change."""
        later, opened = self.begins[1:], self.switches[1:]
        right = float((self.alike == self.subgoals).mean())
        task = "".join(self.names[subgoal] for subgoal in self.task)
        return (
            f"One episode of {task}, played by {self.player}: {self.reached} of {len(self.task)} "
            f"subgoals in {len(self.actions)} steps; the base alone completes {self.alone_reached} "
            f"on this board with this noise. After the first step the gate opens at {opened.sum()} "
            f"steps, {(opened & later).sum()} of them among the {later.sum()} at which a later "
            "subgoal begins. The code is most like that of the "
            f"subgoal asked for on {right:.2f} of steps, and {self._change()} on average. This is "
            "one episode: see boundary-detection, code-transfer and atlas for how often it is so."
        )

    def _change(self) -> str:
        """What codes do to the next action, in words."""
        if self.deviations is None:
            return f"changes the next action by a total variation of {self.changed.mean():.3f}"
        return f"moves the mean of the next action by {self.changed.mean():.3f} deviations an entry"


def animate_rollout(loaded: LoadedRun, episodes: Count = 256, seed: Seed = 0) -> Animation:
    """Plays one episode of the held-out task.

    Args:
        loaded: A run whose metacontroller is trained.
        episodes: Demonstrations that mean codes are taken from.
        seed: Seed of the board, and of the noise.

    Raises:
        UserError: The world has no boards to draw.
    """
    meta, names = loaded.run.metacontroller, loaded.world.subgoal_names
    shown = loaded.fit.rows(slice(episodes))
    switch_codes = SwitchCodes.of(encode(meta, loaded.base, shown), shown)
    means = class_means(switch_codes.codes, switch_codes.labels, len(names))
    player, actor = "the internal policy", None
    if loaded.run.stage("internal-rl").done:
        actor = loaded.run.policy
    else:
        player, given = "mean codes of the true subgoals", np.nan_to_num(means)
        actor = OracleCodes(torch.from_numpy(given).float(), meta)
    drawn = draw_seed(loaded.run.seed, "analysis-animation", seed)
    situation = solvable(loaded.world, loaded.world.heldout_subgoals, drawn)
    temperature = loaded.trial.temperature
    return animate(loaded.base, loaded.world, situation, actor, means, player, drawn, temperature)


def solvable(world: World, task: Sequence[int], seed: int) -> Situation:
    """Draws a situation in which a task can be done.

    Args:
        world: Where.
        task: Abstract subgoals.
        seed: Seed of the draws.

    Raises:
        UserError: The world has no boards to draw, or none in which it can be done is found.
    """
    boards = ask(world, Stageable, "the animation")
    for number in range(TRIES):
        if (situation := boards.situation((seed, number)).asked(task)).solvable:
            return situation
    raise UserError(f"the task {task} cannot be done on any of {TRIES} boards; give another seed")


def animate(
    base: FastPath,
    world: World,
    situation: Situation,
    actor: GatedActor,
    means: Centroids,
    player: str,
    seed: int = 0,
    temperature: float = 1.0,
) -> Animation:
    """Plays one episode; see :func:`animate_rollout`.

    Args:
        base: The base model.
        world: World of the situation.
        situation: The board and the task.
        actor: Chooses codes.
        means: Mean code of each subgoal.
        player: What to call the actor.
        seed: Seed of the noise.
        temperature: Temperature of the primitive actions.

    Raises:
        UserError: No learned gate asks the actor for codes.
    """
    assert isinstance(world, Stageable)
    meta = _learned_gate(actor)

    def play(hook: Intervention | None, env: VectorWorld) -> Rollout:
        return RolloutRunner(base, world.horizon, hook, temperature).play(env, seed)

    env, scene = situation.rows(1), situation.scene()
    episode, alone = play(actor, env), play(None, situation.rows(1))
    steps, decisions = int(episode.lengths[0]), episode.decisions
    assert decisions is not None
    codes, actions = decisions.held(1, steps)[0], episode.actions[0]
    seen = episode.observations[:, :steps]
    end = env.step(episode.actions[:, steps - 1])[0]  # a row that is over stays put
    walked = np.concatenate([seen[0], end])
    beta, *both = _retraced(base, meta, base.tensor(seen), codes, temperature)
    meant, without = (policy.cpu().numpy() for policy in both)
    size, real = len(world.actions.labels), isinstance(world.actions, ContinuousActions)
    trail = world.points(walked)
    return Animation(
        player=player,
        scene=scene,
        names=world.subgoal_names,
        task=situation.task,
        reached=int(episode.require("reached")[0]),
        alone_reached=int(alone.require("reached")[0]),
        path=world.places(walked),
        trail=trail,
        subgoals=episode.require("subgoals")[0, :steps],
        actions=actions[:steps],
        beta=beta.cpu().numpy(),
        switches=episode.switches[0, :steps],
        codes=codes.cpu().numpy(),
        alike=nearest(codes.cpu().numpy(), means),
        labels=world.actions.labels,
        meant=meant[:, :size],
        alone=without[:, :size],
        deviations=meant[:, size:] if real else None,
        pictures=np.stack([situation.pixels((float(x), float(y))) for x, y in trail]),
    )


def _learned_gate(actor: GatedActor) -> CausalHalf:
    if not isinstance(actor.meta, CausalHalf):
        raise UserError(
            "this run's policy is told when subgoals change, so there is no gate to be drawn; "
            "animate a run with internal_rl.switching=gate and internal_rl.decoder=learned"
        )
    return actor.meta


@torch.no_grad()
def _retraced(
    base: FastPath,
    meta: CausalHalf,
    seen: Shaped[Tensor, "1 steps columns"],
    codes: Float[Tensor, "steps latent"],
    temperature: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Soft gates, and what actions are drawn from with and without codes, from what was seen."""
    stream, state, beta = base.residual(seen, meta.layer), meta.start(1), []
    for residual, code in zip(stream[0].split(1), codes.split(1), strict=True):
        beta.append(meta.gate(residual, state))
        state = meta.advance(residual, state, code)
    steered = stream + meta.decoder.delta(codes[None], stream)
    logits = base.logits(resid=steered, start=meta.layer), base.logits(seen)
    steered, alone = (base.action_head.policy(x[0], temperature) for x in logits)
    return torch.cat(beta), steered, alone
