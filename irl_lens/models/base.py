"""The base autoregressive model: a HookedTransformer over observations alone.

    L = - sum_t ln p(a_t | o_1..t) - lambda * sum_t ln p(o_{t+1} | o_1..t)

One token a time step; no action, task or reward goes in (arXiv 2512.20605, App. A.1, B).
The transformer *is* a TransformerLens ``HookedTransformer``: its embedding reads
observations, its unembedding is the action head, so ``run_with_cache`` and hooks mean what
they mean for a language model. Its final norm is trained like the rest; tools that read
``W_U`` and ``b_U`` as if there were none (a logit lens, ``logits = attributions + b_U``) are
right on :meth:`TrajectoryModel.folded`, which gives the same logits.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from irl_lens.config.schema import BaseConfig
from irl_lens.envs.protocol import Observed
from irl_lens.envs.spaces import ActionSpec, ObservationSpec
from irl_lens.files.tensors import copy_weights
from irl_lens.hooks import model_hash
from irl_lens.models.heads import head_of
from irl_lens.models.next_observation import NextObservation
from irl_lens.models.observations import check_fits
from irl_lens.models.transformer import ObservationTransformer


class TrajectoryModel(nn.Module):
    """The base model: observations in, distributions of the action and next observation out.

    Args:
        config: Sizes.
        spec: What is observed.
        actions: The primitive actions.

    Attributes:
        action_head: Reads the outputs of the unembedding as a distribution over actions.
    """

    def __init__(self, config: BaseConfig, spec: ObservationSpec, actions: ActionSpec) -> None:
        super().__init__()
        self.config, self.spec, self.actions = config, spec, actions
        self.action_head = head_of(actions, config.deviation, config.components)
        self.hooked = ObservationTransformer(config, spec, self.action_head.outputs)
        self.next_observation = NextObservation(spec, config.d_model)

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.config.d_model

    @property
    def n_layers(self) -> int:
        """Number of blocks."""
        return self.config.n_layers

    def forward(
        self, observation: Shaped[Tensor, "batch pos columns"] | Float[Tensor, "batch pos size"]
    ) -> Float[Tensor, "batch pos outputs"]:
        """Returns what the action head reads, through TransformerLens' own forward."""
        return self.hooked(observation, return_type="logits")

    def check_fits(self, world: Observed) -> None:
        """Checks that the model was made for the observations and actions of a world.

        Args:
            world: A world, or rows of one to act on.

        Raises:
            UserError: If it was not; names both.
        """
        check_fits(world, self.spec, self.actions)

    def made_for(self) -> dict[str, str]:
        """Says which observations and actions the weights are for; saved beside them."""
        return {"observation": repr(self.spec), "actions": repr(self.actions)}

    def frozen(self) -> TrajectoryModel:
        """Turns gradients of all parameters off and returns the model."""
        return self.requires_grad_(False).eval()

    @torch.no_grad()
    def folded(self) -> TrajectoryModel:
        """Returns a copy with the final norm's gain and bias in the unembedding.

            W_U <- diag(gain) W_U,    b_U <- b_U + bias @ W_U,    gain <- 1,    bias <- 0

        The head for the next observation likewise. Logits are the same, and ``cache.logit_attrs``
        of all that is written to the stream adds up to them, less ``b_U``.
        """
        model = deepcopy(self)
        norm, head, other = model.hooked.ln_final, model.hooked.unembed, model.next_observation
        head.b_U.add_(norm.b @ head.W_U)
        head.W_U.mul_(norm.w[:, None])
        other.bias.add_(other.weight @ norm.b)
        other.weight.mul_(norm.w)
        norm.w.fill_(1)
        norm.b.zero_()
        return model

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
    """Names the residual stream at the output of a layer, counted from 1."""
    if layer < 1:
        raise ValueError(f"layer {layer}; layers are counted from 1, which is blocks.0")
    return f"blocks.{layer - 1}.hook_resid_post"
