"""Supervised controllers on the frozen base: what any abstract action could at most do there.

    L = mean over valid steps t of -ln p(a_t | o_1..t),   with e_t <- e_t + U^(g_t) e_t at layer l

One low-rank U a subgoal, g_t the true one at t: the abstract subgoal, never the position in
the task (arXiv 2512.20605, App. C.2, Tables A7, A8). All layers of the configuration are
trained side by side, each on its own, from the same batches; comparing them tells where the
base can be steered, and bounds what discovery can reach there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from irl_lens.config.schema import ControllersConfig
from irl_lens.config.value_types import Targets
from irl_lens.data.ahead import AheadDemonstrations
from irl_lens.data.demonstrations import Demonstrations
from irl_lens.envs.protocol import World
from irl_lens.files.tensors import (
    copy_weights,
    join_parts,
    pack_optimizer,
    split_parts,
    unpack_optimizer,
)
from irl_lens.models.controllers import bank_weights, controller_banks
from irl_lens.models.fast import FastPath
from irl_lens.processes import own_rows, totals
from irl_lens.progress import Progress
from irl_lens.runs.parts import load_pretrained
from irl_lens.runs.run import Run
from irl_lens.training.batches import Batch
from irl_lens.training.loop import finish, train
from irl_lens.training.optimizers import decay, take_step
from irl_lens.training.stages import trains


class ControllersJob:
    """Trains the banks of all layers; a :class:`irl_lens.training.loop.Job`.

    Args:
        config: Layers, labels, sizes and schedule.
        world: Where demonstrations come from.
        base: The frozen base.
        seed: Seed of initialisation and demonstrations.
    """

    def __init__(self, config: ControllersConfig, world: World, base: FastPath, seed: int) -> None:
        base.model.check_fits(world)
        self.config, self.world, self.base, self.seed = config, world, base, seed
        self.steps = config.steps
        stream = Demonstrations(world, seed, "controllers", config.batch)
        self.stream = AheadDemonstrations(stream, self.steps)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.banks = controller_banks(config, world, base.model.d_model)
        for bank in self.banks.values():
            bank.to(base.device)
        parameters = [p for bank in self.banks.values() for p in bank.parameters()]
        self.optimizer = torch.optim.AdamW(
            parameters, config.lr, weight_decay=config.weight_decay, fused=True
        )

    def step(self, i: int) -> dict[str, float]:
        """One optimisation step of every bank, one after the other on the same batch."""
        own = own_rows(self.config.batch)
        batch = Batch.of(self.stream[i], device=self.base.device, own=own)
        streams = batch.residuals(self.base, self.config.layers)
        figures = {}
        for layer in self.banks:
            loss = self._nll(batch, streams[layer], layer, self.config.targets)
            loss.backward()
            figures[f"nll_layer{layer}"] = float(loss.detach())
        take_step(self.optimizer, [self.config.lr], decay(self.config.schedule, i / self.steps))
        return totals(figures)

    @torch.no_grad()
    def measure(self, rows: int) -> dict[str, float]:
        """Mean action NLL on at least ``rows`` fresh demonstrations [nats].

        Returns:
            ``nll_without``, the base's own, and ``nll_layer{l}`` under each layer's bank.
        """
        fresh = Demonstrations(self.world, self.seed, "controllers-check", self.config.batch)
        sums, tokens, layers = torch.zeros(1 + len(self.banks)), 0, tuple(self.banks)
        for i in range(math.ceil(rows / self.config.batch)):
            batch = Batch.of(fresh[i], device=self.base.device)
            streams = batch.residuals(self.base, layers)
            losses = [batch.nll(self.base, streams[layers[-1]], layers[-1])]
            losses += [self._nll(batch, streams[layer], layer) for layer in layers]
            sums += torch.stack(losses).cpu() * len(batch.valid)
            tokens += len(batch.valid)
        names = ("nll_without", *(f"nll_layer{layer}" for layer in layers))
        return dict(zip(names, (sums / tokens).tolist(), strict=True))

    def weights(self) -> dict[str, Tensor]:
        """Weights of all banks; see :func:`irl_lens.models.controllers.bank_weights`."""
        return bank_weights(self.banks)

    def state(self) -> dict[str, Tensor]:
        """Weights and optimiser."""
        return join_parts(banks=self.weights(), optimizer=pack_optimizer(self.optimizer))

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores what :meth:`state` returned."""
        parts = split_parts(tensors, "banks", "optimizer")
        copy_weights(self.weights(), parts["banks"], "the checkpoint")
        unpack_optimizer(self.optimizer, parts["optimizer"])

    def _nll(
        self,
        batch: Batch,
        stream: Float[Tensor, "rows steps d_model"],
        layer: int,
        targets: Targets = "actions",
    ) -> Float[Tensor, ""]:
        controlled = self.banks[layer].labelled(self._labels(batch))(stream)
        return batch.nll(self.base, controlled, layer, targets)

    def _labels(self, batch: Batch) -> Int[Tensor, "rows steps"]:
        labels = {"subgoal": "subgoals", "visit": "visits"}[self.config.label]
        return self.base.tensor(batch.trajectories.require(labels))


@trains("controllers")
def train_controllers(run: Run, progress: Progress) -> None:
    """The stage ``controllers``: trains the banks of a run.

    Result: see :meth:`ControllersJob.measure`.

    Raises:
        CheckpointError: If the base is not trained yet.
    """
    stage = run.stage("controllers")
    base = FastPath(load_pretrained(run), run.preset.pretrain.precision)
    job = ControllersJob(run.preset.controllers, run.world, base, run.seed)
    train(stage, job, progress)
    finish(stage, job.weights(), job.measure(run.preset.evaluation.trajectories))
