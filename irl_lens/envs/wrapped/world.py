"""A Gymnasium environment as a :class:`irl_lens.envs.protocol.World`.

    world = GymnasiumWorld(CorridorEnv, horizon=20, expert=lambda env, seen, rng: 1)

Demonstrations are episodes in which the expert completes the task, or recorded ones. There is no
Bayes filter, and nothing to draw or edit: the analyses that need them say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import gymnasium as gym
import numpy as np

from irl_lens.arrays import NDArray
from irl_lens.envs.protocol import MAX_HORIZON, Seed
from irl_lens.envs.spaces import ActionSpec, DiscreteActions, ObservationSpec
from irl_lens.envs.trajectories import Trajectories
from irl_lens.envs.wrapped.actions import Actions
from irl_lens.envs.wrapped.columns import Columns
from irl_lens.envs.wrapped.recorded import fitting, recorded_trajectories, stacked
from irl_lens.envs.wrapped.rows import Reading, Subgoal, Success, WrappedRows
from irl_lens.envs.wrapped.whole import whole
from irl_lens.errors import UserError

Expert = Callable[[gym.Env, Any, np.random.Generator], Any]
"""Environment, observation, source of noise: an action."""
Policy = Callable[[gym.Env, Any], Any]
"""Environment, observation: the probability of each discrete action."""
PLAYED, RARE = 200, 0.01
"""Episodes played before it is asked whether the expert completes its task in this share."""
PARTS = {"train": (0.0, 0.8), "fit": (0.8, 0.9), "test": (0.9, 1.0)}
"""Shares of recorded episodes, so that nothing is measured on what was trained on."""


def rewarded(reward: float, terminated: bool, truncated: bool, info: dict[str, Any]) -> bool:
    """The usual success: the episode ends with a positive reward."""
    return terminated and reward > 0


class GymnasiumWorld:
    """An environment, who acts in it, and what is known of its subgoals.

    Args:
        env: Makes an environment of training tasks.
        horizon: Most steps of an episode.
        expert: Returns an action, given the environment, what it shows, and a random generator.
        policy: In place of ``expert``: returns the probability of each discrete action, which is
            drawn here, and learned from.
        episodes: In place of either: recorded episodes, see
            :mod:`irl_lens.envs.wrapped.recorded`; or :class:`Trajectories` of this world.
        heldout: Makes an environment of the task that reinforcement learning is asked to solve;
            one of training tasks when not given.
        subgoals: Names of the subgoals, if they are known.
        subgoal: Returns the number of the subgoal that is pursued, given the environment.
        boundary_tolerance: Steps by which ``subgoal`` may be late or early.
        heldout_subgoals: Those of the held-out task in order, if they are known.
        success: Whether a step completed the task, given its reward, terminated, truncated and
            info; :func:`rewarded` when not given.
        scales: Scale of real columns, see :class:`irl_lens.envs.wrapped.columns.Columns`.
        predicted: Names of the columns whose next value is predicted; all when not given.
        action_names: One name a discrete action.

    Raises:
        UserError: There is not exactly one source of demonstrations, a space is of a kind that is
            not known, or labels are given in part.
    """

    def __init__(
        self,
        env: Callable[[], gym.Env],
        horizon: int,
        expert: Expert | None = None,
        policy: Policy | None = None,
        episodes: Sequence[Any] | Trajectories | None = None,
        *,
        heldout: Callable[[], gym.Env] | None = None,
        subgoals: Sequence[str] = (),
        subgoal: Subgoal | None = None,
        boundary_tolerance: int = 0,
        heldout_subgoals: Sequence[int] = (),
        success: Success = rewarded,
        scales: Mapping[str, float] | None = None,
        predicted: Sequence[str] | None = None,
        action_names: Sequence[str] = (),
    ) -> None:
        _check_steps(horizon, boundary_tolerance)
        if sum(source is not None for source in (expert, policy, episodes)) != 1:
            raise UserError(
                "give one of expert, policy and episodes: where demonstrations are from"
            )
        if not callable(env) or not (heldout is None or callable(heldout)):
            raise UserError("env, heldout: give functions that make environments, lambda: env")
        _check_labels(subgoals, subgoal, episodes is not None, heldout_subgoals)
        self._make, self._make_heldout = env, heldout or env
        self.horizon, self.subgoal_names = horizon, tuple(subgoals)
        self.visit_names, self.heldout_subgoals = self.subgoal_names, tuple(heldout_subgoals)
        self._expert, self._policy = expert, policy
        self._env = env()
        self._reading = Reading(
            Columns(self._env.observation_space, scales, predicted),
            Actions(self._env.action_space, action_names),
            horizon,
            success,
            self.subgoal_names,
            subgoal,
        )
        if policy is not None and not isinstance(self.actions, DiscreteActions):
            raise UserError("a policy gives probabilities of discrete actions; give an expert")
        self._episodes, self._tolerance = episodes, boundary_tolerance

    @property
    def observation(self) -> ObservationSpec:
        """The columns of an observation."""
        return self._reading.columns.spec

    @property
    def actions(self) -> ActionSpec:
        """The primitive actions."""
        return self._reading.actions.spec

    def demonstrate(self, n: int, seed: Seed, epsilon: float = 0.0) -> Trajectories:
        """Plays ``n`` episodes in which the expert completes its task.

        Args:
            n: Number of trajectories; of recorded ones, at most as many as there are.
            seed: Seed of everything random.
            epsilon: Probability of a random action.

        Raises:
            UserError: The expert next to never completes its task, or recorded episodes are asked
                to be noisy.
        """
        return self._demonstrate(n, seed, epsilon, lambda count: None)

    def demonstrate_telling(self, n: int, seed: Seed, told: Callable[[int], None]) -> Trajectories:
        """Does the same, and tells how many there are while it plays.

        Args:
            n: Number of trajectories; of recorded ones, at most as many as there are.
            seed: Seed of everything random.
            told: Called after each episode that is kept with how many there are.
        """
        return self._demonstrate(n, seed, 0.0, told)

    def _demonstrate(
        self, n: int, seed: Seed, epsilon: float, told: Callable[[int], None]
    ) -> Trajectories:
        if self._episodes is not None:
            return self.recorded(n, seed, epsilon=epsilon)
        rng, kept, played = np.random.default_rng(seed), [], 0
        while len(kept) < n:
            episode, done = self._play(rng, epsilon)
            kept += [episode] * done
            played += 1
            told(len(kept))
            if played >= PLAYED and len(kept) < RARE * played:
                raise UserError(
                    f"the expert completed its task in {len(kept)} of {played} episodes within "
                    f"{self.horizon} steps; see whether 'success' knows, or take a longer horizon"
                )
        return replace(stacked(kept), tolerance=self._tolerance)

    def recorded(
        self,
        n: int,
        seed: Seed,
        part: Literal["train", "fit", "test"] = "train",
        epsilon: float = 0.0,
    ) -> Trajectories:
        """Draws from one part of what is recorded, none twice.

        Args:
            n: At most so many.
            seed: Seed of the choice.
            part: One of :data:`PARTS`.
            epsilon: What is recorded cannot be made noisier: 0.

        Raises:
            UserError: Nothing is recorded in that part, or noise is asked for.
        """
        if epsilon:
            raise UserError("recorded episodes are as they are; take epsilon = 0")
        low, high = (round(share * len(self._recorded)) for share in PARTS[part])
        if low == high:
            raise UserError(
                f"{len(self._recorded)} recorded episodes leave none to {part}; record 10 or more"
            )
        order = np.random.default_rng(0).permutation(len(self._recorded))[low:high]
        chosen = np.random.default_rng(seed).permutation(order)[:n]
        return replace(self._recorded.rows(chosen), tolerance=self._tolerance)

    @property
    def has_recorded(self) -> bool:
        """Whether demonstrations were recorded, and are not played."""
        return self._episodes is not None

    def vector_env(
        self, n: int, *, prefix: int | None = None, solvable: bool = True
    ) -> WrappedRows:
        """Returns ``n`` rows of the held-out task.

        Args:
            n: Number of rows.
            prefix: The task is done after so many subgoals.
            solvable: Whether tasks can be done is not known here, so all are drawn.

        Raises:
            UserError: A prefix without labels, or the held-out environment has other spaces.
        """
        if prefix is not None and self._reading.subgoal is None:
            raise UserError("a prefix of the task without labels; give subgoals and subgoal")
        envs = [self._make_heldout() for _ in range(n)]
        for name in ("observation_space", "action_space"):
            if (own := getattr(envs[0], name)) != (trained := getattr(self._env, name)):
                raise UserError(
                    f"heldout has {name} {own}, and env {trained}; a model is made for one of them"
                )
        return WrappedRows(envs, self._reading, prefix)

    @cached_property
    def _recorded(self) -> Trajectories:
        assert self._episodes is not None
        if isinstance(self._episodes, Trajectories):
            return fitting(self._episodes, self._reading)
        return recorded_trajectories(self._episodes, self._reading)

    def _play(
        self, rng: np.random.Generator, epsilon: float
    ) -> tuple[dict[str, NDArray[Any]], bool]:
        """Plays one episode, and says whether the task was completed."""
        rows = WrappedRows([self._env], self._reading, None)
        observation, info = rows.reset(seed=int(rng.integers(2**63)))
        steps: list[dict[str, Any]] = []
        while not rows.over[0]:
            action, policy = self._act(rows.raw[0], rng, epsilon)
            step = {"observations": observation[0], "actions": action, **policy}
            steps.append(step | ({"subgoals": info["subgoal"][0]} if info else {}))
            observation, *_, info = rows.step(action[None])
        arrays = {name: np.stack([step[name] for step in steps]) for name in steps[0]}
        return arrays, bool(rows.done[0])

    def _act(
        self, seen: Any, rng: np.random.Generator, epsilon: float
    ) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """The expert's action, and the probabilities it was drawn from if they are known."""
        if self._policy is not None:
            given = self._reading.actions.probabilities(self._policy(self._env, seen))
            probs = (1 - epsilon) * given + epsilon / len(given)
            action = np.asarray(rng.choice(len(probs), p=probs), np.int64)
            return action, {"policy": probs.astype(np.float32)}
        assert self._expert is not None
        action = self._expert(self._env, seen, rng)
        if epsilon and rng.random() < epsilon:
            space = self._reading.actions.space
            space.seed(int(rng.integers(2**31)))
            action = space.sample()
        return self._reading.actions.kept(action), {}


def _check_steps(horizon: int, tolerance: int) -> None:
    if not isinstance(horizon, int | np.integer) or not 1 <= horizon <= MAX_HORIZON:
        raise UserError(f"horizon {horizon}; take a whole number from 1 to {MAX_HORIZON}")
    if not 0 <= tolerance < horizon:
        raise UserError(f"boundary_tolerance {tolerance}; take 0 to {horizon - 1}")


def _check_labels(
    names: Sequence[str], subgoal: Subgoal | None, recorded: bool, heldout: Sequence[int]
) -> None:
    if (subgoal is not None and not names) or (names and not (subgoal or recorded)):
        raise UserError("give both subgoals, the names, and subgoal, a function; or neither")
    if isinstance(names, str) or len(set(names)) < len(names):
        raise UserError(f"subgoals {names!r}; give a list of names, each another")
    if len(heldout) and whole(list(heldout), len(names)) is None:
        raise UserError(
            f"heldout_subgoals {tuple(heldout)}; give numbers of subgoals, of which {len(names)} "
            "are named"
        )
