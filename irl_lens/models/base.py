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
from transformer_lens import HookedTransformer, HookedTransformerConfig

from irl_lens.config import BaseConfig
from irl_lens.envs.protocol import MAX_HORIZON, ObservationSpec, Observed
from irl_lens.errors import UserError
from irl_lens.hooks import model_hash
from irl_lens.models.observations import ObservationEmbedding


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
                n_ctx=MAX_HORIZON,
                d_vocab=spec.size,
                d_vocab_out=n_actions,
                normalization_type="LN",
                positional_embedding_type="alibi",
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

    def check_fits(self, world: Observed) -> None:
        """Checks that the model was made for the observations and actions of a world.

        Args:
            world: A world, or rows of one to act on.

        Raises:
            UserError: If it was not; names both.
        """
        if (world.observation, world.n_actions) != (self.spec, self.n_actions):
            raise UserError(
                f"the world shows columns {world.observation.described()} and has "
                f"{world.n_actions} actions, and the model was made for columns "
                f"{self.spec.described()} and {self.n_actions} actions; take the world of the "
                "model's own run"
            )

    def frozen(self) -> TrajectoryModel:
        """Turns gradients of all parameters off and returns the model."""
        return self.requires_grad_(False).eval()

    def weights(self) -> dict[str, Tensor]:
        """Returns the parameters by name (the causal masks of TransformerLens left out)."""
        return {name: p.detach() for name, p in self.named_parameters()}

    def load_weights(self, weights: dict[str, Tensor]) -> TrajectoryModel:
        """Copies ``weights`` in.

        Raises:
            ValueError: A name is missing or unknown, or a shape differs; names the first.
        """
        own = dict(self.named_parameters())
        for name in sorted(own.keys() ^ weights.keys()):
            where = "the checkpoint" if name in own else "this model"
            raise ValueError(f"parameter {name!r} is missing from {where}; is it another preset's?")
        for name, parameter in own.items():
            if parameter.shape != weights[name].shape:
                raise ValueError(
                    f"parameter {name!r} has shape {tuple(weights[name].shape)} in the checkpoint, "
                    f"{tuple(parameter.shape)} in this model; build the model from the "
                    "checkpoint's own configuration"
                )
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(weights[name])
        return self

    def hash(self) -> str:
        """Returns the SHA-256 of names, shapes and weights: the model's identity."""
        return model_hash(self)


def hook_name(layer: int) -> str:
    """Names the residual stream at the output of block ``layer``, counted from 1."""
    if layer < 1:
        raise ValueError(f"layer {layer}; blocks are counted from 1")
    return f"blocks.{layer - 1}.hook_resid_post"
