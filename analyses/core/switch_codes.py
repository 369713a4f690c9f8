"""Codes taken from demonstrations, where the gate opens, with the subgoal they stood for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError
from irl_lens.models.trace import MetaTrace


@dataclass(frozen=True)
class SwitchCodes:
    """Codes at switches, the first step of each episode included.

    Attributes:
        codes: The codes.
        labels: The abstract subgoal pursued then.
        episodes: Which demonstration each is of.
    """

    codes: Float[NDArray[np.float32], "codes latent"]
    labels: Int[NDArray[np.int64], " codes"]
    episodes: Int[NDArray[np.int64], " codes"]

    @classmethod
    def of(cls, trace: MetaTrace, trajectories: Trajectories) -> SwitchCodes:
        """Takes the codes of demonstrations."""
        marks = trace.switches
        return cls(trace.z[marks], trajectories.require("subgoals")[marks], np.nonzero(marks)[0])

    def __len__(self) -> int:
        return len(self.labels)

    def draw(
        self, n: int, rng: np.random.Generator, label: int | None = None
    ) -> Int[NDArray[np.int64], " n"]:
        """Draws the numbers of ``n`` codes, of one subgoal if it is given.

        Raises:
            UserError: No code is of that subgoal.
        """
        found = np.arange(len(self)) if label is None else np.flatnonzero(self.labels == label)
        if not len(found):
            raise UserError(f"no code of subgoal {label} among {len(self)}; encode more episodes")
        return rng.choice(found, n)

    def take(self, index: Int[NDArray[np.int64], "*shape"]) -> Float[Tensor, "*shape latent"]:
        """Returns codes by their numbers."""
        return torch.from_numpy(self.codes[index])
