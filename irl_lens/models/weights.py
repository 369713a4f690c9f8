"""A base's block weights as the fast path multiplies by them: fused, transposed, in its type.

    y = x W^T + b,    W = [W_Q; W_K; W_V] of all heads, stacked

Nothing is kept from one pass to the next: a weight can be changed in ways that leave no trace
but its values (through ``.data``, by a fused optimizer), and to compare these with a kept copy
would read more memory than to fuse them anew. A roll-out, many short passes that nothing should
train in between, holds them (:meth:`FusedWeights.held`), and fails if they did change.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from irl_lens.errors import UserError
from irl_lens.models.base import TrajectoryModel


class BlockWeights(NamedTuple):
    """One block's weights as ``F.linear`` wants them, ``[out, in]``."""

    qkv: Tensor
    qkv_bias: Tensor
    out: Tensor
    out_bias: Tensor
    mlp_in: Tensor
    mlp_in_bias: Tensor
    mlp_out: Tensor
    mlp_out_bias: Tensor


class FusedWeights:
    """The weights of all blocks, made of the model's own at each call.

    Args:
        model: Whose weights.
        dtype: Type of the products.
    """

    def __init__(self, model: TrajectoryModel, dtype: torch.dtype) -> None:
        self.dtype, self._model = dtype, model
        self._leaves: list[BlockWeights] | None = None
        self._held: list[BlockWeights] | None = None

    def __getitem__(self, layer: int) -> BlockWeights:
        """Returns the weights of a block; with a graph to the model's where those are trained."""
        if self._leaves is not None:
            return self._leaves[layer]
        if self._held is not None and not torch.is_grad_enabled():
            return self._held[layer]
        return self._fuse(layer)

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """The model's own weights that these are made of."""
        blocks = self._model.hooked.blocks
        return [p for block in blocks for p in (*block.attn.parameters(), *block.mlp.parameters())]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Fuses once for any number of passes without gradients, which leave the weights alone.

        Raises:
            UserError: On leaving: a weight was changed meanwhile, so that passes were mixed.
        """
        before, self._held = self._held, self._fuse_all()
        held = self._held
        try:
            yield
        finally:
            self._held = before
        for layer, blocks in enumerate(zip(held, self._fuse_all(), strict=True)):
            for name, then, now in zip(BlockWeights._fields, *blocks, strict=True):
                if not _same_bits(then, now):
                    raise UserError(
                        f"{name} of blocks.{layer} was changed while its weights were held; change "
                        "weights between roll-outs, or decode without holding them"
                    )

    @torch.no_grad()
    def _fuse_all(self) -> list[BlockWeights]:
        return [self._fuse(layer) for layer in range(len(self._model.hooked.blocks))]

    @contextmanager
    def shared(self) -> Iterator[list[Tensor]]:
        """Fuses once for any number of passes, and sends what they leave back once.

            L(w) = sum_i L_i(f(w))  =>  dL/dw = (df/dw)^T sum_i dL_i/df

        Inside, the passes multiply by leaf tensors f, which this yields: give each the sum of its
        gradients. On leaving, the gradients of the model's own weights are set from those. Passes
        through TransformerLens' own forward do not see f.
        """
        layers = range(len(self._model.hooked.blocks))
        fused = [weight for layer in layers for weight in self._fuse(layer)]
        leaves = [weight.detach().requires_grad_() for weight in fused]
        width = len(BlockWeights._fields)
        blocks = [leaves[i : i + width] for i in range(0, len(leaves), width)]
        self._leaves = [BlockWeights(*block) for block in blocks]
        try:
            yield leaves
        finally:
            self._leaves = None
        gradients = torch.autograd.grad(fused, self.parameters, [leaf.grad for leaf in leaves])
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            set_gradient(parameter, gradient)

    def _fuse(self, layer: int) -> BlockWeights:
        block = self._model.hooked.blocks[layer]
        a, m = block.attn, block.mlp
        qkv = _stacked([a.W_Q, a.W_K, a.W_V])
        qkv_bias = torch.cat([a.b_Q, a.b_K, a.b_V]).flatten()
        fused = (qkv, qkv_bias, a.W_O.flatten(0, 1).T, a.b_O, m.W_in.T, m.b_in, m.W_out.T, m.b_out)
        return BlockWeights(*(weight.to(self.dtype) for weight in fused))  # type: ignore[union-attr]


def set_gradient(weight: Tensor, gradient: Tensor) -> None:
    """Sets a weight's gradient, of its type and lying in memory as it does.

    Fused optimisers go through both in the order of memory. Where that differs, those of torch on
    a processor take the gradient of one entry for another's, without a word.
    """
    weight.grad = torch.empty_like(weight).copy_(gradient)


def _stacked(weights: list[Tensor]) -> Tensor:
    """Stacks ``[heads, in, d_head]`` weights of all heads to ``[out, in]``.

    Heads copied in runs are five times as fast as transposed. Where they are trained they are
    transposed, as their gradients then lie in memory like themselves.
    """
    if torch.is_grad_enabled() and any(weight.requires_grad for weight in weights):
        return torch.cat(weights).transpose(1, 2).flatten(0, 1)
    return torch.cat([weight.transpose(0, 1) for weight in weights], dim=1).flatten(1).T


def _same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether two weights are one memory, or of equal content; numpy's is the fast comparison."""
    bits = torch.int16 if a.dtype == torch.bfloat16 else torch.int32
    then, now = (x.detach().view(bits).cpu().numpy() for x in (a, b))
    return a.data_ptr() == b.data_ptr() or np.array_equal(then, now)
