"""The gate: when the code changes.

    z_t = beta_t z~_t + (1 - beta_t) z_{t-1}

The paper's temporal integration (arXiv 2512.20605, section D), beta in [0, 1]; z_0 = 0
and beta_1 = 1. Hard, as in internal RL (App. E): z_t is z~_t where beta_t >= 0.5, else
z_{t-1}, copied and so held bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Gate:
    """Integrates proposed codes over time.

    Attributes:
        hard: copy one of the two codes, in place of mixing them.
        threshold: beta from which a hard gate switches.

    Examples:
        >>> proposals, beta = torch.tensor([[[4.0], [8.0]]]), torch.tensor([[1.0, 0.25]])
        >>> Gate().integrate(proposals, beta).flatten()
        tensor([4., 5.])
        >>> Gate(hard=True).integrate(proposals, beta).flatten()
        tensor([4., 4.])
    """

    hard: bool = False
    threshold: float = 0.5

    def step(
        self,
        previous: Float[Tensor, "*rows n_z"],
        proposal: Float[Tensor, "*rows n_z"],
        beta: Float[Tensor, "*rows"],
    ) -> Float[Tensor, "*rows n_z"]:
        """Returns z_t from z_{t-1}, z~_t and beta_t.

        Examples:
            >>> Gate().step(torch.tensor([0.0]), torch.tensor([8.0]), torch.tensor(0.25))
            tensor([2.])
        """
        beta = beta.unsqueeze(-1)
        if self.hard:
            return torch.where(beta >= self.threshold, proposal, previous)
        return beta * proposal + (1 - beta) * previous

    def integrate(
        self,
        proposals: Float[Tensor, "rows steps n_z"],
        beta: Float[Tensor, "*_"],
        start: Float[Tensor, "*_"] | None = None,
    ) -> Float[Tensor, "rows steps n_z"]:
        """Returns z_1..z_T.

        Args:
            proposals: z~.
            beta: the gate, [rows, steps]; nothing is assumed of its first step.
            start: z_0; zero if not given.

        Raises:
            ValueError: proposals and beta differ in rows or steps; a start of another shape.

        Examples:
            >>> beta = torch.tensor([[0.0, 1.0, 0.0]])
            >>> Gate(hard=True).integrate(torch.tensor([[[1.0], [2.0], [3.0]]]), beta).flatten()
            tensor([0., 2., 2.])
        """
        if proposals.shape[:2] != beta.shape:
            raise ValueError(
                f"proposals span {tuple(proposals.shape[:2])} rows and steps, beta "
                f"{tuple(beta.shape)}; they must be the same"
            )
        z = torch.zeros_like(proposals[:, 0]) if start is None else start
        if z.shape != proposals[:, 0].shape:
            raise ValueError(
                f"start is {tuple(z.shape)}; it must be {tuple(proposals[:, 0].shape)}, a "
                "code a row"
            )
        codes = []
        for proposal, gate in zip(proposals.unbind(1), beta.unbind(1), strict=True):
            z = self.step(z, proposal, gate)
            codes.append(z)
        return torch.stack(codes, dim=1)


def switches(
    beta: Float[Tensor, "rows steps"] | Bool[Tensor, "rows steps"], threshold: float = 0.5
) -> Bool[Tensor, "rows steps"]:
    """Returns where a hard gate switches; of switches that are booleans, those same.

    Examples:
        >>> switches(torch.tensor([[1.0, 0.4, 0.5]]))
        tensor([[ True, False,  True]])
    """
    return beta >= threshold


def first_switch(
    beta: Float[Tensor, "rows steps"] | Bool[Tensor, "rows steps"],
    after: int = 0,
    threshold: float = 0.5,
) -> Int[Tensor, " rows"]:
    """Returns each row's first switch later than step `after`, or the number of steps if none.

    Step 0 always switches, so the default is the first switch that says something. Made
    for :class:`~irl_lens.hooks.Sequence`'s `until`.

    Examples:
        >>> first_switch(torch.tensor([[1.0, 0.4, 0.5], [1.0, 0.0, 0.0]]))
        tensor([2, 3])
    """
    steps = torch.arange(beta.shape[1], device=beta.device)
    never = torch.full_like(steps, beta.shape[1])
    later = switches(beta, threshold) & (steps > after)
    return torch.where(later, steps, never).amin(dim=1)
