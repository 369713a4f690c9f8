"""Fresh demonstrations for analyses, and running the base over them with little padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped

from irl_lens.arrays import NDArray
from irl_lens.data.demonstrations import Demonstrations
from irl_lens.envs.protocol import Filtered, Floor, World
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import NotOffered
from irl_lens.models.fast import FastPath, HookList
from irl_lens.models.heads.categorical import Categorical

Index = Int[NDArray[np.intp], " rows"]


@dataclass(frozen=True)
class Sample:
    """Demonstrations that no training saw, and what the exact filter believes of them."""

    trajectories: Trajectories
    _floor: Floor | None = None

    @property
    def has_floor(self) -> bool:
        """Whether the world has a filter."""
        return self._floor is not None

    @property
    def floor(self) -> Floor:
        """What the exact filter believes.

        Raises:
            NotOffered: The world has no filter.
        """
        if self._floor is None:
            raise NotOffered(
                "the world of these demonstrations has no exact Bayes filter; take an analysis "
                "that does without"
            )
        return self._floor

    def first(self, n: int) -> Sample:
        """Returns the first ``n`` demonstrations, or all when there are fewer."""
        kept = self.trajectories.rows(slice(n))
        return Sample(kept, self._floor and self._floor.cut(slice(n), kept.mask.shape[1]))


def draw(world: World, seed: int, purpose: str, n: int) -> Sample:
    """Draws a sample; another ``purpose`` gives other boards.

    Args:
        world: Where they are played.
        seed: The run's seed.
        purpose: What the sample is for.
        n: Number of demonstrations.
    """
    trajectories = Demonstrations(world, seed, f"analysis-{purpose}", n)[0]
    known = world.floor(trajectories) if isinstance(world, Filtered) else None
    return Sample(trajectories, known)


def pieces(trajectories: Trajectories, rows: int = 64) -> Iterator[tuple[Index, Trajectories]]:
    """Cuts demonstrations, sorted by length, into pieces as long as their longest.

    Yields:
        The rows of the piece in ``trajectories``, and the piece.
    """
    order = np.argsort(trajectories.lengths, kind="stable")
    for start in range(0, len(order), rows):
        index = order[start : start + rows]
        yield index, trajectories.rows(index)


def per_step(
    trajectories: Trajectories, measure: Callable[[Trajectories], Shaped[NDArray, "rows steps *k"]]
) -> Shaped[NDArray, "n steps *k"]:
    """Measures piece by piece; returns the values in the order given, zeros on padding."""
    parts = [(index, measure(piece)) for index, piece in pieces(trajectories)]
    first = parts[0][1]
    values = np.zeros((*trajectories.mask.shape, *first.shape[2:]), first.dtype)
    for index, part in parts:
        values[index, : part.shape[1]] = part
    values[~trajectories.mask] = 0
    return values


@torch.no_grad()
def action_log_probs(
    base: FastPath,
    trajectories: Trajectories,
    hooks: Callable[[Trajectories], HookList] = lambda piece: (),
) -> Float[NDArray[np.float32], "n steps actions"]:
    """Returns the base's log-probability of every action at every step [nats].

    Args:
        base: The base model.
        trajectories: What it reads.
        hooks: Given a piece of the demonstrations, the hooks to run it with.

    Raises:
        NotOffered: Actions are not of a list.
    """
    head = base.action_head
    if not isinstance(head, Categorical):
        raise NotOffered(
            "actions are real vectors, and only those of a list have a probability each; use "
            "action_nll, which gives the nats of the action that was taken"
        )

    def measure(piece: Trajectories) -> NDArray[np.float32]:
        logits = base.logits(base.tensor(piece.observations), fwd_hooks=hooks(piece))
        return head.log_probs(logits).cpu().numpy()

    return per_step(trajectories, measure)


@torch.no_grad()
def action_nll(
    base: FastPath,
    trajectories: Trajectories,
    hooks: Callable[[Trajectories], HookList] = lambda piece: (),
) -> Float[NDArray[np.float32], "n steps"]:
    """Returns the base's -ln p of the action that was taken at every step [nats].

    Args:
        base: The base model.
        trajectories: What it reads.
        hooks: Given a piece of the demonstrations, the hooks to run it with.
    """

    def measure(piece: Trajectories) -> NDArray[np.float32]:
        outputs = base.logits(base.tensor(piece.observations), fwd_hooks=hooks(piece))
        return base.action_head.nll(outputs, base.tensor(piece.actions)).cpu().numpy()

    return per_step(trajectories, measure)


def taken(
    values: Float[NDArray[np.floating], "n steps actions"], trajectories: Trajectories
) -> Float[NDArray[np.floating], "n steps"]:
    """Looks up the entry of the action that was taken."""
    return np.take_along_axis(values, trajectories.actions[..., None], axis=2)[..., 0]
