"""CompILE as a whole, and its loss on a batch of demonstrations.

    -ELBO = sum_t sum_i m_i(t) (-ln pi(a_t | o_t, z_i))  +  w_z sum_i KL(q(z_i) || N(0, I))
            +  w_b M KL(q(b_1) || p(b_1))                               a demonstration

(Kipf et al. 2019, arXiv 1812.01483; weights of 0.1 and the form of the last term are those of their
released code.) How the termination learns is ours: beside this, from the same segments held fixed,

    sum_t sum_i P(in i until t - 1) (s_i(t) (-ln stop(o_t, z_i)) + (1 - s_i(t)) (-ln (1 - stop)))
    s_i(t) = P(b_i = t | in i until t - 1),       t > 0

so no gradient of it reaches what finds the segments, or the sub-policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from irl_lens.config.compile import CompileConfig
from irl_lens.envs.spaces import ActionSpec, ObservationSpec
from irl_lens.models.compile.boundaries import begun, boundary_kl, log_prior, reached
from irl_lens.models.compile.encoder import Noise, SegmentEncoder, Segments
from irl_lens.models.compile.options import Options
from irl_lens.models.compile.sub_policy import SubPolicy

ActionLoss = Callable[[Tensor], Tensor]
"""-ln p of the actions of all valid steps [nats], of what the action head reads there."""


@dataclass(frozen=True)
class Terms:
    """The terms of the loss: sums over each demonstration, means over the demonstrations.

    Attributes:
        nll: Of the actions [nats].
        kl_codes: Of all codes [nats].
        kl_boundaries: M times that of the first boundary [nats].
        stop: Of the termination [nats].
    """

    nll: Float[Tensor, ""]
    kl_codes: Float[Tensor, ""]
    kl_boundaries: Float[Tensor, ""]
    stop: Float[Tensor, ""]


class CompILE(nn.Module):
    """See the module.

    Args:
        config: Sizes, and the weights of the loss.
        spec: What is observed.
        actions: What is done.
    """

    def __init__(self, config: CompileConfig, spec: ObservationSpec, actions: ActionSpec) -> None:
        super().__init__()
        self.config = config
        self.encoder = SegmentEncoder(config, spec, actions)
        self.policy = SubPolicy(config, spec, actions)
        self.options = Options(config)

    def loss(self, terms: Terms) -> Float[Tensor, ""]:
        """What is minimised."""
        weighted = self.config.kl_codes * terms.kl_codes
        weighted = weighted + self.config.kl_boundaries * terms.kl_boundaries
        return terms.nll + weighted + terms.stop

    def terms(
        self,
        observations: Tensor,
        actions: Tensor,
        mask: Tensor,
        action_loss: ActionLoss,
        noise: Noise | None,
    ) -> tuple[Terms, Segments]:
        """The terms of the loss on a batch, and what it was cut into.

        Args:
            observations: ``[rows, steps, columns]``, sparse.
            actions: ``[rows, steps]``, or with a size.
            mask: True on steps that happened, ``[rows, steps]``; each row's come first.
            action_loss: See :data:`ActionLoss`.
            noise: What is drawn with; None takes the likeliest of all.
        """
        segments = self.encoder(observations, actions, mask, noise)
        stream = self.policy.embed(observations)[mask]
        rows = mask.nonzero()[:, 0]
        parts = zip(segments.masks[..., :-1], segments.codes, strict=True)
        losses = [
            (weights[mask] * action_loss(self.act(stream, code[rows]))).sum()
            for weights, code in parts
        ]
        n = len(mask)
        return Terms(
            torch.stack(losses).sum() / n,
            segments.kl().mean(),
            self._boundaries(segments, mask),
            self._stop(segments, stream.detach(), mask) / n,
        ), segments

    def act(
        self, stream: Float[Tensor, "tokens width"], codes: Float[Tensor, "tokens latent"]
    ) -> Float[Tensor, "tokens outputs"]:
        """What the action head reads, of the stream with codes added."""
        return self.policy.layers(stream + self.options.decoder.delta(codes, stream))

    def _boundaries(self, segments: Segments, mask: Tensor) -> Float[Tensor, ""]:
        if not len(segments.logits):
            return segments.codes.new_zeros(())
        logits = segments.logits[0]
        prior = log_prior(mask.sum(dim=1), logits.shape[1], self.config.rate)
        return self.config.segments * boundary_kl(logits, prior).mean()

    def _stop(self, segments: Segments, stream: Tensor, mask: Tensor) -> Float[Tensor, ""]:
        boundaries, codes = segments.boundaries.detach(), segments.codes.detach()
        over, began = reached(boundaries), begun(boundaries)[..., :-2]
        later = mask.clone()
        later[:, 0] = False
        rows, after = later.nonzero()[:, 0], later[:, 1:]
        read = stream[later[mask]]
        total = stream.new_zeros(())
        for i, code in enumerate(codes):
            logits = self.options.stop_logits(read, code[rows])
            ends = (began[i] * boundaries[i][:, 1:-1])[after]
            goes_on = (began[i] * (1 - over[i][:, 1:-1]))[after]
            total = total + (ends * F.softplus(-logits) + goes_on * F.softplus(logits)).sum()
        return total
