"""One episode as it is shown: what is drawn of it, step by step.

How much a code changes the next action is, where actions are out of a finite set, the total
variation of p and q, with the code and without; where they are real vectors of D entries, by how
many deviations the mean moves, mu and nu with deviation sigma:

    1/2 sum_a |p(a) - q(a)|,    sqrt(1/D sum_i ((mu_i - nu_i) / sigma_i)^2)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8

from irl_lens.analyses.figures.board import scene_colours
from irl_lens.arrays import NDArray
from irl_lens.envs.scenes import Scene

FRAMES = 128
"""Pictures that are shown of an episode at most, but for that of the end."""


@dataclass(frozen=True)
class ShownEpisode:
    """One episode of T steps.

    Attributes:
        player: What chose the codes.
        scene: The board at the start.
        names: Names of the abstract subgoals.
        task: Abstract subgoals asked for.
        reached: How many were completed.
        alone_reached: How many the base alone completes.
        path: Place before each step, and at the end; -1 off the map.
        trail: Column and row of the same, exactly where the agent was.
        subgoals: The one asked for.
        actions: What was done.
        beta: Soft gate.
        switches: Where the gate opened.
        codes: Code in force.
        alike: Subgoal whose mean code is nearest to it.
        labels: What the actions, or the entries of a real one, are called.
        meant: Probability of each action, or mean of each entry.
        alone: The same without control.
        deviations: Of each entry, with control; None where actions are out of a finite set.
        pictures: The board, as pixels, before each step and at the end.
    """

    player: str
    scene: Scene
    names: tuple[str, ...]
    task: tuple[int, ...]
    reached: int
    alone_reached: int
    path: Int[NDArray[np.int64], " places"]
    trail: Float[NDArray[np.float64], "places 2"]
    subgoals: Int[NDArray[np.int64], " steps"]
    actions: Shaped[NDArray[Any], " steps *entries"]
    beta: Float[NDArray[np.float32], " steps"]
    switches: Bool[NDArray[np.bool_], " steps"]
    codes: Float[NDArray[np.float32], "steps latent"]
    alike: Int[NDArray[np.int64], " steps"]
    labels: tuple[str, ...]
    meant: Float[NDArray[np.float32], "steps actions"]
    alone: Float[NDArray[np.float32], "steps actions"]
    deviations: Float[NDArray[np.float32], "steps actions"] | None
    pictures: UInt8[NDArray[np.uint8], "places height width 3"]

    @property
    def palette(self) -> tuple[str, ...]:
        """One of each abstract subgoal: that of the thing of its name, where each is a thing."""
        return scene_colours(self.scene, self.names)

    @property
    def begins(self) -> Bool[NDArray[np.bool_], " steps"]:
        """Where a new subgoal is asked for, the first step included."""
        return np.append(True, self.subgoals[1:] != self.subgoals[:-1])

    @property
    def changed(self) -> Float[NDArray[np.float32], " steps"]:
        """How much control changes each action; see the module."""
        apart = self.meant - self.alone
        if self.deviations is None:
            return np.abs(apart).sum(axis=1) / 2
        return np.sqrt(((apart / self.deviations) ** 2).mean(axis=1))

    @property
    def stride(self) -> int:
        """Steps from one picture that is shown to the next."""
        return -(-len(self.path) // FRAMES)

    @property
    def frames(self) -> tuple[int, ...]:
        """Steps of the pictures that are shown, the first and the end among them."""
        last = len(self.path) - 1
        return (*range(0, last, self.stride), last)
