"""The base once more in plain PyTorch, written for speed: fused products and attention.

    x <- x + W_O attention(W_QKV norm(x)),    x <- x + W_2 act(W_1 norm(x)),    logits = W_U norm(x)

It has no hook points, no cache and no other precision: what those of the fast path cost.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath


class PlainBlock(nn.Module):
    """A pre-norm block of causal attention with ALiBi, and an MLP, with a block's own weights."""

    def __init__(self, fast: FastPath, layer: int) -> None:
        super().__init__()
        block = fast.model.hooked.blocks[layer]
        weights = {n: w.detach().clone() for n, w in fast.weights[layer]._asdict().items()}
        self.weights = nn.ParameterDict(weights)
        self.norms = nn.ModuleList(_norm(each) for each in (block.ln1, block.ln2))
        self.heads, self.act = fast.model.hooked.cfg.n_heads, block.mlp.act_fn
        self.scale = 1 / float(block.attn.attn_scale)

    def forward(
        self, x: Float[Tensor, "rows pos d_model"], bias: Float[Tensor, "1 heads pos pos"]
    ) -> Float[Tensor, "rows pos d_model"]:
        """Runs the block."""
        w, (rows, pos, _) = self.weights, x.shape
        qkv = F.linear(self.norms[0](x), w["qkv"], w["qkv_bias"]).view(rows, pos, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        bias = bias.to(q.dtype)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=self.scale)
        x = x + F.linear(mixed.transpose(1, 2).flatten(2), w["out"], w["out_bias"])
        hidden = self.act(F.linear(self.norms[1](x), w["mlp_in"], w["mlp_in_bias"]))
        return x + F.linear(hidden, w["mlp_out"], w["mlp_out_bias"])


class PlainModel(nn.Module):
    """The whole of it, with copies of a model's weights; its embedding is the model's own.

    Args:
        model: Whose weights.
    """

    def __init__(self, model: TrajectoryModel) -> None:
        super().__init__()
        self.fast, hooked = FastPath(model), model.hooked
        self.embed = hooked.embed
        self.blocks = nn.ModuleList(PlainBlock(self.fast, i) for i in range(model.n_layers))
        self.norm = _norm(hooked.ln_final)
        self.head = nn.Linear(model.d_model, hooked.cfg.d_vocab_out)
        with torch.no_grad():
            self.head.weight.copy_(hooked.unembed.W_U.T)
            self.head.bias.copy_(hooked.unembed.b_U)
        self.to(self.fast.device)

    def forward(
        self, observations: Shaped[Tensor, "rows pos columns"]
    ) -> Float[Tensor, "rows pos actions"]:
        """Returns action logits."""
        x = self.embed(observations)
        bias = self.fast._alibi(0, x.shape[1], x.device)
        for block in self.blocks:
            x = block(x, bias)
        return self.head(self.norm(x))


def _norm(ln: Any) -> nn.LayerNorm:
    norm = nn.LayerNorm(ln.w.shape, float(ln.eps))
    norm.load_state_dict({"weight": ln.w.detach(), "bias": ln.b.detach()})
    return norm
