"""The fast path: the HookedTransformer's own weights through fused attention.

Same numbers as TransformerLens' forward (1e-5 in float32), in less time: one QKV product,
``scaled_dot_product_attention``, a preallocated KV cache. Embedding, unembedding and the hook
points of the residual stream are the model's own modules, called as such, so anything attached
to them works. When any other module is hooked, replaced or patched, or the weights are no
float32, TransformerLens' forward is used instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from irl_lens.arrays import NDArray
from irl_lens.errors import UserError
from irl_lens.hooks.core.decoding import announced
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.bypassed import (
    Bypassed,
    refuse_other_models,
    settings_of,
    within_blocks,
    within_last_norm,
)
from irl_lens.models.cache import KVCache
from irl_lens.models.heads.action_head import ActionHead
from irl_lens.models.sharing import sharing
from irl_lens.models.weights import BlockWeights, FusedWeights

HookList = Sequence[tuple[str, Callable]]
Precision = Literal["float32", "bfloat16", "auto"]


def matmul_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """Resolves ``auto``: bfloat16 products where the device has them, else float32."""
    if precision == "auto":
        return torch.bfloat16 if _multiplies_bfloat16(device) else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


class FastPath:
    """Runs a :class:`TrajectoryModel` fast, from any layer to any layer.

    Args:
        model: The model; its weights are read at each call, never copied for good.
        precision: Type of the large products; everything else stays float32. ``auto`` goes by
            the device that the weights are on.

    Raises:
        UserError: On a call: the model as a whole is hooked, or its TransformerLens settings
            were changed to what the fast path does not compute.
    """

    def __init__(self, model: TrajectoryModel, precision: Precision = "float32") -> None:
        self.model = model
        self.precision: Precision = precision
        self.weights = FusedWeights(model, matmul_dtype(precision, self.device))
        self._bias: Tensor | None = None
        self._settings = settings_of(model)
        self._inner = Bypassed(model, within_blocks)
        self._last = Bypassed(model, within_last_norm)

    def twin(self) -> FastPath:
        """Returns another on the same weights, with hook points of its own, for another thread."""
        return FastPath(sharing(self.model), self.precision)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the large products."""
        return self.weights.dtype

    @property
    def action_head(self) -> ActionHead:
        """What the logits mean."""
        return self.model.action_head

    @property
    def device(self) -> torch.device:
        """Where the weights are, and what runs through them has to be."""
        return self.model.hooked.unembed.W_U.device

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """Returns an array as a tensor beside the weights."""
        return torch.from_numpy(array).to(self.device)

    def held(self) -> AbstractContextManager[None]:
        """Fuses the weights once for the passes inside, see :meth:`FusedWeights.held`."""
        return self.weights.held()

    def cache(self, rows: int, steps: int) -> KVCache:
        """Returns an empty cache for ``rows`` sequences of at most ``steps`` steps."""
        cfg = self.model.hooked.cfg
        return KVCache(cfg.n_layers, rows, cfg.n_heads, steps, cfg.d_head, self.device)

    def residual(
        self,
        observation: Tensor | None = None,
        stop: int | None = None,
        fwd_hooks: HookList = (),
        *,
        resid: Float[Tensor, "rows pos d_model"] | None = None,
        start: int = 0,
    ) -> Float[Tensor, "rows pos d_model"]:
        """Returns the residual stream at the output of layer ``stop``.

        Args:
            observation: Sparse ``[rows, pos, columns]`` or dense ``[rows, pos, size]``; or else
            resid: the residual stream at the output of layer ``start``, after its hooks.
            stop: 0 for the embedding, None for the last layer.
            fwd_hooks: Hooks, as in ``run_with_hooks``.
            start: Layer of ``resid``.
        """
        with self._hooked(fwd_hooks), announced(None):
            return self._stream(observation, resid, start, stop, None)

    def logits(
        self,
        observation: Tensor | None = None,
        *,
        resid: Float[Tensor, "rows pos d_model"] | None = None,
        start: int = 0,
        fwd_hooks: HookList = (),
        cache: KVCache | None = None,
    ) -> Float[Tensor, "rows pos actions"]:
        """Returns action logits.

        Args:
            observation: Sparse or dense observations; or else
            resid: the residual stream at the output of layer ``start``, before the hooks
                of that hook point, which are applied to it.
            start: Layer of ``resid``.
            fwd_hooks: Hooks, as in ``run_with_hooks``.
            cache: Steps seen before; the new ones are appended. Interventions are told how
                many there are. Hooks within blocks are then those on the residual stream only.
        """
        past = None if cache is None else cache.length
        with self._hooked(fwd_hooks), announced(past, cache):  # to the unembedding's hooks too
            return self.model.hooked.unembed(
                self.final(observation, resid=resid, start=start, cache=cache)
            )

    def final(
        self,
        observation: Tensor | None = None,
        *,
        resid: Float[Tensor, "rows pos d_model"] | None = None,
        start: int = 0,
        fwd_hooks: HookList = (),
        cache: KVCache | None = None,
    ) -> Float[Tensor, "rows pos d_model"]:
        """Returns the normalised last residual stream, which the heads read; see logits."""
        with self._hooked(fwd_hooks), announced(None if cache is None else cache.length, cache):
            if (observation is None) == (resid is None):
                raise ValueError("give either observations or a residual stream, not both or none")
            if resid is not None and start > 0:
                resid = self.model.hooked.blocks[start - 1].hook_resid_post(resid)
            stream = self._stream(observation, resid, start, None, cache)
            if cache is not None:
                cache.length += stream.shape[1]
            return self._normalised(stream)

    def _stream(
        self,
        observation: Tensor | None,
        resid: Tensor | None,
        start: int,
        stop: int | None,
        cache: KVCache | None,
    ) -> Tensor:
        """Runs blocks ``start`` to ``stop``, by TransformerLens where other hooks ask for it."""
        hooked, stop = self.model.hooked, self.model.n_layers if stop is None else stop
        reason = self._needs_transformer_lens()
        if reason is None:
            entry = resid if observation is None else hooked.embed(observation)
            return self._blocks(entry, start, stop, cache)  # type: ignore[arg-type]
        if cache is not None:
            raise UserError(
                "cached decoding takes hooks on the residual stream only, modules as they were "
                f"made and float32 weights, but {reason}; undo that or run the whole sequence"
            )
        if observation is not None:
            return hooked(observation, stop_at_layer=stop)
        return hooked(resid, start_at_layer=start, stop_at_layer=stop)

    def _hooked(self, fwd_hooks: HookList):
        return self.model.hooked.hooks(fwd_hooks=list(fwd_hooks)) if fwd_hooks else nullcontext()

    def _needs_transformer_lens(self) -> str | None:
        """Why the fast path cannot give what TransformerLens' forward gives; None if it can."""
        refuse_other_models(self.model, self._settings)
        if (dtype := self.model.hooked.unembed.W_U.dtype) != torch.float32:
            return f"the weights are {dtype}"
        altered = self._inner.altered()
        return altered and f"{altered} is hooked or not as it was made"

    def _normalised(self, stream: Tensor) -> Tensor:
        ln = self.model.hooked.ln_final
        as_made = stream.dtype == torch.float32 and self._last.altered() is None
        return _norm(ln, stream) if as_made else ln(stream)

    def _blocks(self, resid: Tensor, start: int, stop: int, cache: KVCache | None) -> Tensor:
        past = 0 if cache is None else cache.length
        bias = self._alibi(past, past + resid.shape[1], resid.device)
        for layer in range(start, stop):
            resid = self._block(layer, resid, bias, cache)
        return resid

    def _block(self, layer: int, resid: Tensor, bias: Tensor, cache: KVCache | None) -> Tensor:
        block, w = self.model.hooked.blocks[layer], self.weights[layer]
        resid = block.hook_resid_pre(resid)
        attention = self._attention(layer, _norm(block.ln1, resid).to(self.dtype), w, bias, cache)
        resid = block.hook_resid_mid(resid + attention)
        hidden = F.linear(_norm(block.ln2, resid).to(self.dtype), w.mlp_in, w.mlp_in_bias)
        mlp = F.linear(block.mlp.act_fn(hidden), w.mlp_out, w.mlp_out_bias)
        return block.hook_resid_post(resid + mlp)

    def _attention(
        self, layer: int, x: Tensor, w: BlockWeights, bias: Tensor, cache: KVCache | None
    ) -> Tensor:
        rows, pos, _ = x.shape
        heads = self.model.hooked.cfg.n_heads
        scale = 1 / float(self.model.hooked.blocks[layer].attn.attn_scale)
        # Attention itself is faster in float32 than in bfloat16 on processors.
        qkv = F.linear(x, w.qkv, w.qkv_bias).float().view(rows, pos, 3, heads, -1)
        if cache is None:
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale)
            mixed = mixed.transpose(1, 2)
        else:
            q, k, v = qkv.permute(2, 1, 0, 3, 4)
            k, v = cache.extend(layer, k, v)
            mixed = _decode(q, k, v, bias, scale)
        return F.linear(mixed.reshape(rows, pos, -1).to(x.dtype), w.out, w.out_bias)

    def _alibi(
        self, past: int, total: int, device: torch.device
    ) -> Float[Tensor, "1 heads pos total"]:
        """ALiBi with the causal mask, rows ``past`` to ``total``."""
        bias = self._bias
        if bias is None or bias.shape[-1] < total or bias.device != device:
            size, heads = max(total, 128), self.model.hooked.cfg.n_heads
            attn = self.model.hooked.blocks[0].attn
            with torch.inference_mode(False):  # it outlives this call, and may meet autograd
                slopes = attn.create_alibi_multipliers(heads, device)
                step = torch.arange(size, device=device)
                distance = (step[None, :] - step[:, None]).float()
                bias = slopes.view(-1, 1, 1) * distance
                self._bias = bias = bias.masked_fill(distance > 0, -torch.inf)[None]
        return bias[:, :, past:total, :total]


def _norm(ln: torch.nn.Module, x: Tensor) -> Tensor:
    return F.layer_norm(x, (x.shape[-1],), ln.w, ln.b, ln.eps)  # type: ignore[arg-type]


def _decode(
    q: Float[Tensor, "pos rows heads d_head"],
    k: Float[Tensor, "total rows heads d_head"],
    v: Float[Tensor, "total rows heads d_head"],
    bias: Float[Tensor, "1 heads pos total"],
    scale: float,
) -> Float[Tensor, "rows pos heads d_head"]:
    """Attention of a few new steps to many, time-major.

    With one query a row, batched products that read the cache where it lies are several times
    faster on a processor than ``scaled_dot_product_attention``, which is made for many.
    """
    total, rows, heads, width = k.shape
    q, k, v = (x.flatten(1, 2).transpose(0, 1) for x in (q, k, v))
    scores = torch.bmm(q, k.mT).view(rows, heads, -1, total) * scale + bias
    mixed = torch.bmm(scores.softmax(dim=-1).flatten(0, 1), v)
    return mixed.view(rows, heads, -1, width).transpose(1, 2)
