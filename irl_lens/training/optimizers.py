"""Optimisers: AdamW everywhere, or Muon on the block matrices.

Muon replaces a matrix's momentum by the nearest semi-orthogonal matrix (Newton-Schulz);
with its step matched to AdamW's RMS it needs about half the steps here. torch's own takes
2-D parameters, and TransformerLens keeps attention weights per head in 3-D, so it steps
2-D stand-ins that share no memory with the model and are copied in and out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from irl_lens.config.schema import CodesConfig, DiscoveryConfig, PretrainConfig
from irl_lens.config.value_types import Schedule
from irl_lens.files.tensors import (
    copy_weights,
    join_parts,
    pack_optimizer,
    split_parts,
    unpack_optimizer,
)
from irl_lens.hooks import LinearDecoder
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.causal import CausalHalf
from irl_lens.processes import sum_gradients
from irl_lens.training.parallel import in_threads


class PretrainOptimizer:
    """Steps all parameters of a base model.

    Args:
        model: The model.
        config: Learning rate, weight decay, and whether block matrices get Muon.
    """

    def __init__(self, model: nn.Module, config: PretrainConfig) -> None:
        matrices = _block_matrices(model) if config.optimizer == "muon" else {}
        rest = [p for name, p in model.named_parameters() if name not in matrices]
        self._matrices = list(matrices.values())
        self._flat = [nn.Parameter(_flatten(p.detach()).clone()) for p in self._matrices]
        self._adamw = torch.optim.AdamW(
            rest, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay, fused=True
        )
        # One for each matrix: none depends on another, so they step side by side.
        self._muons = {
            f"muon{i}": torch.optim.Muon(
                [flat],
                lr=config.lr,
                weight_decay=config.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
            for i, flat in enumerate(self._flat)
        }

    def step(self, lr: float) -> None:
        """Takes one step at learning rate ``lr`` and clears the gradients."""
        for optimizer in (self._adamw, *self._muons.values()):
            for group in optimizer.param_groups:
                group["lr"] = lr
        self._adamw.step()
        self._adamw.zero_grad()
        muons = zip(self._muons.values(), self._flat, self._matrices, strict=True)
        in_threads([partial(self._step_muon, *each) for each in muons])

    def state(self) -> dict[str, Tensor]:
        """Returns all that the next step depends on."""
        muons = {name: pack_optimizer(muon) for name, muon in self._muons.items()}
        return join_parts(adamw=pack_optimizer(self._adamw), **muons)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores what :meth:`state` returned."""
        parts = split_parts(tensors, "adamw", *self._muons)
        unpack_optimizer(self._adamw, parts["adamw"])
        for name, muon in self._muons.items():
            unpack_optimizer(muon, parts[name])

    @torch.no_grad()
    def _step_muon(self, muon: torch.optim.Muon, flat: Tensor, matrix: nn.Parameter) -> None:
        flat.copy_(_flatten(matrix))
        flat.grad = None if matrix.grad is None else _flatten(matrix.grad)
        matrix.grad = None
        muon.step()
        matrix.copy_(_unflatten(flat, matrix))


class SteeringOptimizer:
    """AdamW for what steers a base: a metacontroller's readers, and its decoder.

    Args:
        meta: The metacontroller.
        config: Rates of readers and decoder, their decay, weight decay.
        base: A base that is trained too; None for a frozen one.
        base_lr: Its rate.
    """

    def __init__(
        self,
        meta: CausalHalf,
        config: DiscoveryConfig | CodesConfig,
        base: TrajectoryModel | None = None,
        base_lr: float = 0.0,
    ) -> None:
        self.meta, self.base, self.config = meta, base, config
        self.rates = [config.lr, config.lr if config.decoder_lr is None else config.decoder_lr]
        decoder = set(meta.decoder.parameters())
        readers = [p for p in meta.parameters() if p not in decoder]
        # Decay would pull a linear decoder back to where nothing is controlled.
        kept = 0.0 if isinstance(meta.decoder, LinearDecoder) else config.weight_decay
        groups = [
            {"params": readers, "weight_decay": config.weight_decay},
            {"params": list(meta.decoder.parameters()), "weight_decay": kept},
        ]
        if base is not None:
            groups.append({"params": list(base.parameters()), "weight_decay": config.weight_decay})
            self.rates.append(base_lr)
        self.adamw = torch.optim.AdamW(groups, fused=True)

    def step(self, loss: Tensor, fraction: float) -> None:
        """Takes a step down the gradient of a loss, ``fraction`` of all steps being done.

        The loss is summed over all processes that train together.
        """
        loss.backward()
        take_step(self.adamw, self.rates, decay(self.config.schedule, fraction))

    def state(self) -> dict[str, Tensor]:
        """Returns the weights that are trained and all else that the next step depends on."""
        base = {} if self.base is None else self.base.weights()
        optimizer = pack_optimizer(self.adamw)
        return join_parts(meta=self.meta.state_dict(), base=base, optimizer=optimizer)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores what :meth:`state` returned, weights too."""
        parts = split_parts(tensors, "meta", "base", "optimizer")
        copy_weights(self.meta.state_dict(), parts["meta"], "the checkpoint")
        if self.base is not None:
            self.base.load_weights(parts["base"])
        unpack_optimizer(self.adamw, parts["optimizer"])


def take_step(optimizer: torch.optim.Optimizer, rates: Sequence[float], factor: float) -> None:
    """Takes a step down the gradients that are set, summed over all processes, and clears them.

    Args:
        optimizer: What takes it.
        rates: Learning rate of each of its groups of parameters.
        factor: What they are all multiplied by at this step, see :func:`decay`.
    """
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * factor
    sum_gradients(p for group in optimizer.param_groups for p in group["params"])
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def learning_rate(config: PretrainConfig, step: int) -> float:
    """Learning rate of a step: linear warm-up, then constant or cosine to zero."""
    warm = min(1.0, (step + 1) / (config.warmup + 1))
    return config.lr * warm * decay(config.schedule, step / config.steps)


def decay(schedule: Schedule, fraction: float) -> float:
    """Factor of the learning rate when ``fraction`` of the steps are done."""
    return 1.0 if schedule == "constant" else 0.5 * (1 + math.cos(math.pi * fraction))


def _block_matrices(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in model.named_parameters() if ".blocks." in name and ".W_" in name}


def _flatten(weight: Tensor) -> Tensor:
    """Joins the heads: W_Q, W_K, W_V ``[h, d, k] -> [d, h k]``; W_O ``[h, k, d] -> [h k, d]``."""
    if weight.ndim == 2:
        return weight.contiguous()
    heads, a, b = weight.shape
    if a >= b:  # d_model x d_head: an input matrix
        return weight.transpose(0, 1).reshape(a, heads * b)
    return weight.reshape(heads * a, b)


def _unflatten(flat: Tensor, like: Tensor) -> Tensor:
    if like.ndim == 2:
        return flat
    heads, a, b = like.shape
    if a >= b:
        return flat.view(a, heads, b).transpose(0, 1)
    return flat.view(heads, a, b)
