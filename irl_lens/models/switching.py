"""The causal switching unit and temporal integration, trained through the whole sequence.

    beta_t = sigmoid(f_switch(e_t, h_{t-1}, z_{t-1})),     beta_1 = 1, z_0 = 0
    z_t    = beta_t * z~_t + (1 - beta_t) * z_{t-1}

(arXiv 2512.20605, App. D). ``z_{t-1}`` is the *integrated* code, not the last proposal, which
makes the loop sequential in t. f_switch is an MLP with one hidden ReLU layer (its form is not
in the paper): the product of its first layer with (e_t, h_{t-1}) is made for all steps at once
and the loop, with its hand-written backward, keeps only what depends on z_{t-1}.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from irl_lens.models.autocast import backward_as_forward, forward_in_float32


class SwitchingUnit(nn.Module):
    """f_switch: reads the stream, the history before it, and the integrated code before it."""

    def __init__(self, d_model: int, history: int, latent: int, hidden: int) -> None:
        super().__init__()
        self.stream = nn.Linear(d_model, hidden)
        self.history = nn.Linear(history, hidden, bias=False)
        self.code = nn.Linear(latent, hidden, bias=False)
        self.out = nn.Linear(hidden, 1)

    def forward(
        self,
        stream: Float[Tensor, "batch d_model"],
        history: Float[Tensor, "batch history"],
        code: Float[Tensor, "batch latent"],
    ) -> Float[Tensor, " batch"]:
        """One step's beta; the caller forces it to 1 at the first step of an episode."""
        inputs = self.stream(stream) + self.history(history) + self.code(code)
        return torch.sigmoid(self.out(torch.relu(inputs)).squeeze(-1))

    def integrate(
        self,
        stream: Float[Tensor, "steps batch d_model"],
        history: Float[Tensor, "steps batch history"],
        proposals: Float[Tensor, "steps batch latent"],
    ) -> tuple[Float[Tensor, "steps batch latent"], Float[Tensor, "steps batch"]]:
        """Runs gate and code through whole sequences, time-major, from z_0 = 0 with beta_1 = 1.

        Args:
            stream: e_t.
            history: h_{t-1}, the state *before* e_t was read.
            proposals: z~_t.

        Returns:
            The integrated codes z_t and the soft gates beta_t.
        """
        context = self.stream(stream) + self.history(history)
        weights = self.code.weight, self.out.weight[0], self.out.bias
        return _Integration.apply(context, proposals, *weights)  # type: ignore[return-value]


class _Integration(torch.autograd.Function):
    """The sequential part, time-major: context [T, B, hidden], proposals [T, B, latent]."""

    @staticmethod
    @forward_in_float32
    def forward(
        ctx: Any, context: Tensor, proposals: Tensor, weight: Tensor, out: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Runs the loop and keeps the hidden layer, the gates and the codes."""
        hidden, codes = torch.zeros_like(context), torch.empty_like(proposals)
        beta = context.new_ones(context.shape[:2])
        code, back = codes[0].copy_(proposals[0]), weight.t()
        for t in range(1, len(context)):
            torch.addmm(context[t], code, back, out=hidden[t]).relu_()
            torch.addmv(bias, hidden[t], out, out=beta[t]).sigmoid_()
            code = torch.lerp(code, proposals[t], beta[t].unsqueeze(-1), out=codes[t])
        ctx.save_for_backward(proposals, weight, out, hidden, codes, beta)
        return codes, beta

    @staticmethod
    @backward_as_forward
    def backward(ctx: Any, grad: Tensor, grad_beta: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Back through time; beta_1 is a constant, so nothing flows into the gate there."""
        proposals, weight, out, hidden, codes, beta = ctx.saved_tensors
        before = torch.cat([torch.zeros_like(codes[:1]), codes[:-1]])
        slope = beta * (1 - beta)
        to_gate, own_gate = slope.unsqueeze(-1) * (proposals - before), slope * grad_beta
        active, hold = out * (hidden > 0), (1 - beta).unsqueeze(-1)
        flows, pre = torch.empty_like(codes), torch.zeros_like(beta)
        context_grad, flow = torch.zeros_like(hidden), torch.zeros_like(codes[0])
        for t in range(len(grad) - 1, -1, -1):
            flow = torch.add(flow, grad[t], out=flows[t])
            pre[t] = torch.linalg.vecdot(flow, to_gate[t]) + own_gate[t]
            torch.mul(active[t], pre[t].unsqueeze(-1), out=context_grad[t])
            flow = torch.addmm(flow * hold[t], context_grad[t], weight)
        weight_grad = torch.einsum("tbh,tbn->hn", context_grad, before)
        out_grad = torch.einsum("tb,tbh->h", pre, hidden)
        return context_grad, flows * beta.unsqueeze(-1), weight_grad, out_grad, pre.sum().view(1)
