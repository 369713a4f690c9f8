"""Settings of reinforcement learning: of raw actions, over codes, and internal RL.

Defaults are the paper's (arXiv 2512.20605, App. E) except where a docstring says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from irl_lens.config.ranges import Range
from irl_lens.config.value_types import Decay, LearningRate, Rows, Steps, Temperature, Width


@dataclass(frozen=True)
class RLConfig:
    """Reinforcement learning: of raw actions, and what internal RL has in common with it."""

    episodes: Steps = 102_400_000
    """Episodes in all."""
    batch: Rows = 1024
    """Episodes a step."""
    share: Rows = 512
    """Most episodes that are played in one go, by one thread or process; each share has noise of
    its own, so another size gives other episodes."""
    lr: LearningRate = 3e-5
    """Learning rate."""
    weight_decay: Decay = 0.0
    """Weight decay."""
    clip: Annotated[float, Range(0, 1e6, above=True)] = 0.2
    """How far from 1 PPO lets the ratio of probabilities go."""
    epochs: Annotated[int, Range(1, 1_000)] = 1
    """Passes over each batch."""
    entropy: Annotated[float, Range(0, 1e6)] = 0.0
    """Weight of the entropy bonus."""
    temperature: Temperature = 1.0
    """Temperature of the primitive actions sampled from the base."""
    solvable: bool = True
    """Train on solvable layouts only."""

    @property
    def steps(self) -> int:
        """Batches in all; the last may go beyond the number of episodes."""
        return -(-self.episodes // self.batch)


@dataclass(frozen=True)
class CodesRLConfig(RLConfig):
    """Reinforcement learning over codes (paper, App. E): its policy."""

    width: Width = 256
    """Width of the policy's recurrent block."""
    initial_std: Annotated[float, Range(1e-6, 1e3)] = 1.0
    """Standard deviation that the policy over codes starts with."""
    final_std: Annotated[float, Range(1e-6, 1e3)] | None = None
    """Largest standard deviation that is left at the end, in the same units: the limit goes there
    from ``initial_std``, by equal factors. None: only what is learned narrows the policy."""
    start: Literal["prior", "posterior"] = "prior"
    """Where the policy over codes starts, with ``initial_std`` its spread in units of: the
    codes' prior N(0, I), or the mean and covariance of the codes of demonstrations."""


@dataclass(frozen=True)
class InternalRLConfig(CodesRLConfig):
    """Internal RL (paper, App. E): over codes that steer the base, and prefixes of the task."""

    decoder: Literal["learned", "random", "controllers"] = "learned"
    """What codes become: what their own decoder makes of them; as much, but written in random
    directions; or, of the supervised controllers, the one whose number in the code is largest."""
    switching: Literal["gate", "true"] = "gate"
    """What asks for new codes: the learned gate, or true subgoals as they change."""
    prefix_episodes: Annotated[int, Range(0, 1_000_000_000)] | None = None
    """Episodes of each training on the first subgoals only; as on the whole task when None. 0: none
    is trained, and how far composition goes is read off the policy of the whole task."""

    @property
    def of_prefixes(self) -> InternalRLConfig:
        """The same for training on the first subgoals only."""
        return replace(self, episodes=self.prefix_episodes or self.episodes)
