"""Gated recurrent units over whole sequences, several in lockstep, fast on a CPU.

The recurrence is the usual GRU (Cho et al. 2014, with PyTorch's placing of the reset gate):

    r_t, u_t = sigmoid(W_i x_t + b_i + W_h h_{t-1} + b_h)
    n_t      = tanh(W_n x_t + b_n + r_t * (V h_{t-1} + c))
    h_t      = (1 - u_t) * n_t + u_t * h_{t-1},     h_0 = 0

The paper (arXiv 2512.20605, App. D and Table A9) asks for a GRU of size 32 as the history of
the metacontroller. ``torch.nn.GRU`` unrolls through autograd on a CPU, at some thirty small
operations a step; here the input products are made for all steps at once, the loop keeps six
operations a step, and its backward, written by hand, keeps three. Gradients agree with
autograd's through the plain loop (tested).
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from irl_lens.models.autocast import backward_as_forward, forward_in_float32


class GRU(nn.Module):
    """``lanes`` independent GRUs that run in lockstep, each on its own input sequence."""

    def __init__(self, inputs: int, size: int, lanes: int = 1) -> None:
        super().__init__()
        self.inputs, self.size, self.lanes = inputs, size, lanes
        self.input_weight = nn.Parameter(torch.empty(lanes, inputs, 3 * size))
        self.state_weight = nn.Parameter(torch.empty(lanes, size, 3 * size))
        self.input_bias = nn.Parameter(torch.empty(lanes, 3 * size))
        self.state_bias = nn.Parameter(torch.empty(lanes, 3 * size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(size**-0.5), size**-0.5)

    def forward(
        self, x: Float[Tensor, "lanes steps batch inputs"]
    ) -> Float[Tensor, "lanes steps batch size"]:
        """Runs every lane over its time-major sequences from a zero state."""
        lanes, steps, rows, inputs = x.shape
        bias = self.input_bias.unsqueeze(1)
        drive = torch.baddbmm(bias, x.reshape(lanes, steps * rows, inputs), self.input_weight)
        drive = drive.view(lanes, steps, rows, -1)
        return _Scan.apply(drive, self.state_weight, self.state_bias)  # type: ignore[no-any-return]

    def step(
        self, x: Float[Tensor, "batch inputs"], state: Float[Tensor, "batch size"], lane: int = 0
    ) -> Float[Tensor, "batch size"]:
        """One step of one lane, for rollouts."""
        return self.update(self.drive(x, lane), state, lane)

    def drive(
        self, x: Float[Tensor, "*batch inputs"], lane: int = 0
    ) -> Float[Tensor, "*batch gates"]:
        """What inputs add to the gates of a lane."""
        return x @ self.input_weight[lane] + self.input_bias[lane]

    def update(
        self,
        drive: Float[Tensor, "*batch gates"],
        state: Float[Tensor, "*batch size"],
        lane: int = 0,
    ) -> Float[Tensor, "*batch size"]:
        """One step of one lane, from what its input adds."""
        inner = state @ self.state_weight[lane] + self.state_bias[lane]
        (gates, new), (inner_gates, inner_new) = (
            part.split([2 * self.size, self.size], -1) for part in (drive, inner)
        )
        reset, update = torch.sigmoid(gates + inner_gates).chunk(2, -1)
        return torch.lerp(torch.tanh(torch.addcmul(new, reset, inner_new)), state, update)


class _Scan(torch.autograd.Function):
    """The recurrence over time, keeping what its backward needs.

    Arrays are [lanes, steps, rows, ...], so that the products outside the loop need no copy.
    """

    @staticmethod
    @forward_in_float32
    def forward(ctx: Any, drive: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Runs the loop from a zero state."""
        lanes, steps, rows, size = *drive.shape[:3], weight.shape[1]
        states = drive.new_empty(lanes, steps + 1, rows, size)
        gates = drive.new_empty(lanes, steps, rows, 2 * size)
        news, inners = drive.new_empty(2, lanes, steps, rows, size)
        bias, state = bias.unsqueeze(1), states[:, 0].zero_()
        by_step = (*drive.split([2 * size, size], -1), gates, news, inners, states[:, 1:])
        views = zip(*(array.unbind(1) for array in by_step), strict=True)
        for gate_drive, new_drive, gate, new, kept, after in views:
            inner = torch.baddbmm(bias, state, weight)
            torch.add(gate_drive, inner[..., : 2 * size], out=gate).sigmoid_()
            kept.copy_(inner[..., 2 * size :])
            torch.addcmul(new_drive, gate[..., :size], kept, out=new).tanh_()
            state = torch.lerp(new, state, gate[..., size:], out=after)
        ctx.save_for_backward(weight, states, gates, news, inners)
        return states[:, 1:]

    @staticmethod
    @backward_as_forward
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        """Back through time; everything that is not sequential is done outside the loop."""
        weight, states, gates, news, inners = ctx.saved_tensors
        lanes, steps, rows, size = news.shape
        before, update = states[:, :-1], gates[..., size:]
        grads, to_new = _jacobian(before, gates, news, inners)
        flows = torch.empty_like(news)
        back, flow = weight.transpose(1, 2).contiguous(), torch.zeros_like(news[:, 0])
        for t in range(steps - 1, -1, -1):
            flow = torch.add(flow, grad[:, t], out=flows[:, t])
            inner = grads[:, t].view(lanes, rows, 3, size).mul_(flow.unsqueeze(-2))
            flow = torch.baddbmm(flow * update[:, t], inner.view(lanes, rows, -1), back)
        flat = grads.view(lanes, steps * rows, -1)
        weight_grad = before.reshape(lanes, steps * rows, size).transpose(1, 2) @ flat
        bias_grad = flat.sum(1)
        torch.mul(flows, to_new, out=grads[..., 2 * size :])
        return grads, weight_grad, bias_grad


def _jacobian(before: Tensor, gates: Tensor, news: Tensor, inners: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of h_t by the state's three products, and by the new gate's argument."""
    size = news.shape[-1]
    reset, update = gates.split(size, -1)
    to_new = (1 - update).mul_(1 - news * news)
    inner = news.new_empty(*news.shape[:-1], 3 * size)
    to_reset, to_update, through = inner.split(size, -1)
    torch.mul(to_new, reset, out=through)
    torch.mul(through, inners, out=to_reset).mul_(1 - reset)
    torch.sub(before, news, out=to_update).mul_(update).mul_(1 - update)
    return inner, to_new
