"""The base autoregressive model: a HookedTransformer over observations alone.

    L = - sum_t ln p(a_t | o_1..t) - lambda * sum_t ln p(o_{t+1} | o_1..t)

One token a time step; no action, task or reward goes in (arXiv 2512.20605, App. A.1, B).
The transformer *is* a TransformerLens ``HookedTransformer``: its embedding reads
observations, its unembedding is the action head, so ``run_with_cache``, logit lens and
direct logit attribution mean what they mean for a language model.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from transformer_lens import HookedTransformer, HookedTransformerConfig

from irl_lens.checkpoint import copy_weights
from irl_lens.config import BaseConfig
from irl_lens.envs.protocol import ObservationSpec
from irl_lens.hooks import model_hash


class ObservationEmbedding(nn.Module):
    """Sums one vector for each active entry of an observation.

    Args:
        spec: Columns of the observation.
        d_model: Width of the residual stream.
    """

    def __init__(self, spec: ObservationSpec, d_model: int) -> None:
        super().__init__()
        # Columns add up: this keeps the sum at unit variance.
        self.W_E = nn.Parameter(torch.randn(spec.size, d_model) / spec.columns**0.5)

    def forward(
        self, observation: Int[Tensor, "*batch columns"] | Float[Tensor, "*batch size"]
    ) -> Float[Tensor, "*batch d_model"]:
        """Embeds sparse (integer) or dense (float) observations; both give the same."""
        if observation.is_floating_point():
            return observation @ self.W_E
        flat = observation.reshape(-1, observation.shape[-1])
        return F.embedding_bag(flat, self.W_E, mode="sum").unflatten(0, observation.shape[:-1])


class TrajectoryModel(nn.Module):
    """The base model: observations in, action logits and a next-observation head out.

    Args:
        config: Sizes.
        spec: What is observed.
        n_actions: Number of primitive actions.
    """

    def __init__(self, config: BaseConfig, spec: ObservationSpec, n_actions: int) -> None:
        super().__init__()
        self.config, self.spec, self.n_actions = config, spec, n_actions
        self.hooked = HookedTransformer(
            HookedTransformerConfig(
                n_layers=config.n_layers,
                d_model=config.d_model,
                n_heads=config.n_heads,
                d_head=config.d_model // config.n_heads,
                d_mlp=config.d_mlp,
                act_fn=config.act_fn,
                # ALiBi has no table to run out of; this only sizes the causal mask.
                n_ctx=1024,
                d_vocab=spec.size,
                d_vocab_out=n_actions,
                normalization_type="LN",
                positional_embedding_type=config.positions,
                device="cpu",
            )
        )
        self.hooked.embed = ObservationEmbedding(spec, config.d_model)  # type: ignore[assignment]
        # ALiBi has no position table, and TransformerLens makes one all the same.
        del self.hooked.pos_embed
        self.hooked.setup()
        predicted = sum(spec.sizes[c] for c in spec.predicted)
        self.next_observation = nn.Linear(config.d_model, predicted)

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.config.d_model

    @property
    def n_layers(self) -> int:
        """Number of blocks."""
        return self.config.n_layers

    def forward(
        self, observation: Int[Tensor, "batch pos columns"] | Float[Tensor, "batch pos size"]
    ) -> Float[Tensor, "batch pos actions"]:
        """Returns action logits through TransformerLens' own forward."""
        return self.hooked(observation, return_type="logits")

    def frozen(self) -> TrajectoryModel:
        """Turns gradients of all parameters off and returns the model."""
        return self.requires_grad_(False).eval()

    def weights(self) -> dict[str, Tensor]:
        """Returns the parameters by name (the causal masks of TransformerLens left out)."""
        return {name: p.detach() for name, p in self.named_parameters()}

    def load_weights(
        self, weights: dict[str, Tensor], source: str = "the checkpoint"
    ) -> TrajectoryModel:
        """Copies ``weights`` in.

        Args:
            weights: One of each parameter's name.
            source: Where they are from, for messages.

        Raises:
            CheckpointError: A name is missing or unknown, a shape or a type differs; names the
                first.
        """
        copy_weights(dict(self.named_parameters()), weights, source)
        return self

    def hash(self) -> str:
        """Returns the SHA-256 of names, shapes and weights: the model's identity."""
        return model_hash(self)


def hook_name(layer: int) -> str:
    """Names the residual stream at the output of block ``layer``, counted from 1."""
    if layer < 1:
        raise ValueError(f"layer {layer}; blocks are counted from 1")
    return f"blocks.{layer - 1}.hook_resid_post"
