"""CompILE's decoder: a policy without memory, given an observation and a code.

    x_t = W_o o_t,    pi(a_t | o_t, z) = head(f(x_t + V z)),    f = MLP of ReLU, ReLU first

(Kipf et al. 2019, arXiv 1812.01483: p(a_t | s_t, z_i); the form of the network is ours.) The code
enters at a hook point of TransformerLens, so that what acts on a base by codes acts here as well,
with V z in place of U(z) e.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from transformer_lens.hook_points import HookPoint

from irl_lens.arrays import NDArray
from irl_lens.config.compile import CompileConfig
from irl_lens.envs.protocol import Observed
from irl_lens.envs.spaces import ActionSpec, ObservationSpec
from irl_lens.hooks import Decoder
from irl_lens.hooks.core.decoding import announced
from irl_lens.models.heads import head_of
from irl_lens.models.heads.action_head import ActionHead
from irl_lens.models.observations import ObservationEmbedding, check_fits
from irl_lens.models.sharing import sharing

STREAM = "hook_stream"
"""Hook point at which the code enters."""


class SubPolicy(nn.Module):
    """pi(a | o, z), with the code added at :data:`STREAM`.

    Args:
        config: Its width.
        spec: What is observed.
        actions: The primitive actions.
    """

    def __init__(self, config: CompileConfig, spec: ObservationSpec, actions: ActionSpec) -> None:
        super().__init__()
        self.spec, self.actions, width = spec, actions, config.width
        self.action_head = head_of(actions, "state")
        self.embed = ObservationEmbedding(spec, width)
        self.hook_stream = HookPoint()
        self.hook_stream.name = STREAM
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, self.action_head.outputs),
        )

    def forward(
        self, observation: Shaped[Tensor, "rows steps columns"]
    ) -> Float[Tensor, "rows steps outputs"]:
        """Returns what the action head reads."""
        return self.layers(self.hook_stream(self.embed(observation)))

    def check_fits(self, world: Observed) -> None:
        """Raises UserError if it was not made for what a world shows and what is done there."""
        check_fits(world, self.spec, self.actions)


class CodeInput(Decoder):
    """Adds V z to the stream, whatever that is.

    Args:
        n_z: Width of the code.
        d_model: Width of the stream.
    """

    def __init__(self, n_z: int, d_model: int) -> None:
        super().__init__(n_z, d_model)
        self.matrix = nn.Parameter(torch.randn(d_model, n_z) / n_z**0.5)

    def delta(
        self, z: Float[Tensor, "*batch n_z"], e: Float[Tensor, "*batch d_model"]
    ) -> Float[Tensor, "*batch d_model"]:
        """Returns V z; ValueError for codes of another width."""
        return nn.functional.linear(self.checked(z), self.matrix).expand_as(e)


class StepCount:
    """The cache of a model without memory: how many steps there have been."""

    length = 0

    def keep(self, index: Int[Tensor, " rows"]) -> None:
        """Keeps some rows: nothing is kept of any."""


class SubPolicyPath:
    """A sub-policy as roll-outs play it, in place of :class:`irl_lens.models.fast.FastPath`."""

    def __init__(self, model: SubPolicy) -> None:
        self.model = model

    def twin(self) -> SubPolicyPath:
        """Returns another on the same weights, with a hook point of its own."""
        return SubPolicyPath(sharing(self.model))

    @property
    def action_head(self) -> ActionHead:
        """What the outputs mean."""
        return self.model.action_head

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.embed.W_E.device

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """Returns an array as a tensor beside the weights."""
        return torch.from_numpy(array).to(self.device)

    def cache(self, rows: int, steps: int) -> StepCount:
        """Returns what a roll-out carries along: the number of its step."""
        return StepCount()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Does nothing: weights are not converted."""
        yield

    def logits(
        self, observation: Shaped[Tensor, "rows steps columns"], *, cache: StepCount
    ) -> Float[Tensor, "rows steps outputs"]:
        """Returns what the action head reads at the next steps of a roll-out."""
        model = self.model
        with announced(cache.length, cache):
            cache.length += observation.shape[1]
            return model.layers(model.hook_stream(model.embed(observation)))
