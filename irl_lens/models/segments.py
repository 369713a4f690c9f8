"""Codes of whole segments: what a segment between two switches ended on.

    beta_t        = f_switch(e_t, h_{t-1}),   h_t = GRU(e_t, h_{t-1})    causal; beta_1 = 1
    beta_t        = 0                         at most ``refractory`` steps after it opened
    end(t)        = the next step after t with beta >= 1/2, or else the last of the sequence
    mu_t, Sigma_t = f_enc(e_{end(t)}),   z_t ~ N(mu_t, Sigma_t)         one draw a segment
    e_t          <- e_t + U(z_t) e_t,   U(z) = sum_k z_k M_k

This is not in the paper, whose encoder sees the whole sequence at every step
(:mod:`irl_lens.models.metacontroller`): there, codes become whatever says most about the
next few actions. Here a code can only be where its segment led, and is the same over the
segment, so what it says about actions is what the base itself can do with a goal. Given when
to switch, it is trained to say what to switch to (:mod:`irl_lens.training.codes`).

The gate rests after it opened because it cannot be sure of the exact step: where either of two
would do it is as likely to open at both.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from irl_lens.config.schema import CodesConfig
from irl_lens.hooks import LinearDecoder
from irl_lens.models.causal import (
    THRESHOLD,
    CausalHalf,
    MetaCodes,
    MetaState,
    ResidualStream,
    normalised,
)
from irl_lens.models.recurrence import GRU

Marks = Bool[Tensor, "batch steps"]


class SegmentMetacontroller(CausalHalf):
    """Codes of segments, and a gate that knows where segments begin.

    Args:
        config: Sizes, and the layer that is read and controlled.
        d_model: Width of the base's residual stream.
    """

    encoding = ("reader", "mu", "log_sigma")

    def __init__(self, config: CodesConfig, d_model: int) -> None:
        decoder = LinearDecoder(config.latent, d_model)
        super().__init__(config.layer, GRU(d_model, config.history), decoder)
        self.switch = nn.Sequential(
            nn.Linear(d_model + config.history, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, 1),
        )
        self.refractory = config.refractory
        self.reader = nn.Linear(d_model, config.hidden)
        self.mu = nn.Linear(config.hidden, config.latent)
        self.log_sigma = nn.Linear(config.hidden, config.latent)
        nn.init.zeros_(self.log_sigma.weight)
        nn.init.constant_(self.log_sigma.bias, config.log_sigma)

    def forward(
        self,
        stream: ResidualStream,
        mask: Marks,
        noise: Float[Tensor, "batch steps latent"] | None = None,
    ) -> MetaCodes:
        """Encodes whole sequences by its own gate; see :meth:`CausalHalf.forward`."""
        logits = rested(self.switch_logits(stream), self.refractory)
        return self.segments(stream, mask, logits.detach() >= 0, logits, noise)

    def segments(
        self,
        stream: ResidualStream,
        mask: Marks,
        opened: Marks,
        logits: Float[Tensor, "batch steps"],
        noise: Float[Tensor, "batch steps latent"] | None = None,
    ) -> MetaCodes:
        """Encodes the segments that begin where ``opened`` is True, and at the first step.

        Args:
            stream: Residual stream e before control.
            mask: True on steps that happened; each row's come first.
            opened: Where segments begin.
            logits: The gate's logits, which only the returned beta depends on.
            noise: Standard normal; its value at a segment's last step is the segment's.
        """
        end = segment_ends(opened, mask)
        last = end.unsqueeze(-1)
        hidden = torch.relu(self.reader(normalised(_at(stream, last))))
        mu, log_sigma = self.mu(hidden), self.log_sigma(hidden)
        codes = mu
        if noise is not None:
            codes = torch.addcmul(mu, torch.exp(log_sigma), _at(noise, last))
        beta = torch.sigmoid(logits)
        beta = torch.cat([torch.ones_like(beta[:, :1]), beta[:, 1:]], dim=1)
        return MetaCodes(mu, log_sigma, codes, codes, beta)

    def switch_logits(self, stream: ResidualStream) -> Float[Tensor, "batch steps"]:
        """ln beta_t / (1 - beta_t) at every step, the first not yet forced, and none at rest."""
        e = normalised(stream.transpose(0, 1).contiguous())
        return self.switch(torch.cat([e, self.histories(e)], dim=-1)).squeeze(-1).T

    @torch.no_grad()
    def open_from(self, level: float) -> None:
        """Shifts the gate's logits: beta is 1/2 where it was ``level``, and opens from there on."""
        last = self.switch[-1]
        assert isinstance(last, nn.Linear)
        last.bias.sub_(math.log(level / (1 - level)))

    def start(self, rows: int) -> MetaState:
        """State before the first step; behind the history, for how many steps the gate rests."""
        state = super().start(rows)
        return replace(state, history=F.pad(state.history, (0, 1)))

    def switching(self, stream: Float[Tensor, "rows d_model"], state: MetaState) -> Tensor:
        """beta_t from e_t and the history; whatever code is in force."""
        history, rests = state.history[:, :-1], state.history[:, -1]
        logits = self.switch(torch.cat([stream, history], dim=-1)).squeeze(-1)
        return torch.where(rests > 0, 0.0, torch.sigmoid(logits))

    def advance(
        self,
        stream: Float[Tensor, "rows d_model"],
        state: MetaState,
        code: Float[Tensor, "rows latent"],
    ) -> MetaState:
        """State after step t; where the gate itself opened, it rests, whatever came of that."""
        rests = state.history[:, -1:]
        if self.refractory:
            opened = self.gate(stream, state)[:, None] >= THRESHOLD
            rests = torch.where(opened, self.refractory, (rests - 1).clamp(min=0))
        after = super().advance(stream, replace(state, history=state.history[:, :-1]), code)
        return replace(after, history=torch.cat([after.history, rests], dim=-1))


def rested(logits: Float[Tensor, "batch steps"], refractory: int) -> Float[Tensor, "batch steps"]:
    """Closes the gate (-inf) at most so many steps after each step at which it opens.

    The first is such a step, as the gate is forced open there.
    """
    if not refractory:
        return logits
    steps = list(logits.unbind(1))
    rests = torch.full_like(steps[0], refractory)
    for t in range(1, len(steps)):
        steps[t] = steps[t].masked_fill(rests > 0, -torch.inf)
        rests = torch.where(steps[t] >= 0, refractory, rests - 1)
    return torch.stack(steps, dim=1)


def segment_ends(opened: Marks, mask: Marks) -> Int[Tensor, "batch steps"]:
    """The step that each step's segment ends on.

    That is the first step of the next segment, where the agent has arrived, or the last step
    of the sequence.

    Args:
        opened: Where segments begin.
        mask: True on steps that happened; each row's come first.
    """
    steps = torch.arange(opened.shape[1], device=opened.device).expand_as(opened)
    last = mask.sum(1, keepdim=True) - 1
    begins = torch.where(opened & mask, steps, last)
    # The minimum over all later steps, the next one the first of them.
    after = torch.cat([begins[:, 1:], last], dim=1).flip(1).cummin(1).values.flip(1)
    return torch.minimum(after, last)


def _at(
    values: Float[Tensor, "batch steps n"], index: Int[Tensor, "batch steps 1"]
) -> Float[Tensor, "batch steps n"]:
    return values.gather(1, index.expand(-1, -1, values.shape[-1]))
