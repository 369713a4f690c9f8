"""One episode as it is shown: what is drawn of it, step by step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from irl_lens.arrays import NDArray
from irl_lens.envs.scenes import Scene


@dataclass(frozen=True)
class ShownEpisode:
    """One episode of T steps.

    Attributes:
        player: What chose the codes.
        scene: The board at the start.
        names: Of the abstract subgoals.
        task: Abstract subgoals asked for.
        reached: How many were completed.
        alone_reached: How many the base alone completes.
        path: Place before each step, and at the end.
        subgoals: The one asked for.
        actions: What was done.
        beta: Soft gate.
        switches: Where the gate opened.
        codes: Code in force.
        alike: Subgoal whose mean code is nearest to it.
        probabilities: Of the actions.
        alone: The same without control.
        pictures: The board, as pixels, before each step and at the end.
    """

    player: str
    scene: Scene
    names: tuple[str, ...]
    task: tuple[int, ...]
    reached: int
    alone_reached: int
    path: Int[NDArray[np.int64], " places"]
    subgoals: Int[NDArray[np.int64], " steps"]
    actions: Int[NDArray[np.int64], " steps"]
    beta: Float[NDArray[np.float32], " steps"]
    switches: Bool[NDArray[np.bool_], " steps"]
    codes: Float[NDArray[np.float32], "steps latent"]
    alike: Int[NDArray[np.int64], " steps"]
    probabilities: Float[NDArray[np.float32], "steps actions"]
    alone: Float[NDArray[np.float32], "steps actions"]
    pictures: UInt8[NDArray[np.uint8], "places height width 3"]

    @property
    def begins(self) -> Bool[NDArray[np.bool_], " steps"]:
        """Where a new subgoal is asked for, the first step included."""
        return np.append(True, self.subgoals[1:] != self.subgoals[:-1])

    @property
    def changed(self) -> Float[NDArray[np.float32], " steps"]:
        """Total variation of the actions with and without control."""
        return np.abs(self.probabilities - self.alone).sum(axis=1) / 2
