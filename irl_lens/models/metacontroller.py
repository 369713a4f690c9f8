"""The metacontroller: finds codes z that steer the base, and the moments to change them.

    h_t        = GRU(e_t, h_{t-1})                               history
    s          = f_emb(e_1..T)                                   one vector a sequence, not causal
    mu_t, Sigma_t = f_enc(e_t, h_{t-1}, s),   z~_t ~ N(mu_t, Sigma_t)
    beta_t     = f_switch(e_t, h_{t-1}, z_{t-1})                 causal; beta_1 = 1
    z_t        = beta_t * z~_t + (1 - beta_t) * z_{t-1},   z_0 = 0
    e_t       <- e_t + U(z_t) e_t,            U(z) = f_hyp(z)

(arXiv 2512.20605, App. D, Table A9). Not in the paper, chosen here: every reader of the stream
sees it layer-normalised without parameters (a residual stream grows with depth); f_emb is a
bidirectional GRU whose two final states are projected to ``sequence`` numbers, so that the
future enters through this one vector only; f_enc and f_switch have one hidden ReLU layer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from irl_lens.config import DiscoveryConfig
from irl_lens.hooks import HypernetworkDecoder
from irl_lens.models.base import hook_name
from irl_lens.models.recurrence import GRU
from irl_lens.models.switching import SwitchingUnit

Stream = Float[Tensor, "batch steps d_model"]
THRESHOLD = 0.5
"""beta from which the hard gate opens (internal RL, and all counts of switches)."""


@dataclass(frozen=True)
class MetaCodes:
    """What the metacontroller makes of a batch of sequences.

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


class SequenceEmbedder(nn.Module):
    """f_emb: reads a sequence both ways and keeps the final states, one vector in all."""

    def __init__(self, d_model: int, size: int) -> None:
        super().__init__()
        self.gru = GRU(d_model, size, lanes=2)
        self.out = nn.Linear(2 * size, size)

    def forward(
        self, stream: Float[Tensor, "steps batch d_model"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch size"]:
        """Embeds time-major sequences, each read up to its length only."""
        last, rows = lengths - 1, torch.arange(len(lengths))
        # The second lane reads each row from its own last step, not from the padding.
        backward = (last - torch.arange(len(stream)).unsqueeze(1)).clamp(min=0)
        states = self.gru(torch.stack([stream, stream[backward, rows]]))
        return self.out(states[:, last, rows].transpose(0, 1).flatten(1))


class Encoder(nn.Module):
    """f_enc: mean and log standard deviation of the proposal, from (e_t, h_{t-1}, s)."""

    def __init__(self, d_model: int, config: DiscoveryConfig) -> None:
        super().__init__()
        # One matrix an input, summed: the product with s is made once a sequence.
        self.stream = nn.Linear(d_model, config.hidden)
        self.history = nn.Linear(config.history, config.hidden, bias=False)
        self.sequence = nn.Linear(config.sequence, config.hidden, bias=False)
        self.mu = nn.Linear(config.hidden, config.latent)
        self.log_sigma = nn.Linear(config.hidden, config.latent)
        nn.init.zeros_(self.log_sigma.weight)
        nn.init.constant_(self.log_sigma.bias, config.log_sigma)

    def forward(
        self,
        stream: Float[Tensor, "steps batch d_model"],
        history: Float[Tensor, "steps batch history"],
        sequence: Float[Tensor, "batch sequence"],
    ) -> tuple[Tensor, Tensor]:
        """Returns (mu, log sigma), each [steps, batch, latent]."""
        inputs = self.stream(stream) + self.history(history) + self.sequence(sequence)
        hidden = torch.relu(inputs)
        return self.mu(hidden), self.log_sigma(hidden)


class Metacontroller(nn.Module):
    """All trained parts of discovery; the base stays outside, frozen.

    Args:
        config: Sizes, and the layer that is read and controlled.
        d_model: Width of the base's residual stream.
    """

    def __init__(self, config: DiscoveryConfig, d_model: int) -> None:
        super().__init__()
        self.config = config
        self.history = GRU(d_model, config.history)
        self.embedder = SequenceEmbedder(d_model, config.sequence)
        self.encoder = Encoder(d_model, config)
        self.switch = SwitchingUnit(d_model, config.history, config.latent, config.hidden)
        self.decoder = HypernetworkDecoder(
            config.latent, config.decoder_hidden, d_model, config.rank
        )

    @property
    def hook_name(self) -> str:
        """Hook point that is read and controlled."""
        return hook_name(self.config.layer)

    def forward(
        self,
        stream: Stream,
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
        e = readable(stream.transpose(0, 1).contiguous())
        before = F.pad(self.history(e.unsqueeze(0))[0, :-1], (0, 0, 0, 0, 1, 0))
        mu, log_sigma = self.encoder(e, before, self.embedder(e, mask.sum(1)))
        proposals = mu
        if noise is not None:
            proposals = torch.addcmul(mu, torch.exp(log_sigma), noise.transpose(0, 1))
        codes, beta = self.switch.integrate(e, before, proposals)
        return MetaCodes(*(x.transpose(0, 1) for x in (mu, log_sigma, proposals, codes, beta)))

    def start(self, rows: int) -> MetaState:
        """State of the causal half before the first step: h_0 = 0, z_0 = 0."""
        weight = self.switch.out.weight
        zeros = weight.new_zeros(rows, self.config.history)
        return MetaState(zeros, weight.new_zeros(rows, self.config.latent), 0)

    def gate(self, stream: Float[Tensor, "rows d_model"], state: MetaState) -> Tensor:
        """beta_t of every row, [rows], from e_t before control; 1 at the first step."""
        if state.steps == 0:
            return stream.new_ones(len(stream))
        return self.switch(readable(stream), state.history, state.code)

    def advance(
        self,
        stream: Float[Tensor, "rows d_model"],
        state: MetaState,
        code: Float[Tensor, "rows latent"],
    ) -> MetaState:
        """State after step t: e_t enters the history, ``code`` is the z_t that acted."""
        return MetaState(self.history.step(readable(stream), state.history), code, state.steps + 1)


def readable(stream: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
    """The stream as all parts but the injection read it: normalised, without parameters."""
    return F.layer_norm(stream, stream.shape[-1:])
