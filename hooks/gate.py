"""The gate: when the code changes, and functions that change when.

    z_t = beta_t z~_t + (1 - beta_t) z_{t-1}

The paper's temporal integration (arXiv 2512.20605, section D), beta in [0, 1]; z_0 = 0
and beta_1 = 1. Hard, as in internal RL (App. E): z_t is z~_t where beta_t >= 0.5, else
z_{t-1}, copied and so held bit for bit.

The functions below rewrite a gate's trace beta [rows, steps]: the interventions of the
question "what if it had switched elsewhere?". None of them changes its argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Where = Sequence[int] | Bool[Tensor, "rows steps"]
"""Steps of every row, or a mask over rows and steps."""


@dataclass(frozen=True)
class Gate:
    """Integrates proposed codes over time.

    Attributes:
        hard: copy one of the two codes, in place of mixing them.
        threshold: beta from which a hard gate switches.
    """

    hard: bool = False
    threshold: float = 0.5

    def step(
        self,
        previous: Float[Tensor, "*rows n_z"],
        proposal: Float[Tensor, "*rows n_z"],
        beta: Float[Tensor, "*rows"],
    ) -> Float[Tensor, "*rows n_z"]:
        """Returns z_t from z_{t-1}, z~_t and beta_t."""
        beta = beta.unsqueeze(-1)
        if self.hard:
            return torch.where(beta >= self.threshold, proposal, previous)
        return beta * proposal + (1 - beta) * previous

    def integrate(
        self,
        proposals: Float[Tensor, "rows steps n_z"],
        beta: Float[Tensor, "rows steps"],
        start: Float[Tensor, "rows n_z"] | None = None,
    ) -> Float[Tensor, "rows steps n_z"]:
        """Returns z_1..z_T.

        Args:
            proposals: z~.
            beta: the gate; nothing is assumed of its first step.
            start: z_0; zero if not given.

        Raises:
            ValueError: proposals and beta differ in rows or steps.
        """
        if proposals.shape[:2] != beta.shape:
            raise ValueError(
                f"proposals span {tuple(proposals.shape[:2])} rows and steps, beta "
                f"{tuple(beta.shape)}; they must be the same"
            )
        z = torch.zeros_like(proposals[:, 0]) if start is None else start
        codes = []
        for proposal, gate in zip(proposals.unbind(1), beta.unbind(1), strict=True):
            z = self.step(z, proposal, gate)
            codes.append(z)
        return torch.stack(codes, dim=1)


def switches(
    beta: Float[Tensor, "rows steps"], threshold: float = 0.5
) -> Bool[Tensor, "rows steps"]:
    """Returns where a hard gate switches."""
    return beta >= threshold


def first_switch(
    beta: Float[Tensor, "rows steps"], after: int = 0, threshold: float = 0.5
) -> Int[Tensor, " rows"]:
    """Returns each row's first switch later than step `after`, or the number of steps if none.

    Step 0 always switches, so the default is the first switch that says something. Made
    for :class:`~irl_lens.hooks.Sequence`'s `until`.
    """
    steps = torch.arange(beta.shape[1], device=beta.device)
    never = torch.full_like(steps, beta.shape[1])
    later = switches(beta, threshold) & (steps > after)
    return torch.where(later, steps, never).amin(dim=1)


def forced(beta: Float[Tensor, "rows steps"], where: Where) -> Float[Tensor, "rows steps"]:
    """Returns the gate open (1) at the given places."""
    return torch.where(_places(beta, where), torch.ones_like(beta), beta)


def silenced(beta: Float[Tensor, "rows steps"], where: Where) -> Float[Tensor, "rows steps"]:
    """Returns the gate shut (0) at the given places: whatever code was there is held."""
    return torch.where(_places(beta, where), torch.zeros_like(beta), beta)


def replayed(
    beta: Float[Tensor, "rows steps"],
    recorded: Float[Tensor, "_ steps"],
    where: Where | None = None,
) -> Float[Tensor, "rows steps"]:
    """Returns a recorded gate at the given places (everywhere if not given).

    Args:
        beta: the gate of this run.
        recorded: the gate of another, as many steps; one row stands for all rows.
        where: places to take from the record.

    Raises:
        ValueError: the record does not span the same rows and steps.
    """
    if recorded.shape[1:] != beta.shape[1:] or recorded.shape[0] not in (1, beta.shape[0]):
        raise ValueError(
            f"the recorded gate spans {tuple(recorded.shape)} rows and steps, this one "
            f"{tuple(beta.shape)}; cut or pad the record"
        )
    recorded = recorded.to(beta).expand_as(beta)
    return recorded.clone() if where is None else torch.where(_places(beta, where), recorded, beta)


def shifted(beta: Float[Tensor, "rows steps"], by: int) -> Float[Tensor, "rows steps"]:
    """Returns the gate moved `by` steps later (earlier if negative), zeros moving in.

    Step 0 stays as it is: its switch starts the sequence and has no other place.
    """
    moved = torch.zeros_like(beta)
    steps = torch.arange(1, beta.shape[1], device=beta.device)
    source = steps[(steps + by >= 1) & (steps + by < beta.shape[1])]
    moved[:, source + by] = beta[:, source]
    moved[:, 0] = beta[:, 0]
    return moved


def _places(beta: Tensor, where: Where) -> Bool[Tensor, "rows steps"]:
    if isinstance(where, Tensor):
        if where.shape != beta.shape:
            raise ValueError(f"the mask spans {tuple(where.shape)}, beta {tuple(beta.shape)}")
        return where.to(beta.device)
    for step in where:
        if not 0 <= step < beta.shape[1]:
            raise ValueError(f"step {step} is outside the sequence of {beta.shape[1]} steps")
    places = torch.zeros_like(beta, dtype=torch.bool)
    places[:, list(where)] = True
    return places
