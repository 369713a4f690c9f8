"""Reinforcement learning over the codes of CompILE: the paper's baseline (Fig. 8).

The policy, the learner and the episodes are those of internal RL (:mod:`irl_lens.rl.internal`). The
codes are options of CompILE in place of controllers of a base: a code drawn acts through its
frozen policy until its termination says stop. What the policy over codes reads at a stop is the
observation, as the policy of codes embeds it.
"""

from __future__ import annotations

from irl_lens.models.compile.sub_policy import SubPolicyPath
from irl_lens.progress import Progress
from irl_lens.rl.internal import InternalAgent, demonstrations, start_at_codes
from irl_lens.rl.trainer import RLJob, parameters
from irl_lens.runs.parts import load_compile
from irl_lens.runs.run import Run
from irl_lens.training.compile import segment_codes
from irl_lens.training.loop import finish, train
from irl_lens.training.stages import trains

STAGE = "compile-rl"


@trains(STAGE)
def compile_rl(run: Run, progress: Progress) -> None:
    """The stage ``compile-rl``: trains a policy over CompILE's codes on the held-out task.

    Result: figures on fresh boards after training.

    Raises:
        CheckpointError: If CompILE is not trained yet.
    """
    stage, config, world = run.stage(STAGE), run.preset.compile_rl, run.world
    model = load_compile(run)
    path = SubPolicyPath(model.policy)
    agent = InternalAgent(path, model.options, config, world.horizon, run.seed)
    if config.start == "posterior":
        codes = segment_codes(model, demonstrations(world, run.seed), run.device)
        start_at_codes(agent.trained, codes, "compile_rl")
    job = RLJob(agent, world, config, run.seed, STAGE)
    train(stage, job, progress, log_every=1)
    finish(stage, parameters(agent.trained), job.measure(run.preset.evaluation.rollouts))
