"""CompILE's recognition model: M passes over a demonstration, a boundary and a code each.

    x_t          = W_o o_t + W_a a_t,   x_T a vector of its own: the end
    h_t          = m_t * LSTM(x_t, h_{t-1})       m_t = prod_{k<i} c_k(t), 1 in the first pass
    b_i          ~ Concrete(f_b(h_t) at every position t),     b_M = T
    mu_i, S_i    = f_z(sum_t b_i(t) h_{t-1}),     z_i ~ N(mu_i, S_i)

(Kipf et al. 2019, arXiv 1812.01483, and their code, github.com/tkipf/compile.) The mask takes
away what lies before the segment, so that the code, read where the segment ends, says what was in
it alone. f_b and f_z have one hidden ReLU layer. Positions beyond the end cannot be chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from irl_lens.config.compile import CompileConfig
from irl_lens.envs.spaces import ActionSpec, DiscreteActions, ObservationSpec
from irl_lens.models.compile.boundaries import possible, reached, relaxed, segment_masks
from irl_lens.models.observations import ObservationEmbedding


@dataclass(frozen=True)
class Segments:
    """What demonstrations were cut into; the last axis but that of codes is that of positions.

    Attributes:
        logits: Of each boundary's position, but the last, which is the end.
        boundaries: Positions drawn, relaxed or one-hot.
        masks: m_i(t), the probability of each step to be in a segment; the last position is no
            step.
        mu: Means of the codes.
        log_sigma: Their log standard deviations.
        codes: Codes drawn.
    """

    logits: Float[Tensor, "cuts rows positions"]
    boundaries: Float[Tensor, "segments rows positions"]
    masks: Float[Tensor, "segments rows positions"]
    mu: Float[Tensor, "segments rows latent"]
    log_sigma: Float[Tensor, "segments rows latent"]
    codes: Float[Tensor, "segments rows latent"]

    def kl(self) -> Float[Tensor, " rows"]:
        """KL of all codes of a row to N(0, I) [nats]."""
        variance = torch.exp(2 * self.log_sigma)
        return 0.5 * (self.mu**2 + variance - 1 - 2 * self.log_sigma).sum(-1).sum(0)

    def held(self) -> Int[Tensor, "rows steps"]:
        """The segment of each step, the likeliest one."""
        return self.masks[..., :-1].argmax(dim=0)


@dataclass(frozen=True)
class Noise:
    """What positions and codes are drawn with.

    Attributes:
        uniform: Within (0, 1), of the positions.
        normal: Standard normal, of the codes.
    """

    uniform: Float[Tensor, "segments rows positions"]
    normal: Float[Tensor, "segments rows latent"]


class SegmentEncoder(nn.Module):
    """Cuts demonstrations into segments; see the module.

    Args:
        config: Sizes.
        spec: What is observed.
        actions: What is done.
    """

    def __init__(self, config: CompileConfig, spec: ObservationSpec, actions: ActionSpec) -> None:
        super().__init__()
        hidden, self.config, self.actions = config.hidden, config, actions
        self.observed = ObservationEmbedding(spec, hidden)
        self.done = nn.Linear(len(actions.labels), hidden, bias=False)
        self.end = nn.Parameter(torch.randn(hidden))
        self.cell = nn.LSTMCell(hidden, hidden)
        self.boundary = _head(hidden, 1)
        self.code = _head(hidden, 2 * config.latent)

    def forward(
        self,
        observations: Shaped[Tensor, "rows steps columns"],
        actions: Shaped[Tensor, "rows steps *size"],
        mask: Bool[Tensor, "rows steps"],
        noise: Noise | None = None,
    ) -> Segments:
        """Cuts demonstrations.

        Args:
            observations: Sparse.
            actions: What was done at each step.
            mask: True on steps that happened; each row's come first.
            noise: Positions and codes are the likeliest ones without it.
        """
        lengths = mask.sum(dim=1)
        drive = self._drive(observations, actions, lengths)
        allowed = possible(lengths, drive.shape[0])
        end = nn.functional.one_hot(lengths, drive.shape[0]).to(drive)
        rows: list[tuple[Tensor, ...]] = []
        kept = torch.ones_like(end)
        for i in range(self.config.segments):
            states = self._read(drive, kept)
            logits = self.boundary(states).squeeze(-1).masked_fill(~allowed, -torch.inf)
            last = i == self.config.segments - 1
            uniform = None if noise is None else noise.uniform[i]
            drawn = end if last else relaxed(logits, uniform, self.config.temperature)
            kept = kept * reached(drawn)
            read = torch.einsum("rt,rtd->rd", drawn[:, 1:], states[:, :-1])
            mu, log_sigma = self.code(read).chunk(2, dim=-1)
            code = mu if noise is None else mu + log_sigma.exp() * noise.normal[i]
            rows.append((logits, drawn, mu, log_sigma, code))
        logits, boundaries, mu, log_sigma, codes = map(torch.stack, zip(*rows, strict=True))
        masks = segment_masks(boundaries)
        return Segments(logits[:-1], boundaries, masks, mu, log_sigma, codes)

    def _drive(
        self, observations: Tensor, actions: Tensor, lengths: Tensor
    ) -> Float[Tensor, "positions rows gates"]:
        """What each position adds to the gates of the LSTM; the same in all passes."""
        done = features(self.actions, actions)
        inputs = self.observed(observations) + self.done(done)
        inputs = torch.cat([inputs, inputs.new_zeros(len(inputs), 1, inputs.shape[2])], dim=1)
        place = torch.arange(inputs.shape[1], device=inputs.device)
        inputs = torch.where((place == lengths[:, None])[..., None], self.end, inputs)
        weight, bias = self.cell.weight_ih, self.cell.bias_ih + self.cell.bias_hh
        return nn.functional.linear(inputs.transpose(0, 1), weight, bias)

    def _read(
        self,
        drive: Float[Tensor, "positions rows gates"],
        kept: Float[Tensor, "rows positions"],
    ) -> Float[Tensor, "rows positions hidden"]:
        """The LSTM's outputs, its state multiplied by ``kept`` after every position."""
        back = self.cell.weight_hh.T
        hidden = cell = drive.new_zeros(drive.shape[1], self.cell.hidden_size)
        states = []
        for gates, factor in zip(drive, kept.T[..., None], strict=True):
            entered, forgot, new, out = torch.addmm(gates, hidden, back).chunk(4, dim=1)
            cell = forgot.sigmoid() * cell + entered.sigmoid() * new.tanh()
            hidden = factor * (out.sigmoid() * cell.tanh())
            cell = factor * cell
            states.append(hidden)
        return torch.stack(states, dim=1)


def features(
    spec: ActionSpec, actions: Shaped[Tensor, "rows steps *_"]
) -> Float[Tensor, "rows steps _"]:
    """Actions as numbers: one-hot if they are discrete, and as they are if not."""
    if isinstance(spec, DiscreteActions):
        return nn.functional.one_hot(actions, spec.n).float()
    return actions


def _head(width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs))
