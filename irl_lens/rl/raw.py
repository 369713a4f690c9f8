"""Raw-action reinforcement learning: the same PPO on the whole base model.

The paper's first baseline (arXiv 2512.20605, Fig. 8): the pretrained model is itself the
policy over primitive actions, every step is a decision, and all its weights are trained.
Its prior success on the held-out task is so small that next to no batch carries a signal.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.config.rl import RLConfig
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath
from irl_lens.progress import Progress
from irl_lens.rl.ppo import Chunk
from irl_lens.rl.recorder import Rollout
from irl_lens.rl.runner import RolloutRunner
from irl_lens.rl.trainer import RLJob, parameters
from irl_lens.runs.parts import load_pretrained
from irl_lens.runs.run import Run
from irl_lens.training.loop import finish, train
from irl_lens.training.stages import trains

STAGE = "raw-rl"
CHUNK = 64
"""Episodes that go through the base at once."""


class RawAgent:
    """A base model that is trained as a policy over primitive actions.

    Args:
        model: The model; trained in place.
        config: Temperature.
        horizon: Most steps of an episode.
    """

    def __init__(self, model: TrajectoryModel, config: RLConfig, horizon: int) -> None:
        self.trained = model.requires_grad_(True)
        # Predictions of observations play no part, and would otherwise be a dead weight.
        model.next_observation.requires_grad_(False)
        # In float32: the ratio of PPO compares log-probabilities of two passes.
        self.fast = FastPath(model, "float32")
        self.temperature = config.temperature
        self.runner = RolloutRunner(self.fast, horizon, temperature=config.temperature)
        # It explores by its primitive actions alone, which the temperature has calmed already.
        self.calm = None

    def chunks(self, rollout: Rollout, advantages: Float[Tensor, " n"]) -> list[Chunk]:
        """Cuts the episodes, the longest first, into chunks as long as their longest."""
        order = np.argsort(-rollout.lengths, kind="stable")
        parts = [rollout.rows(order[i : i + CHUNK]) for i in range(0, len(order), CHUNK)]
        weights = advantages[torch.from_numpy(order)].split(CHUNK)
        return [
            Chunk(
                partial(self.score, part),
                self.fast.tensor(part.log_probs),
                self.fast.tensor(part.mask),
                weight.to(self.fast.device),
            )
            for part, weight in zip(parts, weights, strict=True)
        ]

    def anneal(self, fraction: float) -> None:
        """Nothing: the temperature stays."""

    def score(self, part: Rollout) -> tuple[Tensor, Tensor]:
        """Scores recorded actions again: log-probabilities and entropies, differentiably."""
        outputs, head = self.fast.logits(self.fast.tensor(part.observations)), self.fast.action_head
        log_probs = head.log_prob(outputs, self.fast.tensor(part.actions), self.temperature)
        return log_probs, head.entropy(outputs, self.temperature)


@trains(STAGE)
def raw_rl(run: Run, progress: Progress) -> None:
    """The stage ``raw-rl``: trains the base of a run on the held-out task, action by action.

    Result: figures on fresh boards after training.

    Raises:
        CheckpointError: If the base is not trained yet.
    """
    stage = run.stage(STAGE)
    world, model, config = run.world, load_pretrained(run), run.preset.raw_rl
    job = RLJob(RawAgent(model, config, world.horizon), world, config, run.seed, STAGE)
    train(stage, job, progress, log_every=1)
    finish(stage, parameters(model), job.measure(run.preset.evaluation.rollouts))
