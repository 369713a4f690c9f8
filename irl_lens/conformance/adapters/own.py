"""This package's own implementation, as the conformance oracles see it.

Everything is the code that trains and acts: the metacontroller's forward, the loss of
discovery, the actor of internal RL on the fast path and in TransformerLens' own forward.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from irl_lens import __version__
from irl_lens.config.presets import preset
from irl_lens.conformance import Adapter, Discovery, Rollout
from irl_lens.envs.registry import make_world
from irl_lens.hooks import CodeController
from irl_lens.models.acting import GatedActor
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath
from irl_lens.models.metacontroller import Metacontroller
from irl_lens.training.batches import Batch
from irl_lens.training.discovery import evaluate


class OwnAdapter(Adapter):
    """An untrained metacontroller on an untrained frozen base, of the preset ``smoke``.

    Its zero code is the identity, which is claimed of fresh weights only: the decoder's biases
    start at zero, and train.

    Args:
        seed: Seed of the weights.

    Examples:
        >>> from irl_lens.conformance import check
        >>> {outcome.verdict for outcome in check(OwnAdapter())}
        {'pass'}
    """

    def __init__(self, seed: int = 0) -> None:
        self.name = f"irl-lens {__version__}"
        chosen = preset("smoke")
        self.world = make_world(chosen.world)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = TrajectoryModel(chosen.base, self.world.observation, self.world.actions)
            self.meta = Metacontroller(chosen.discovery, model.d_model)
        self.base = FastPath(model.frozen())
        self.d_model, self.n_z = model.d_model, chosen.discovery.latent

    def discover(self, stream: Tensor, lengths: Tensor, noise: Tensor, shift: float) -> Discovery:
        """The metacontroller's forward, and control by its decoder."""
        meta = self._shifted(shift)
        mask = torch.arange(stream.shape[1]) < lengths.unsqueeze(1)
        made = meta(stream, mask, noise)
        A, B = meta.decoder(made.codes)
        return Discovery(
            proposals=made.proposals,
            codes=made.codes,
            beta=made.beta,
            mu=made.mu,
            log_sigma=made.log_sigma,
            kl=made.kl()[mask].mean(),
            controlled=stream + meta.decoder.delta(made.codes, stream),
            matrix=B.mT @ A,
        )

    def null(self, stream: Tensor) -> Tensor:
        """The stream under the zero code."""
        codes = torch.zeros(*stream.shape[:2], self.n_z)
        return CodeController(self.meta.decoder, codes, self.meta.hook_name)(stream)

    def rollout(self, proposals: Tensor, cached: bool, shift: float) -> Rollout:
        """The actor of internal RL: on the fast path's cache, or in one plain forward."""
        rows, steps, _ = proposals.shape
        actor = _Scripted(self._shifted(shift), proposals)
        observations = self._observations(rows, steps)
        with actor.attached(self.base.model):
            outputs = self._step_by_step(observations) if cached else self.base.model(observations)
        codes = torch.stack(actor.in_force, dim=1)
        return Rollout(codes, actor.record().switches(rows, steps), outputs)

    def backward(self) -> tuple[nn.Module, nn.Module]:
        """The terms of discovery's loss on demonstrations."""
        batch = Batch.of(self.world.demonstrate(8, seed=0))
        noise = torch.randn(*batch.mask.shape, self.n_z, generator=_generator())
        self.meta.zero_grad()
        terms = evaluate(self.meta, self.base, batch, noise)
        (terms.nll + terms.kl).backward()
        return self.base.model, self.meta

    def _step_by_step(self, observations: Tensor) -> Tensor:
        cache = self.base.cache(*observations.shape[:2])
        steps = observations.split(1, dim=1)
        return torch.cat([self.base.logits(step, cache=cache) for step in steps], dim=1)

    def _observations(self, rows: int, steps: int) -> Tensor:
        size = self.world.observation.size
        return torch.rand(rows, steps, size, generator=_generator()).lt(0.2).float()

    def _shifted(self, shift: float) -> Metacontroller:
        """A copy of the metacontroller whose gate's logit is shifted."""
        meta = deepcopy(self.meta)
        with torch.no_grad():
            meta.switch.out.bias.add_(shift)
        return meta


class _Scripted(GatedActor):
    """Takes up the proposals of a script, and notes which code was in force at each step."""

    def __init__(self, meta: Metacontroller, script: Tensor) -> None:
        super().__init__(meta)
        self.script = script

    def begin(self, rows: int) -> None:
        super().begin(rows)
        self.in_force: list[Tensor] = []

    def decide(self, index: Tensor, residual: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return self.script[index, self._state.steps], residual.new_zeros(len(index))

    def _act(self, residual: Tensor) -> Tensor:
        controlled = super()._act(residual)
        self.in_force.append(self._state.code)
        return controlled


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
