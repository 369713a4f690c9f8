"""What if the gate had switched elsewhere? Functions of a gate's trace beta [rows, steps].

Interventions set it: forced, silenced, replayed, shifted. Null models keep a row's rate and
lose its timing: circularly shifted keeps the spacing of its switches too, shuffled their
number alone. None of them changes its argument.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from irl_lens.hooks.codes.gate import switches
from irl_lens.hooks.core.address import INTEGERS, Indices, check_mask, indices

Where = Indices | Shaped[Tensor, "*_"]
"""Steps of every row, or booleans over rows and steps, [rows, steps]."""
Trace = Shaped[Tensor, "rows steps"]
"""A gate, or where it switches: floats or booleans."""


def forced(beta: Trace, where: Where) -> Trace:
    """Returns the gate open (1) at the given steps.

    Raises:
        ValueError: steps outside the sequence.

    Examples:
        >>> forced(torch.tensor([[1.0, 0.2, 0.2]]), [2])
        tensor([[1.0000, 0.2000, 1.0000]])
    """
    return torch.where(_chosen(beta, where), torch.ones_like(beta), beta)


def silenced(beta: Trace, where: Where) -> Trace:
    """Returns the gate shut (0) at the given steps: whatever code was there is held.

    Raises:
        ValueError: steps outside the sequence.

    Examples:
        >>> beta = torch.tensor([[1.0, 0.2, 0.8]])
        >>> silenced(beta, beta > 0.5)
        tensor([[0.0000, 0.2000, 0.0000]])
    """
    return torch.where(_chosen(beta, where), torch.zeros_like(beta), beta)


def replayed(
    beta: Trace,
    recorded: Shaped[Tensor, "_ ..."],
    where: Where | None = None,
) -> Trace:
    """Returns a recorded gate at the given steps (everywhere if not given).

    Of switches that are booleans, those of the record.

    Args:
        beta: the gate of this run.
        recorded: the gate of another, [rows, steps], as many steps; one row stands for all rows.
        where: steps to take from the record.

    Raises:
        ValueError: the record does not span the same rows and steps.

    Examples:
        >>> replayed(torch.zeros(2, 3), torch.tensor([[1.0, 0.0, 1.0]]), where=[2])
        tensor([[0., 0., 1.],
                [0., 0., 1.]])
    """
    if recorded.shape[1:] != beta.shape[1:] or recorded.shape[0] not in (1, beta.shape[0]):
        raise ValueError(
            f"the recorded gate spans {tuple(recorded.shape)} rows and steps, this one "
            f"{tuple(beta.shape)}; cut or pad the record"
        )
    if beta.dtype == torch.bool:
        recorded = switches(recorded)
    recorded = recorded.to(beta).expand_as(beta)
    return recorded.clone() if where is None else torch.where(_chosen(beta, where), recorded, beta)


def shifted(beta: Trace, by: int) -> Trace:
    """Returns the gate moved `by` steps later (earlier if negative), zeros moving in.

    Step 0 stays as it is: its switch starts the sequence and has no other step to go to.

    Examples:
        >>> shifted(torch.tensor([[1.0, 0.0, 1.0, 0.0]]), by=1)
        tensor([[1., 0., 0., 1.]])
    """
    moved = torch.zeros_like(beta)
    steps = torch.arange(1, beta.shape[1], device=beta.device)
    source = steps[(steps + by >= 1) & (steps + by < beta.shape[1])]
    moved[:, source + by] = beta[:, source]
    moved[:, 0] = beta[:, 0]
    return moved


def circularly_shifted(
    beta: Trace,
    lengths: Shaped[Tensor, "*_"],
    by: Int[Tensor, " rows"] | None = None,
    *,
    generator: torch.Generator | None = None,
) -> Trace:
    """Returns each row's gate moved round its own length, step 0 and padding staying.

    A null model: a gate that knows how often to switch, and how far apart, but not when.

    Args:
        beta: the gate.
        lengths: valid steps of each row; what is beyond is padding.
        by: steps later, a row; drawn from 1..length - 2 if not given, so that every row
            that can move does. (Rows of length 2 or less have nowhere to go.)
        generator: draws `by`.

    Raises:
        ValueError: lengths beyond the steps, or not one a row.

    Examples:
        >>> beta = torch.tensor([[1.0, 0.0, 1.0, 0.0, 0.0]])
        >>> circularly_shifted(beta, torch.tensor([4]), by=torch.tensor([2]))
        tensor([[1., 1., 0., 0., 0.]])
    """
    steps, valid = _spans(beta, lengths)
    span = (lengths.to(beta.device) - 1).clamp(min=1).unsqueeze(-1)
    if by is None:
        free = (span - 1).clamp(min=1)
        drawn = torch.rand(free.shape, generator=generator, dtype=torch.float64).to(beta.device)
        by = 1 + (drawn * free).long().squeeze(-1)
    source = 1 + (steps - 1 - by.to(beta.device).unsqueeze(-1)) % span
    return beta.gather(1, torch.where(valid & (steps > 0), source, steps))


def shuffled(
    beta: Trace, lengths: Shaped[Tensor, "*_"], *, generator: torch.Generator | None = None
) -> Trace:
    """Returns each row's gate in random order, step 0 and padding staying.

    A null model, random at matched rate: every order of a row's steps 1..length - 1 is as
    likely as any other. The row's number of switches is kept exactly (no Poisson or Bernoulli
    draw), and so are a soft gate's values.

    Args:
        beta: the gate.
        lengths: valid steps of each row; what is beyond is padding.
        generator: draws the order.

    Raises:
        ValueError: lengths beyond the steps, or not one a row.

    Examples:
        >>> beta = torch.tensor([[1.0, 1.0, 0.0, 0.0, 0.0, 0.0]])
        >>> shuffled(beta, torch.tensor([5]), generator=torch.Generator().manual_seed(0))
        tensor([[1., 0., 0., 1., 0., 0.]])
    """
    steps, valid = _spans(beta, lengths)
    drawn = torch.rand(beta.shape, generator=generator, dtype=torch.float64).to(beta.device)
    # What stays has keys in order, before and after all those drawn.
    keys = torch.where(valid & (steps > 0), drawn, torch.where(valid, -1.0, 1.0 + steps))
    return beta.gather(1, keys.argsort(dim=1))


def _spans(beta: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the steps, and which of each row's are valid."""
    if lengths.shape != beta.shape[:1] or lengths.dtype not in INTEGERS:
        raise ValueError(
            f"{tuple(lengths.shape)} lengths for {len(beta)} rows, {lengths.dtype}; give one "
            "integer a row"
        )
    if len(lengths) and not 0 <= int(lengths.min()) <= int(lengths.max()) <= beta.shape[1]:
        raise ValueError(
            f"lengths span {int(lengths.min())}..{int(lengths.max())}; rows of {beta.shape[1]} "
            f"steps have lengths of 0..{beta.shape[1]}"
        )
    steps = torch.arange(beta.shape[1], device=beta.device)
    return steps, steps < lengths.to(beta.device).unsqueeze(-1)


def _chosen(beta: Tensor, where: Where) -> Bool[Tensor, "rows steps"]:
    if isinstance(where, Tensor) and where.ndim != 1:
        check_mask("mask", where, beta.shape)
        return where.to(beta.device)
    steps = indices("step", where)
    if steps and max(steps) >= beta.shape[1]:
        raise ValueError(f"step {max(steps)} is outside the sequence of {beta.shape[1]} steps")
    chosen = torch.zeros_like(beta, dtype=torch.bool)
    chosen[:, list(steps)] = True
    return chosen
