"""Internal reinforcement learning: the stage that trains a policy over codes.

The base, its decoder and its switching unit are frozen and part of the environment; only
the policy learns, from the residuals and codes recorded at switches, without a pass
through the base (arXiv 2512.20605, App. E). It is trained on the whole held-out task. How far
composition goes is how many of its first abstract subgoals at least half of the episodes
complete: as many as the policy of the whole task does, or, if asked for, more, each tried from
scratch on that many alone, until it works. The next is tried only where this one works with
something to spare, as one more subgoal for the same reward only makes it harder.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.config.rl import CodesRLConfig
from irl_lens.data.demonstrations import Demonstrations
from irl_lens.envs.protocol import World
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError
from irl_lens.models.causal import Gated
from irl_lens.models.fast import FastPath
from irl_lens.models.played import Played
from irl_lens.models.policy import GaussianNetwork, LatentPolicy
from irl_lens.models.trace import encode
from irl_lens.progress import Progress
from irl_lens.rl.ppo import Chunk
from irl_lens.rl.recorder import Rollout
from irl_lens.rl.runner import RolloutRunner
from irl_lens.rl.trainer import RLJob, parameters
from irl_lens.runs.parts import load_acting, load_base, load_metacontroller
from irl_lens.runs.run import Run
from irl_lens.runs.stage import Stage
from irl_lens.training.loop import finish, train
from irl_lens.training.stages import trains

STAGE = "internal-rl"
LEARNED = 0.5
"""Success that counts."""
ENOUGH = 0.55
"""Recent success at which a prefix needs no more training to be found LEARNED afresh, and from
which the next longer one is tried."""
DEMONSTRATIONS = 1_024
"""How many demonstrations' codes a policy may start from."""
RIDGE = 1e-6
"""Added to the variances of the codes, some of whose directions may not be used."""
CHUNK = 512
"""Most decisions that are scored at once."""


class InternalAgent:
    """A policy over codes and the frozen model that it acts in.

    Args:
        fast: The frozen base, or another model that codes steer.
        meta: The frozen metacontroller, or what else has a gate and a decoder of codes.
        config: Width and initial standard deviation of the policy, temperature.
        horizon: Most steps of an episode.
        seed: Seed of the policy's initial weights.
    """

    def __init__(
        self, fast: Played, meta: Gated, config: CodesRLConfig, horizon: int, seed: int
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.trained = GaussianNetwork(
                meta.decoder.d_model, meta.decoder.n_z, config.width, config.initial_std
            ).to(fast.device)
        self.policy, self.config = LatentPolicy(self.trained, meta), config
        self.runner = RolloutRunner(fast, horizon, self.policy, config.temperature)
        self.calm = RolloutRunner(fast, horizon, self.policy.by_mean(), config.temperature)

    def chunks(self, rollout: Rollout, advantages: Float[Tensor, " n"]) -> list[Chunk]:
        """Cuts the recorded decisions into padded sequences."""
        assert rollout.decisions is not None
        advantages = advantages.to(rollout.decisions.rows.device)
        return [
            Chunk(
                partial(self.trained.score, part), part.log_probs, part.mask, advantages[part.rows]
            )
            for part in rollout.decisions.chunks(CHUNK)
        ]

    def anneal(self, fraction: float) -> None:
        """Narrows the policy to what the configuration allows by then."""
        if (final := self.config.final_std) is not None:
            initial = self.config.initial_std
            self.trained.narrow(initial * (final / initial) ** fraction)


@trains(STAGE)
def internal_rl(run: Run, progress: Progress) -> None:
    """The stage ``internal-rl``: trains policies over the codes of a run's metacontroller.

    Result: figures on fresh boards after training on the whole task, and under
    ``prefixes`` the same for each prefix trained on alone, by its number of abstract subgoals,
    with ``recent``, the mean success of its last batches.
    A prefix's own log and weights are in the folder ``prefix-N`` of the stage.

    Raises:
        CheckpointError: If the base or the metacontroller is not trained yet.
    """
    stage = run.stage(STAGE)
    whole, result = _train(run, stage, progress, None)
    prefixes = {}
    asked = run.preset.internal_rl.prefix_episodes != 0
    for prefix in range(2, len(whole.world.heldout_subgoals)) if asked else ():
        if result.get(f"reached_{prefix}", 0.0) >= LEARNED:
            continue  # the policy of the whole task does it already
        part = stage.part(f"prefix-{prefix}")
        if not part.done:
            try:
                job, figures = _train(run, part, progress, prefix)
            finally:  # the time spent here counts, even when it is interrupted
                stage.save_state(whole.steps, whole.state())
            finish(part, parameters(job.agent.trained), {**figures, "recent": job.recent_success})
        prefixes[str(prefix)] = part.result
        if not spare(part.result):
            break
    finish(stage, parameters(whole.agent.trained), {**result, "prefixes": prefixes})


def spare(result: Mapping[str, float]) -> bool:
    """Whether a prefix was learned so well that the next longer one is worth trying."""
    return result["success"] >= LEARNED and result["recent"] >= ENOUGH


def _train(
    run: Run, stage: Stage, progress: Progress, prefix: int | None
) -> tuple[RLJob, dict[str, float]]:
    world, fast = run.world, FastPath(load_base(run), run.preset.pretrain.precision)
    config, meta = run.preset.internal_rl, load_acting(run)
    if prefix is not None:
        config = config.of_prefixes
    agent = InternalAgent(fast, meta, config, world.horizon, run.seed)
    if config.start == "posterior":
        shown = demonstrations(world, run.seed)
        trace = encode(load_metacontroller(run), fast, shown, run.seed)
        start_at_codes(agent.trained, torch.from_numpy(trace.switched))
    purpose = STAGE if prefix is None else f"{STAGE}-{prefix}"
    job = RLJob(agent, world, config, run.seed, purpose, prefix)

    def enough() -> bool:
        return prefix is not None and job.recent_success >= ENOUGH

    train(stage, job, progress, log_every=1, until=enough)
    return job, job.measure(run.preset.evaluation.rollouts)


def start_at_codes(
    network: GaussianNetwork, codes: Float[Tensor, "n latent"], part: str = "internal_rl"
) -> None:
    """Gives an untrained policy the mean and covariance of codes, such as those at switches.

    Args:
        network: The policy.
        codes: The codes.
        part: The settings that ask for it.

    Raises:
        UserError: If they are too few or too large to have a covariance.
    """
    covariance = codes.T.cov() + RIDGE * torch.eye(codes.shape[1])
    scale, failed = torch.linalg.cholesky_ex(covariance)
    if failed:
        raise UserError(
            f"the {len(codes)} codes of demonstrations, of up to {codes.abs().max():g}, have no "
            "covariance to start a policy from; train them at a lower rate, or start the policy "
            f"at their prior with --set {part}.start=prior"
        )
    with torch.no_grad():
        network.centre.copy_(codes.mean(dim=0))
        network.scale.copy_(scale)


def demonstrations(world: World, seed: int) -> Trajectories:
    """Those whose codes a policy may start from."""
    return Demonstrations(world, seed, f"{STAGE}-codes", DEMONSTRATIONS)[0]
