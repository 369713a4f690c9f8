"""What the pipeline asks of a world, and what it is given: all that is known of one outside.

A world shows what experts did in it (:class:`irl_lens.envs.trajectories.Trajectories`) and has
rows to act on (:class:`VectorWorld`); if it can, it says what the best possible reader of its
demonstrations could have known (:class:`Filtered`, :class:`Floor`). Models, training,
reinforcement learning and analyses are written against these alone;
:func:`irl_lens.envs.registry.make_world` builds a world.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from irl_lens.arrays import NDArray
from irl_lens.envs.spaces import ActionSpec, ObservationSpec
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import NotOffered

Seed = int | Sequence[int]
MAX_HORIZON = 1_024
"""Most steps of an episode in any world, and so the longest sequence of any model."""


@dataclass(frozen=True)
class Floor:
    """What an exact filter predicts before each action; zeros on padding.

    Attributes:
        nll: -ln p of the action that the expert took, by the filter, ``[n, steps]``, in nats.
        known: The same with the goal known: by the expert's own policy.
        probs: Probability of each action by the filter, ``[n, steps, actions]``; None where
            actions are continuous.
        known_probs: The same with the goal known.
        subgoals: Posterior over the abstract subgoal pursued, ``[n, steps, subgoals]``; None,
            as the others, where the world has none.
        visits: Posterior over the finest subgoal pursued, ``[n, steps, visits]``.
        tasks: Posterior over the tasks of the prior, ``[n, steps, tasks]``.
    """

    nll: Float[NDArray[np.float64], "n steps"]
    known: Float[NDArray[np.float64], "n steps"]
    probs: Float[NDArray[np.float64], "n steps actions"] | None = None
    known_probs: Float[NDArray[np.float64], "n steps actions"] | None = None
    subgoals: Float[NDArray[np.float64], "n steps subgoals"] | None = None
    visits: Float[NDArray[np.float64], "n steps visits"] | None = None
    tasks: Float[NDArray[np.float64], "n steps tasks"] | None = None

    @classmethod
    def discrete(
        cls,
        probs: Float[NDArray[np.float64], "n steps actions"],
        known: Float[NDArray[np.float64], "n steps actions"],
        shown: Trajectories,
        **posteriors: Float[NDArray[np.float64], "n steps _"],
    ) -> Floor:
        """Returns the floor of discrete actions.

        Args:
            probs: Probability of each action by the filter.
            known: The same with the goal known.
            shown: What the expert did.
            **posteriors: ``subgoals``, ``visits`` and ``tasks``, those that there are.
        """
        return cls(_nll(probs, shown), _nll(known, shown), probs, known, **posteriors)

    def cut(self, rows: slice, steps: int) -> Floor:
        """Returns the floor of some trajectories, up to a step."""
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(
            self, **{name: x[rows, :steps] for name, x in every.items() if x is not None}
        )

    def require(self, name: str) -> Float[NDArray[np.float64], "n steps k"]:
        """Returns one of the optional arrays.

        Raises:
            NotOffered: The filter does not give it.
        """
        found = getattr(self, name)
        if found is None:
            raise NotOffered(
                f"the filter of this world gives no {name.replace('_', ' ')}; take a world whose "
                "filter does"
            )
        return found


def _nll(
    probs: Float[NDArray[np.float64], "n steps actions"], shown: Trajectories
) -> Float[NDArray[np.float64], "n steps"]:
    taken = np.take_along_axis(probs, shown.actions[..., None], axis=2)[..., 0]
    with np.errstate(divide="ignore"):  # infinite where the filter rules the action out
        return -np.log(np.where(shown.mask, taken, 1))


@runtime_checkable
class Observed(Protocol):
    """What is the same of a world, of its rows to act on, and of a model that was made for it."""

    @property
    def observation(self) -> ObservationSpec:
        """The columns of an observation."""
        ...

    @property
    def actions(self) -> ActionSpec:
        """The primitive actions."""
        ...


@runtime_checkable
class VectorWorld(Observed, Protocol):
    """Rows to act on: Gymnasium's vector environment with autoreset disabled.

    The info of both methods has one entry a row of ``subgoal`` and ``visit`` (the abstract and
    the finest subgoal pursued, -1 once there is none), ``progress`` (visits completed) and
    ``solvable`` (whether the row's task can be done at all); a world that does not know one of
    them leaves it out.
    """

    num_envs: int

    def reset(self, *, seed: int) -> tuple[NDArray[Any], dict[str, Any]]:
        """Begins new episodes in all rows; observations are sparse, ``[n, columns]``."""
        ...

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[Any], Any, Any, Any, dict]:
        """Takes one step in every row; a row that is over stays put, with reward 0.

        The reward of an episode is positive if its task was completed, and 0 otherwise.
        """
        ...


@runtime_checkable
class World(Observed, Protocol):
    """Where experts are watched and tasks are done.

    Tasks are sequences of abstract subgoals, and abstract subgoals sequences of finest
    subgoals, the visits. Both are numbered from 0, in the order of their names; a world that
    does not know them has no names.
    """

    @property
    def horizon(self) -> int:
        """Most steps of an episode."""
        ...

    @property
    def subgoal_names(self) -> tuple[str, ...]:
        """Names of the abstract subgoals."""
        ...

    @property
    def visit_names(self) -> tuple[str, ...]:
        """Names of the finest subgoals."""
        ...

    @property
    def heldout_subgoals(self) -> tuple[int, ...]:
        """Abstract subgoals of the held-out task, in order."""
        ...

    def demonstrate(self, n: int, seed: Seed, epsilon: float = 0.0) -> Trajectories:
        """Shows ``n`` successes of the expert at training tasks, fresh for every seed.

        Args:
            n: Number of trajectories.
            seed: Seed of everything random.
            epsilon: Probability of a random harmless action, or what stands for it.
        """
        ...

    def vector_env(
        self, n: int, *, prefix: int | None = None, solvable: bool = True
    ) -> VectorWorld:
        """Returns ``n`` rows of the held-out task.

        Args:
            n: Number of rows.
            prefix: Keep only this many abstract subgoals of the task.
            solvable: Draw only episodes in which the task can be done.
        """
        ...


@runtime_checkable
class Filtered(Protocol):
    """A world with an exact Bayes filter: the best any model of its demonstrations can do."""

    def floor(self, trajectories: Trajectories, epsilon: float = 0.0) -> Floor:
        """Returns what the exact Bayes filter over training tasks believes at every step.

        Args:
            trajectories: What the expert did.
            epsilon: The expert's probability of a random harmless action.
        """
        ...


def filtered(world: Any) -> Filtered:
    """Returns the world as one that has an exact filter.

    Raises:
        NotOffered: It has none.
    """
    if not isinstance(world, Filtered):
        raise NotOffered(
            f"{type(world).__name__} has no exact Bayes filter, so there is no floor to measure "
            "against; give the world a method 'floor', or do without"
        )
    return world
