"""How often the expert succeeds, and what becomes of it otherwise."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from irl_lens.envs.ant.demonstrations import play
from irl_lens.envs.ant.episodes import AntEpisodes, AntState
from irl_lens.envs.ant.gait import Gait
from irl_lens.envs.ant.options import AntOptions
from irl_lens.envs.ant.rules import End
from irl_lens.envs.ant.spec import AntSpec
from irl_lens.envs.pinpad.tasks import Task
from irl_lens.envs.protocol import Seed

EPISODES, SEEDS = 512, (0, 1, 2)
"""Episodes of each kind and seed that the expert is measured on."""


def played(
    spec: AntSpec, gait: Gait, n: int, seed: Seed, task: str | Task = "train", noise: float = 0.0
) -> AntState:
    """Plays arenas in which the task can be done, see :func:`outcomes`; returns how they ended."""
    episodes = AntEpisodes(n, AntOptions(**asdict(spec.settings), task=task))
    rng = np.random.default_rng(seed)
    episodes.reset(np.arange(n), rng.spawn(n))
    play(episodes, gait, noise * gait.deviation, rng)
    return episodes.state


def outcomes(
    spec: AntSpec, gait: Gait, n: int, seed: Seed, task: str | Task = "train", noise: float = 0.0
) -> dict[str, float]:
    """Plays arenas in which the task can be done.

    Args:
        spec: The world.
        gait: The expert's.
        n: Number of episodes.
        seed: Seed of everything random.
        task: See :meth:`irl_lens.envs.pinpad.spec.PinpadSpec.tasks`.
        noise: Deviation of the actions, relative to the one that the gait was trained with.

    Returns:
        The share of episodes by how they ended, ``success`` and others of
        :class:`irl_lens.envs.ant.rules.End`, and ``steps``, the mean number of a success.
    """
    state = played(spec, gait, n, seed, task, noise)
    end, steps = state.end, state.steps
    shares = {each.name.lower(): float((end == each).mean()) for each in End if each}
    succeeded = end == End.SUCCESS
    return {**shares, "steps": float(steps[succeeded].sum() / max(succeeded.sum(), 1))}


def measure(
    spec: AntSpec, gait: Gait, episodes: int = EPISODES, seeds: tuple[int, ...] = SEEDS
) -> dict[str, float]:
    """Measures the expert on training tasks and on the held-out one, without noise and with it.

    Args:
        spec: The world; its noise is that of demonstrations.
        gait: The expert's.
        episodes: How many of each kind and seed.
        seeds: Seeds of arenas.

    Returns:
        Means over seeds, named ``KIND.TASKS.FIGURE`` with kinds ``mean`` and ``sampled`` and tasks
        ``train`` and ``heldout``, and for success the least over seeds, ``.success_least``; beside
        them how many episodes, seeds, and the noise of ``sampled``.
    """
    noise = spec.settings.noise
    figures: dict[str, float] = {
        "episodes": float(episodes),
        "seeds": float(len(seeds)),
        "noise": noise,
        "deviation": noise * gait.deviation,
    }
    for kind, drawn in (("mean", 0.0), ("sampled", noise)):
        for task in ("train", "heldout"):
            found = [outcomes(spec, gait, episodes, seed, task, drawn) for seed in seeds]
            names = found[0].keys()
            means = {name: float(np.mean([each[name] for each in found])) for name in names}
            means["success_least"] = min(each["success"] for each in found)
            figures |= {f"{kind}.{task}.{name}": value for name, value in means.items()}
    return figures
