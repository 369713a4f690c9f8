"""The base's HookedTransformer, which reads observations and chooses among actions.

TransformerLens is made for tokens. What it would get wrong for observations without a word is
put right here, or refused by name.
"""

from __future__ import annotations

import sys
from typing import Any

from jaxtyping import Float
from torch import Tensor
from transformer_lens import HookedTransformer, HookedTransformerConfig, patching
from transformer_lens.components.layer_norm import LayerNorm

from irl_lens.config.schema import BaseConfig
from irl_lens.envs.protocol import MAX_HORIZON
from irl_lens.envs.spaces import ObservationSpec
from irl_lens.errors import UserError
from irl_lens.models.observations import ObservationEmbedding


def transformer_config(
    config: BaseConfig, spec: ObservationSpec, outputs: int
) -> HookedTransformerConfig:
    """Returns TransformerLens' settings for a base of these sizes."""
    return HookedTransformerConfig(
        n_layers=config.n_layers,
        d_model=config.d_model,
        n_heads=config.n_heads,
        d_head=config.d_model // config.n_heads,
        d_mlp=config.d_mlp,
        act_fn=config.act_fn,
        # ALiBi has no table to run out of; this only sizes the causal mask.
        n_ctx=MAX_HORIZON,
        d_vocab=spec.size,
        d_vocab_out=outputs,
        normalization_type="LN",
        positional_embedding_type="alibi",
        device="cpu",
    )


class ObservationTransformer(HookedTransformer):
    """A HookedTransformer over observations ``[batch, pos, columns]``, its logits read as actions.

    Args:
        config: Sizes.
        spec: What is observed.
        outputs: Number of outputs that its action head reads.
    """

    ln_final: LayerNorm

    def __init__(self, config: BaseConfig, spec: ObservationSpec, outputs: int) -> None:
        super().__init__(transformer_config(config, spec, outputs))
        self.embed = ObservationEmbedding(spec, config.d_model)  # type: ignore[assignment]
        # ALiBi has no position table, and TransformerLens makes one all the same.
        del self.pos_embed
        self.setup()

    def tokens_to_residual_directions(self, tokens: Any) -> Float[Tensor, "*tokens d_model"]:
        """The directions of the normalised stream that actions' logits are read along.

            w_a = gain * W_U[:, a],    x_a = sum_i w_a . (r_i - mean(r_i)) / s + constant_a

        The final norm's gain is in them, so ``cache.logit_attrs`` attributes this model's own
        logits, but for the constant, ``bias @ W_U + b_U``; TransformerLens leaves the gain out.
        """
        return super().tokens_to_residual_directions(tokens) * self.ln_final.w

    def run_with_hooks(self, *model_args: Any, **options: Any) -> Any:
        """Runs with temporary hooks; see TransformerLens.

        Raises:
            UserError: A helper of ``transformer_lens.patching`` counts columns as positions.
        """
        _refuse_columns_as_positions()
        return super().run_with_hooks(*model_args, **options)

    def _apply(self, fn: Any, recurse: bool = True) -> ObservationTransformer:
        """Moves or casts, and tells TransformerLens, which reads both from its configuration."""
        super()._apply(fn, recurse)
        weight = self.unembed.W_U
        self.cfg.dtype, self.cfg.device = weight.dtype, str(weight.device)
        for block in self.blocks:
            block.attn.alibi = None  # kept on the device it was made on
        return self


def _refuse_columns_as_positions() -> None:
    """Stops the helpers of ``transformer_lens.patching`` that would go along the wrong axis.

    They take the last axis of their input for positions. Only the helper's own frame tells
    whether it goes along positions or was given a table of what to patch.
    """
    frame = sys._getframe()
    while frame.f_code is not patching.generic_activation_patch.__code__:
        if (caller := frame.f_back) is None:
            return
        frame = caller
    axes = frame.f_locals["index_axis_names"] or ()
    if any(axis.endswith("pos") for axis in axes):
        *_, steps, columns = frame.f_locals["corrupted_tokens"].shape
        raise UserError(
            f"transformer_lens.patching takes the last axis for positions, and would patch "
            f"{columns}, the columns of an observation, in place of {steps} steps; give it "
            "index_axis_names=None and index_df, a table of what to patch with one column for "
            f"each of {', '.join(axes)}; or use the patches of irl_lens.hooks"
        )
