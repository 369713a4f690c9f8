"""Demonstrations: arenas that can be solved, played by the expert, and only those that succeed.

Arena and task are drawn jointly and uniformly among those that can be solved, as the exact
filter's prior has it; one that the expert fails (about 2 in 100) is drawn anew, task and all.
Rows that are over are not stepped any more, and none is begun in their place: who filled them up
and stopped at n successes would show short episodes too often.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.episodes import AntEpisodes
from irl_lens.envs.ant.expert import Expert
from irl_lens.envs.ant.gait import TORQUES, Gait
from irl_lens.envs.ant.options import AntOptions
from irl_lens.envs.ant.rules import End
from irl_lens.envs.ant.spec import AntSpec
from irl_lens.envs.ant.stance import Body
from irl_lens.envs.ant.straying import Straying
from irl_lens.envs.pinpad.layouts import Layouts
from irl_lens.envs.pinpad.tasks import Task
from irl_lens.envs.protocol import Seed
from irl_lens.envs.trajectories import Trajectories

PLAYED = 100
"""Episodes played before it is asked how many of them succeeded."""
TOLERANCE = 3
"""Control steps by which a switch may be off a boundary: 0.15 s, a fifth of what a turn takes. The
labels are exact: a visit is the step on which the torso's centre enters the cell."""
SPARE = 0.08
"""Episodes played beyond those that are missing: seldom more fail, and to play a few anew takes
nearly as long as to play many."""
SUCCEED = 0.1
"""Share of episodes that must: with fewer, most would be played for nothing."""


@dataclass(frozen=True)
class Walk:
    """What the expert asked for, step by step: a row for every step of every episode.

    Attributes:
        row: The episode that it is of, ascending at each step.
        step: Steps taken before.
        observations: What the expert saw.
        actions: What it asked for: beyond -1 and 1 counts as -1 and 1. Done, but by an ant that
            goes astray.
        means: What it meant.
        progress: Visits completed before.
    """

    row: Int[NDArray[np.int64], " k"]
    step: Int[NDArray[np.int64], " k"]
    observations: Float[NDArray[np.float32], "k columns"]
    actions: Float[NDArray[np.float32], "k 8"]
    means: Float[NDArray[np.float32], "k 8"]
    progress: Int[NDArray[np.int64], " k"]


def demonstrate(
    spec: AntSpec,
    gait: Gait,
    n: int,
    seed: Seed,
    task: str | Task = "train",
    prefix: int | None = None,
    threads: int = 0,
    begun: tuple[Layouts, Body] | None = None,
    epsilon: float = 0.0,
    told: Callable[[int], None] = lambda count: None,
) -> Trajectories:
    """Plays until there are ``n`` successes.

    Args:
        spec: The world.
        gait: The expert's.
        n: Number of trajectories.
        seed: Seed of everything random.
        task: See :meth:`irl_lens.envs.pinpad.spec.PinpadSpec.tasks`.
        prefix: Also there.
        threads: How many threads step the bodies; 0 for one a processor. It changes no bit.
        begun: One arena and body to begin with, in place of fresh ones.
        epsilon: Probability that an ant goes astray, a control step
            (:mod:`irl_lens.envs.ant.straying`).
        told: Called with how many successes there are, while they are played.

    Returns:
        Successful trajectories, padded to the longest.

    Raises:
        ValueError: The expert fails next to always, or next to no arena can be solved.
    """
    options = AntOptions(**asdict(spec.settings), task=task, prefix=prefix)
    deviation = spec.settings.noise * gait.deviation
    rng, parts, missing, played = np.random.default_rng(seed), list[_Played](), n, 0
    while missing > 0:
        if played >= PLAYED and n - missing < SUCCEED * played:
            raise ValueError(
                f"the expert succeeds in {n - missing} of {played} episodes; take less noise "
                "(world.noise, epsilon), a longer horizon, or train it for these physics: irl-lens "
                "train expert"
            )
        rows = missing + math.ceil(SPARE * missing)
        episodes = AntEpisodes(rows, options, threads)
        if begun is not None:
            episodes.begin_at(*begun)
        episodes.reset(np.arange(rows), rng.spawn(rows))
        walk = play(
            episodes,
            gait,
            deviation,
            rng,
            epsilon,
            lambda count, before=n - missing: told(min(before + count, n)),
        )
        parts.append(_Played(episodes, walk, missing))
        played += rows
        missing -= len(parts[-1].succeeded)
    steps = max(part.longest for part in parts)
    return _joined([part.shown(deviation, steps) for part in parts])


def play(
    episodes: AntEpisodes,
    gait: Gait,
    deviation: float,
    rng: np.random.Generator,
    epsilon: float = 0.0,
    told: Callable[[int], None] = lambda count: None,
) -> Walk:
    """Lets the expert play episodes that have begun to their end.

    Args:
        episodes: Each is over afterwards.
        gait: The expert's.
        deviation: Of every torque from what the expert means.
        rng: Draws the deviations.
        epsilon: Probability that one goes astray, a control step.
        told: Called after each step with how many episodes were completed.
    """
    state, physics, world = episodes.state, episodes.physics, episodes.world
    layouts = Layouts(state.objects, state.start)
    expert = Expert.of(world.arena, world.board, layouts, gait)
    straying = Straying(world.arena, state.objects, epsilon)
    actions, record = np.zeros((len(state.end), TORQUES)), []
    while len(live := np.flatnonzero(~episodes.done)):
        at = physics.qpos[live], physics.qvel[live]
        seen = episodes.observe(live)
        progress = state.progress[live]
        means = expert.rows(live).means(seen, episodes.goals[state.task[live], progress])
        noise = deviation * rng.standard_normal(means.shape, np.float32)
        actions[live] = means + noise
        taken = actions[live].astype(np.float32)
        record.append((live, state.steps[live], seen, taken, means, progress))
        if epsilon:
            qpos, qvel = at
            led, command = straying.commands(live, qpos[:, :2], qvel[:, :2], rng)
            actions[live[led]] = gait.torques(qpos[led], qvel[led], command) + noise[led]
        episodes.step(actions)
        told(int((state.end == End.SUCCESS).sum()))
    return Walk(*map(np.concatenate, zip(*record, strict=True)))


@dataclass(frozen=True)
class _Played:
    """Episodes that are over, what the expert did in them, and how many are wanted at most."""

    episodes: AntEpisodes
    walk: Walk
    wanted: int

    @property
    def succeeded(self) -> Int[NDArray[np.intp], " kept"]:
        """The rows that are kept: the first of those whose task was completed."""
        return np.flatnonzero(self.episodes.state.end == End.SUCCESS)[: self.wanted]

    @property
    def longest(self) -> int:
        """Most steps of those."""
        return int(self.episodes.state.steps[self.succeeded].max(initial=1))

    def shown(self, deviation: float, steps: int) -> Trajectories:
        """Those, with labels, padded to so many steps."""
        episodes, walk, rows = self.episodes, self.walk, self.succeeded
        goals, stages = episodes.options.tables(episodes.world)
        place = np.full(len(episodes.done), -1)
        place[rows] = np.arange(len(rows))
        kept = place[walk.row] >= 0
        at = place[walk.row[kept]], walk.step[kept]

        def padded(values: NDArray[Any], fill: int = 0) -> NDArray[Any]:
            whole = np.full((len(rows), steps, *values.shape[1:]), fill, values.dtype)
            whole[at] = values[kept]
            return whole

        state, task = episodes.state, episodes.state.task[walk.row]
        policy = [walk.means, np.full_like(walk.means, deviation)]
        numbered = episodes.options.task == "train"
        return Trajectories(
            observations=padded(walk.observations),
            actions=padded(walk.actions),
            mask=padded(np.ones(len(walk.row), bool)),
            policy=padded(np.concatenate(policy, axis=1)),
            subgoals=padded(stages[task, walk.progress], -1),
            visits=padded(goals[task, walk.progress], -1),
            progress=padded(walk.progress),
            tasks=state.task[rows] if numbered else np.full(len(rows), -1),
            extras={"objects": state.objects[rows], "start": state.start[rows]},
        )


def _joined(parts: list[Trajectories]) -> Trajectories:
    """One batch after the other, all of as many steps."""
    arrays = [part.arrays() for part in parts]
    joined = {k: np.concatenate([a[k] for a in arrays]) for k in arrays[0] if arrays[0][k].ndim}
    return Trajectories.from_arrays(joined | {"tolerance": np.array(TOLERANCE)})
