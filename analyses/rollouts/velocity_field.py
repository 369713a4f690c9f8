"""Where an agent goes that is put down anywhere, and what a controller adds to its actions.

    v(p) = mean over turns of (x_k - x_0) / k        c_i = sqrt(mean over steps of (mu'_i - mu_i)^2)

For worlds in which a body has to walk before it is anywhere else, in place of what an agent would
do at every place (:mod:`irl_lens.analyses.rollouts.action_field`): it stands at p at rest, turned
any of four ways, and k steps later is at x_k; k is less where its episode ends before. The actions'
change c_i is that of the mean mu of entry i along a demonstration, on the same observations.
"""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch
from jaxtyping import Float

from irl_lens.analyses.rollouts.patched_actor import Everywhere
from irl_lens.arrays import NDArray
from irl_lens.envs.scenes import Placeable, Points, Scene
from irl_lens.envs.trajectories import Trajectories
from irl_lens.hooks import Intervention
from irl_lens.models.fast import FastPath
from irl_lens.models.heads import Gaussian
from irl_lens.rl.runner import RolloutRunner

STEPS = 20
"""Steps until it is asked where an agent is: of an ant, a second."""
SIDE, TURNS = 2, 4
"""Points on a side of a place, and ways in which agents are turned at each."""


def lattice(scene: Scene, side: int = SIDE) -> Points:
    """Returns points as far from each other as from those of the next place, where nothing lies.

    Args:
        scene: What lies where.
        side: Points on a side of a place.
    """
    taken = {thing.place for thing in scene.things}
    x, y = scene.xy(np.array([p for p in range(scene.places) if p not in taken], int))
    offsets = (np.arange(side) + 0.5) / side - 0.5
    rows, columns = (each.ravel() for each in np.meshgrid(offsets, offsets, indexing="ij"))
    return np.stack([x[:, None] + columns, y[:, None] + rows], axis=-1).reshape(-1, 2)


def velocity_field(
    base: FastPath,
    situation: Placeable,
    points: Points,
    hook: Intervention | None = None,
    steps: int = STEPS,
    temperature: float = 1.0,
    seed: int = 0,
) -> Points:
    """Returns the mean velocity from each point, in places a step.

    Args:
        base: Reads the observations.
        situation: Where agents are put down.
        points: Column and row of each.
        hook: Acts at every step.
        steps: How many, at most.
        temperature: Temperature of the primitive actions.
        seed: Seed of their noise; with the same one it is the same.
    """
    turns = np.tile(np.arange(TURNS) * 2 * np.pi / TURNS, len(points))
    env = situation.placed(np.repeat(points, TURNS, axis=0), turns)
    actor = None if hook is None else Everywhere(hook)
    RolloutRunner(base, steps, actor, temperature, whole=True).play(env, seed)
    trail, taken = env.trail, np.minimum(env.lengths, steps)
    gone = trail[np.arange(len(trail)), taken] - trail[:, 0]
    return (gone / taken[:, None]).reshape(len(points), TURNS, 2).mean(axis=1)


@torch.no_grad()
def action_changes(
    base: FastPath, shown: Trajectories, hook: Intervention
) -> Float[NDArray[np.float64], " entries"]:
    """Returns by how much a hook changes the mean of each entry of an action, root mean square.

    Args:
        base: A model whose actions are real vectors.
        shown: What is observed.
        hook: Acts at every step.
    """
    assert isinstance(base.action_head, Gaussian)
    means = []
    for context in (nullcontext(), hook.attached(base.model)):
        with context:
            means.append(base.action_head.mode(base.logits(base.tensor(shown.observations))))
    changes = (means[1] - means[0])[base.tensor(shown.mask)].double()
    return changes.square().mean(dim=0).sqrt().cpu().numpy()
