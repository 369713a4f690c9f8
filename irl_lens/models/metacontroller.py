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

Two deviations are options. A base that follows every task of its training needs no more than
the task's name, once an episode: told all of the future, the encoder gives that and the gate
stays shut. With ``lookahead`` the vector is one a step, of the next few steps only. And
``decoder`` "linear" is :class:`irl_lens.hooks.LinearDecoder`. With the ``gate`` "open" beta is 1 at
every step, which the paper compares with (Fig. 8).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from irl_lens.config.schema import DiscoveryConfig
from irl_lens.hooks import Decoder, HypernetworkDecoder, LinearDecoder
from irl_lens.models.causal import CausalHalf, MetaCodes, MetaState, ResidualStream, normalised
from irl_lens.models.recurrence import GRU
from irl_lens.models.switching import SwitchingUnit


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
        last, rows = lengths - 1, torch.arange(len(lengths), device=stream.device)
        # The second lane reads each row from its own last step, not from the padding.
        steps = torch.arange(len(stream), device=stream.device)
        backward = (last - steps.unsqueeze(1)).clamp(min=0)
        states = self.gru(torch.stack([stream, stream[backward, rows]]))
        return self.out(states[:, last, rows].transpose(0, 1).flatten(1))


class LookAhead(nn.Module):
    """Reads the next steps of every step, from the farthest back to the step itself.

    Args:
        d_model: Width of the stream.
        size: Numbers that are kept of what was read.
        steps: How far ahead it sees.
        stride: Every how many-th of these steps it reads, and the step itself.
    """

    def __init__(self, d_model: int, size: int, steps: int, stride: int = 1) -> None:
        super().__init__()
        self.gru, self.steps, self.stride = GRU(d_model, size), steps, stride

    def forward(
        self, stream: Float[Tensor, "steps batch d_model"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "steps batch size"]:
        """Embeds the future of each step of time-major sequences, none of it padding."""
        drive, n = self.gru.drive(stream), len(stream)
        steps = torch.arange(n, device=stream.device)
        happened = (steps.unsqueeze(1) < lengths).unsqueeze(-1)
        state = drive.new_zeros(*drive.shape[:2], self.gru.size)
        for ahead in reversed(range(0, min(self.steps, n - 1) + 1, self.stride)):
            before = state[: n - ahead]
            after = self.gru.update(drive[ahead:], before)
            read = torch.where(happened[ahead:], after, before)
            state = torch.cat([read, state[n - ahead :]])
        return state


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
        sequence: Float[Tensor, "*steps batch sequence"],
    ) -> tuple[Tensor, Tensor]:
        """Returns (mu, log sigma), each [steps, batch, latent]."""
        inputs = self.stream(stream) + self.history(history) + self.sequence(sequence)
        hidden = torch.relu(inputs)
        return self.mu(hidden), self.log_sigma(hidden)


class Metacontroller(CausalHalf):
    """All trained parts of discovery; the base stays outside, frozen.

    Args:
        config: Sizes, and the layer that is read and controlled.
        d_model: Width of the base's residual stream.
    """

    encoding = ("embedder", "encoder")

    def __init__(self, config: DiscoveryConfig, d_model: int) -> None:
        super().__init__(config.layer, GRU(d_model, config.history), _decoder(config, d_model))
        self.config = config
        self.embedder = (
            LookAhead(d_model, config.sequence, config.lookahead, config.stride)
            if config.lookahead
            else SequenceEmbedder(d_model, config.sequence)
        )
        self.encoder = Encoder(d_model, config)
        self.switch = SwitchingUnit(d_model, config.history, config.latent, config.hidden)

    def forward(
        self,
        stream: ResidualStream,
        mask: Bool[Tensor, "batch steps"],
        noise: Float[Tensor, "batch steps latent"] | None = None,
    ) -> MetaCodes:
        """Encodes whole sequences; see :meth:`CausalHalf.forward`."""
        e = normalised(stream.transpose(0, 1).contiguous())
        before = self.histories(e)
        mu, log_sigma = self.encoder(e, before, self.embedder(e, mask.sum(1)))
        proposals = mu
        if noise is not None:
            proposals = torch.addcmul(mu, torch.exp(log_sigma), noise.transpose(0, 1))
        if self.config.gate == "open":
            codes, beta = proposals, proposals.new_ones(proposals.shape[:2])
        else:
            codes, beta = self.switch.integrate(e, before, proposals)
        return MetaCodes(*(x.transpose(0, 1) for x in (mu, log_sigma, proposals, codes, beta)))

    def switching(self, stream: Float[Tensor, "rows d_model"], state: MetaState) -> Tensor:
        """beta_t from e_t, the history and the code in force."""
        if self.config.gate == "open":
            return stream.new_ones(len(stream))
        return self.switch(stream, state.history, state.code)


def _decoder(config: DiscoveryConfig, d_model: int) -> Decoder:
    if config.decoder == "linear":
        return LinearDecoder(config.latent, d_model)
    return HypernetworkDecoder(config.latent, config.decoder_hidden, d_model, config.rank)
