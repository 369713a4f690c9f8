"""Pretraining of the base model on a stream of expert trajectories.

    L = mean over valid t of [ -w_t ln p(a_t | o_1..t) - lambda * ln p(o_{t+k} | o_1..t) ]

(arXiv 2512.20605, App. B, Table A4), where k is 1 and all steps weigh alike. Every batch is fresh
when it is first used, so the training NLL of first uses is an honest estimate of the NLL on new
boards, and its distance to the exact Bayes filter's is shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.config.schema import Preset
from irl_lens.data.demonstrations import Demonstrations
from irl_lens.data.reused import ReusedDemonstrations
from irl_lens.envs.protocol import Filtered, World, filtered
from irl_lens.envs.registry import make_world
from irl_lens.envs.spaces import ActionSpec, DiscreteActions
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError
from irl_lens.files.tensors import join_parts, split_parts
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath
from irl_lens.processes import own_rows, totals
from irl_lens.progress import Progress
from irl_lens.runs.run import Run
from irl_lens.training.batches import imitated
from irl_lens.training.loop import finish, train
from irl_lens.training.optimizers import PretrainOptimizer, learning_rate
from irl_lens.training.parallel import Figures, backward
from irl_lens.training.stages import trains

FLOOR_SAMPLE = 2_048
"""Trajectories over which the floor shown in training is averaged."""
HALVINGS = 7
"""Snapshots kept of a base while it trains, beside that of the untrained one."""


class PretrainJob:
    """Trains a base model; a :class:`irl_lens.training.loop.Job`.

    Args:
        preset: The configuration.
        seed: Seed of the weights and of the data.
        device: Where to train; weights and data are drawn on the CPU, the same everywhere.

    Raises:
        UserError: Steps are to be weighed whose actions are discrete.
    """

    def __init__(self, preset: Preset, seed: int, device: torch.device | str = "cpu") -> None:
        self.config, self.steps = preset.pretrain, preset.pretrain.steps
        world = make_world(preset.world)
        _check_uncertain(self.config.uncertain, world.actions)
        torch.manual_seed(seed)
        self.model = TrajectoryModel(preset.base, world.observation, world.actions).to(device)
        self.fast = FastPath(self.model, self.config.precision)
        self.optimizer = PretrainOptimizer(self.model, self.config)
        stream = Demonstrations(world, seed, "base", self.config.batch, self.config.epsilon)
        self.stream = ReusedDemonstrations(stream, self.steps, self.config.uses)
        self.floor = self._floor(world, seed)
        self._recent: float | None = None

    def step(self, i: int) -> dict[str, float]:
        """Takes optimisation step ``i`` and returns what to show."""
        began, batch = time.perf_counter(), self.stream[i]
        tokens = int(batch.mask.sum())
        chunks = batch.chunks(self.config.chunk, own_rows(len(batch)))
        figures = self.backward([partial(self.loss, chunk, tokens) for chunk in chunks])
        nll = totals({"nll": sum(figure["nll"] for figure in figures)})["nll"]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimizer.step(learning_rate(self.config, i))
        self._recent = recent = self._averaged(nll, self.stream.is_fresh(i))
        above = {} if self.floor is None else {"above_floor": recent - self.floor}
        speed = tokens / (time.perf_counter() - began)
        return {"nll": nll, **above, "grad_norm": float(norm), "tokens_per_second": speed}

    def _averaged(self, nll: float, fresh: bool) -> float:
        """The NLL of late, of batches that were not trained on before."""
        if self._recent is None:
            return nll
        return 0.98 * self._recent + 0.02 * nll if fresh else self._recent

    def _floor(self, world: World, seed: int) -> float | None:
        """The exact Bayes filter's NLL; None where the world has no such filter."""
        if not isinstance(world, Filtered):
            return None
        epsilon = self.config.epsilon
        sample = Demonstrations(world, seed, "floor", FLOOR_SAMPLE, epsilon)[0]
        return floor_nll(world, sample, epsilon)

    def backward(self, losses: Sequence[Callable[[], tuple[Tensor, Figures]]]) -> list[Figures]:
        """Sets the gradient of a sum of losses, and returns their figures."""
        blocks = {id(parameter) for parameter in self.fast.weights.parameters}
        rest = [p for p in self.model.parameters() if id(p) not in blocks]
        with self.fast.weights.shared() as leaves:
            return backward([*rest, *leaves], losses)

    def loss(self, chunk: Trajectories, tokens: int) -> tuple[Tensor, dict[str, float]]:
        """Returns what a chunk adds to the mean loss over ``tokens`` steps, and to the NLL."""
        outputs, observation = predictions(self.model, self.fast, chunk, self.config.ahead)
        drawn = self.fast.tensor(chunk.actions[chunk.mask])
        policy = chunk.policy
        if policy is not None:
            policy = self.fast.tensor(policy[chunk.mask])
        head = self.model.action_head
        loss_of, wanted = imitated(head, self.config.targets, drawn, policy)
        if self.config.uncertain:
            action = (self.weights(outputs) * loss_of(outputs, wanted, "none")).sum()
        else:
            action = loss_of(outputs, wanted, "sum")
        loss = action + self.config.observation_weight * observation.sum()
        nll = head.nll(outputs, drawn, "sum").detach()
        return loss / tokens, {"nll": float(nll) / tokens}

    @torch.no_grad()
    def weights(self, outputs: Float[Tensor, "steps outputs"]) -> Float[Tensor, " steps"]:
        """What the loss of each step is multiplied by, if steps count by how uncertain they are.

            w_t = exp(beta * mean_j ln s_tj^2)        s_t: the base's own deviations, held fixed

        The beta-NLL of Seitzer et al. (2022, "On the Pitfalls of Heteroscedastic Uncertainty
        Estimation with Probabilistic Neural Networks"), with one weight a step. A weight that
        depends on what has been seen, not on what comes, leaves the best prediction what it is.
        """
        _, deviations = self.model.action_head.policy(outputs).chunk(2, dim=-1)
        return (2 * self.config.uncertain * deviations.log().mean(dim=-1)).exp()

    def state(self) -> dict[str, Tensor]:
        """Returns all that the next step depends on."""
        recent = (
            {} if self._recent is None else {"nll": torch.tensor(self._recent, dtype=torch.float64)}
        )
        return join_parts(
            model=self.model.weights(), optimizer=self.optimizer.state(), recent=recent
        )

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores what :meth:`state` returned."""
        parts = split_parts(tensors, "model", "optimizer", "recent")
        self.model.load_weights(parts["model"])
        self.optimizer.load(parts["optimizer"])
        self._recent = float(parts["recent"]["nll"]) if parts["recent"] else None


def _check_uncertain(beta: float, actions: ActionSpec) -> None:
    if beta and isinstance(actions, DiscreteActions):
        raise UserError(
            f"pretrain.uncertain={beta:g} weighs steps by the deviations of continuous actions, "
            f"and this world has {actions.described()}; leave it at 0"
        )


def predictions(
    model: TrajectoryModel, fast: FastPath, batch: Trajectories, ahead: int = 1
) -> tuple[Float[Tensor, "valid outputs"], Float[Tensor, " valid_pairs"]]:
    """What the action head reads at each valid step, and -ln p [nats] of observations ``ahead``."""
    observations, mask = fast.tensor(batch.observations), fast.tensor(batch.mask)
    stream = fast.final(observations)
    outputs = model.hooked.unembed(stream[mask])
    pairs = mask[:, ahead:]
    predicted = model.next_observation(stream[:, : pairs.shape[1]][pairs])
    return outputs, model.next_observation.nll(predicted, observations[:, ahead:][pairs])


def floor_nll(world: World, sample: Trajectories, epsilon: float = 0.0) -> float:
    """Mean action NLL of the exact Bayes filter on ``sample``, in nats.

    Args:
        world: Where the sample was played.
        sample: Demonstrations.
        epsilon: The expert's probability of a random harmless action.
    """
    return float(filtered(world).floor(sample, epsilon).nll[sample.mask].mean())


@trains("base")
def pretrain(run: Run, progress: Progress) -> None:
    """Trains the base model of ``run``, resuming where it stopped; nothing when done."""
    stage = run.stage("base")
    job = PretrainJob(run.preset, run.seed, run.device)
    kept = snapshot_steps(job.steps)

    def after(completed: int) -> None:
        if completed in kept:
            stage.save_snapshot(completed, job.model.weights())

    train(stage, job, progress, after=after)
    floor = {} if job.floor is None else {"floor": job.floor}
    result = {"nll": job._recent, **floor, "made_for": job.model.made_for()}
    finish(stage, job.model.weights(), result)


def snapshot_steps(steps: int) -> frozenset[int]:
    """The steps after which the base is kept: untrained, and then each the half of the next.

        0, T / 2^k, .., T / 4, T / 2        of T steps; what T leaves is the result itself

    Evenly spaced in the logarithm, as training changes most in its beginning.
    """
    return frozenset({0} | {steps >> halvings for halvings in range(1, HALVINGS + 1)})
