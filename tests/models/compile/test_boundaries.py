"""Relaxed boundaries: masks that sum to one, their hard limit, the prior by enumeration."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy.stats import poisson
from torch.nn.functional import one_hot

from irl_lens.models.compile.boundaries import (
    begun,
    boundary_kl,
    log_prior,
    possible,
    relaxed,
    segment_masks,
)

LENGTHS = torch.tensor([6, 3, 1])
POSITIONS = 7


def soft(segments: int, seed: int = 0) -> torch.Tensor:
    """Relaxed boundaries, the last at the end."""
    generator = torch.Generator().manual_seed(seed)
    shape = segments - 1, len(LENGTHS), POSITIONS
    logits = torch.randn(shape, generator=generator)
    logits = logits.masked_fill(~possible(LENGTHS, POSITIONS), -torch.inf)
    drawn = relaxed(logits, torch.rand(shape, generator=generator), 0.7)
    return torch.cat([drawn, one_hot(LENGTHS, POSITIONS)[None].float()])


def test_a_segment_ends_after_a_step_and_by_the_end() -> None:
    marks = [[place for place in range(POSITIONS) if row[place]] for row in possible(LENGTHS, 7)]
    assert marks == [[1, 2, 3, 4, 5, 6], [1, 2, 3], [1]]


@pytest.mark.parametrize("segments", [1, 2, 5])
def test_each_step_is_in_the_segments_with_probability_one(segments: int) -> None:
    boundaries = soft(segments)
    masks = segment_masks(boundaries)
    assert (masks >= 0).all()
    steps = torch.arange(POSITIONS) < LENGTHS[:, None]
    torch.testing.assert_close(masks.sum(0), steps.float(), atol=2e-6, rtol=0)


def test_masks_are_expectations_over_exact_boundaries() -> None:
    boundaries = soft(4)
    expected = torch.zeros_like(boundaries)
    for places in product(range(POSITIONS), repeat=3):
        weight = torch.stack([boundaries[k, :, place] for k, place in enumerate(places)]).prod(0)
        ends = torch.tensor(places)[:, None].expand(3, 3)
        held = [int(x) for x in ends[:, 0]]
        for row, length in enumerate(LENGTHS.tolist()):
            for step in range(length):
                # The first segment that is not over holds the step.
                owner = next((k for k, end in enumerate(held) if step < end), 3)
                expected[owner, row, step] += weight[row]
    torch.testing.assert_close(segment_masks(boundaries), expected, atol=1e-5, rtol=0)


def test_what_has_begun_is_what_is_over_before_it() -> None:
    boundaries = soft(3)
    over = boundaries.cumsum(-1)
    torch.testing.assert_close(begun(boundaries)[2], over[0] * over[1], atol=1e-6, rtol=0)
    assert (begun(boundaries)[0] == 1).all()


def test_cold_positions_are_exact_draws_of_the_distribution() -> None:
    logits = torch.tensor([0.5, -torch.inf, 1.5, 0.0]).expand(40_000, 4)
    noise = torch.rand(logits.shape, generator=torch.Generator().manual_seed(0))
    drawn = relaxed(logits, noise.clamp(min=1e-20), 1e-3)
    hard = drawn.argmax(-1)
    # All but those of which the two best came within a hundredth of each other.
    certain = (drawn - one_hot(hard, 4)).abs().amax(-1) < 1e-3
    assert certain.float().mean() > 0.99
    wanted = logits[0].softmax(-1)
    torch.testing.assert_close(drawn.mean(0), wanted, atol=0.01, rtol=0)
    assert (drawn[:, 1] == 0).all()
    assert torch.equal(relaxed(logits, None, 1.0), one_hot(torch.tensor(2), 4).expand_as(logits))


@pytest.mark.parametrize("rate", [0.5, 10.0])
def test_the_prior_is_the_truncated_poisson(rate: float) -> None:
    prior = log_prior(LENGTHS, POSITIONS, rate)
    for row, length in zip(prior, LENGTHS.tolist(), strict=True):
        mass = poisson.pmf(np.arange(1, length + 1), rate)
        np.testing.assert_allclose(row[1 : length + 1].exp(), mass / mass.sum(), rtol=1e-5)
        assert row[0] == -math.inf and (row[length + 1 :] == -math.inf).all()


def test_the_divergence_is_that_of_an_enumeration() -> None:
    allowed = possible(LENGTHS, POSITIONS)
    logits = torch.randn(3, POSITIONS, generator=torch.Generator().manual_seed(1))
    logits = logits.masked_fill(~allowed, -torch.inf).requires_grad_(True)
    found = boundary_kl(logits, log_prior(LENGTHS, POSITIONS, 4.0))
    for row, length, kl in zip(logits.detach(), LENGTHS.tolist(), found, strict=True):
        p = poisson.pmf(np.arange(1, length + 1), 4.0)
        q = row[1 : length + 1].double().softmax(0).numpy()
        assert float(kl.detach()) == pytest.approx(
            float((q * np.log(q * p.sum() / p)).sum()), abs=1e-5
        )
    found.sum().backward()
    assert logits.grad is not None and logits.grad.isfinite().all()
    same = log_prior(LENGTHS, POSITIONS, 4.0)
    torch.testing.assert_close(boundary_kl(same, same), torch.zeros(3))
