"""The half of a metacontroller that acts: a causal gate, the code in force, and its controller.

    h_t        = GRU(e_t, h_{t-1})                       history
    beta_t     = f_switch(e_t, h_{t-1}, z_{t-1})         beta_1 = 1
    e_t       <- e_t + U(z_t) e_t

(arXiv 2512.20605, App. D and E.) It knows nothing of the future, so a policy can take the
encoder's place and choose z_t where the gate opens. The encoders that find codes are in
:mod:`irl_lens.models.metacontroller` and :mod:`irl_lens.models.segments`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from irl_lens.hooks import Decoder
from irl_lens.models.base import hook_name
from irl_lens.models.recurrence import GRU

ResidualStream = Float[Tensor, "batch steps d_model"]
THRESHOLD = 0.5
"""beta from which the hard gate opens (internal RL, and all counts of switches)."""


@dataclass(frozen=True)
class MetaCodes:
    """What a metacontroller makes of a batch of sequences.

    Attributes:
        mu: Mean of the encoder, [batch, steps, latent].
        log_sigma: Log standard deviation of the encoder, [batch, steps, latent].
        proposals: Samples z~ of the encoder, [batch, steps, latent].
        codes: Integrated codes z, [batch, steps, latent].
        beta: Soft gates in [0, 1], [batch, steps]; 1 at the first step.
    """

    mu: Tensor
    log_sigma: Tensor
    proposals: Tensor
    codes: Tensor
    beta: Tensor

    def kl(self) -> Float[Tensor, "batch steps"]:
        """KL(N(mu, sigma) || N(0, I)) of every step [nats]; never weighted by beta."""
        variance = torch.exp(2 * self.log_sigma)
        return 0.5 * (self.mu**2 + variance - 1 - 2 * self.log_sigma).sum(-1)


@dataclass(frozen=True)
class MetaState:
    """What the causal half carries from step to step of a rollout.

    Attributes:
        history: h_{t-1}, [rows, history].
        code: z_{t-1}, the code in force, [rows, latent].
        steps: Steps taken; at 0 the gate is forced open.
    """

    history: Tensor
    code: Tensor
    steps: int

    def keep(self, index: Int[Tensor, " kept"]) -> MetaState:
        """Keeps the rows ``index`` selects and drops the others."""
        return replace(self, history=self.history[index], code=self.code[index])


class Gated(nn.Module, ABC):
    """What codes act through: a gate that asks for new ones, and a decoder of the one in force.

    Args:
        decoder: Makes changes of the stream of codes.
    """

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    @property
    @abstractmethod
    def hook_name(self) -> str:
        """Hook point that is read and controlled."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the weights are."""

    def observe(self, labels: dict[str, Int[Tensor, " rows"]]) -> None:
        """Told the environment's labels before each step; what is learned does not listen."""

    @abstractmethod
    def start(self, rows: int) -> MetaState:
        """State before the first step."""

    @abstractmethod
    def gate(self, stream: Float[Tensor, "rows d_model"], state: MetaState) -> Tensor:
        """beta_t of every row, [rows], from the stream before control; 1 at the first step."""

    @abstractmethod
    def advance(
        self,
        stream: Float[Tensor, "rows d_model"],
        state: MetaState,
        code: Float[Tensor, "rows latent"],
    ) -> MetaState:
        """State after a step: what the stream was before control, and the code that acted."""


class CausalHalf(Gated):
    """A metacontroller as everything that acts or analyses sees it.

    Args:
        layer: The layer that is read and controlled.
        history: The recurrent memory of the gate.
        decoder: Makes controllers of codes.

    Attributes:
        encoding: Names of the modules that make codes of what is seen and have no other part.
    """

    encoding: ClassVar[tuple[str, ...]]

    def __init__(self, layer: int, history: GRU, decoder: Decoder) -> None:
        super().__init__(decoder)
        self.layer, self.history = layer, history

    @property
    def hook_name(self) -> str:
        """Hook point that is read and controlled."""
        return hook_name(self.layer)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.history.state_bias.device

    @abstractmethod
    def forward(
        self,
        stream: ResidualStream,
        mask: Bool[Tensor, "batch steps"],
        noise: Float[Tensor, "batch steps latent"] | None = None,
    ) -> MetaCodes:
        """Encodes whole sequences.

        Args:
            stream: Residual stream e before control.
            mask: True on steps that happened; each row's come first.
            noise: Standard normal; the proposals are the encoder's means without it.

        Returns:
            Codes and gates; entries on padding mean nothing and must be masked.
        """

    @abstractmethod
    def switching(self, stream: Float[Tensor, "rows d_model"], state: MetaState) -> Tensor:
        """beta_t of every row, [rows], after the first step; ``stream`` is normalised."""

    def start(self, rows: int) -> MetaState:
        """State before the first step: h_0 = 0, z_0 = 0."""
        zeros = self.history.state_bias.new_zeros
        return MetaState(zeros(rows, self.history.size), zeros(rows, self.decoder.n_z), 0)

    def gate(self, stream: Float[Tensor, "rows d_model"], state: MetaState) -> Tensor:
        """beta_t of every row, [rows], from e_t before control; 1 at the first step."""
        if state.steps == 0:
            return stream.new_ones(len(stream))
        return self.switching(normalised(stream), state)

    def advance(
        self,
        stream: Float[Tensor, "rows d_model"],
        state: MetaState,
        code: Float[Tensor, "rows latent"],
    ) -> MetaState:
        """State after step t: e_t enters the history, ``code`` is the z_t that acted."""
        return MetaState(
            self.history.step(normalised(stream), state.history), code, state.steps + 1
        )

    def histories(
        self, e: Float[Tensor, "steps batch d_model"]
    ) -> Float[Tensor, "steps batch history"]:
        """h_{t-1} of every step of normalised, time-major sequences."""
        return states_before(self.history, e)


def states_before(
    history: GRU, e: Float[Tensor, "steps batch d_model"]
) -> Float[Tensor, "steps batch history"]:
    """h_{t-1} of every step of time-major sequences."""
    return F.pad(history(e.unsqueeze(0))[0, :-1], (0, 0, 0, 0, 1, 0))


def normalised(stream: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
    """The stream as all parts but the injection read it: normalised, without parameters."""
    return F.layer_norm(stream, stream.shape[-1:])
