"""Values are put where they say, and arithmetic loses nothing that it need not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from irl_lens.hooks import (
    AblatePatch,
    Compose,
    FullController,
    Interpolate,
    InterpolatePatch,
    Intervention,
    LowRankController,
    Mask,
    ProjectOut,
    ReplacePatch,
    Scale,
    Sequence,
    SubspacePatch,
    Sum,
    Together,
    TransplantPatch,
    VectorController,
)

N, D, HEADS = 4, 6, 2
HOOK, Z, PATTERN = "blocks.1.hook_resid_post", "blocks.1.attn.hook_z", "blocks.1.attn.hook_pattern"
HALF = (torch.bfloat16, torch.float16)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


HOLDERS: dict[str, Callable[..., Intervention]] = {
    "replace": lambda value, at: ReplacePatch(value, at),
    "interpolate": lambda value, at: InterpolatePatch(value, at, 1.0),
    "swap": lambda value, at: SubspacePatch(torch.eye(value.shape[-1]), at, value),
    "resample": lambda value, at: AblatePatch(at, "resample", value),
}


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
@pytest.mark.parametrize(
    ("at", "x", "shape"),
    [
        (HOOK, (N, N, D), (N, D)),
        (HOOK, (N, N, N), (N, N)),
        (HOOK, (N, 3, D), (N, D)),
        (HOOK, (N, 3, D), (3, D)),
        (Z, (N, N, N, D), (N, D)),
        (Z, (N, N, HEADS, D), (N, HEADS, D)),
        (PATTERN, (N, N, N, N), (N, N)),
        (PATTERN, (N, HEADS, N, N), (HEADS, N, N)),
        (HOOK, (N, N, D), (2, N, N, D)),
    ],
)
def test_a_value_that_could_go_along_rows_or_steps_is_refused(hold, at, x, shape):
    with pytest.raises(ValueError, match=r"the value is \(.*\), .* or the last axis alone"):
        hold(random(*shape), at)(torch.zeros(x))


@pytest.mark.parametrize(
    ("shape", "along"),
    [
        ((), (1, 1, 1)),
        ((D,), (1, 1, D)),
        ((1,), (1, 1, 1)),
        ((N, 1, D), (N, 1, D)),
        ((1, N, D), (1, N, D)),
        ((N, N, 1), (N, N, 1)),
        ((N, N, D), (N, N, D)),
    ],
)
def test_a_value_goes_where_its_axes_say(shape, along):
    value, x = random(*shape), random(N, N, D, seed=1)
    expected = value.reshape(along).expand(N, N, D)
    assert torch.equal(ReplacePatch(value, HOOK)(x), expected)
    assert torch.equal(InterpolatePatch(value, HOOK, 1.0)(x), expected)


def test_values_that_would_lose_a_part_are_refused():
    value, x = torch.full((N, N, D), 2.7), torch.zeros(N, N, D, dtype=torch.long)
    for patch in (
        *(hold(value, HOOK) for name, hold in HOLDERS.items() if name != "swap"),
        TransplantPatch(value, HOOK, {(0, 0): (1, 1)}),
    ):
        with pytest.raises(ValueError, match=r"float32, .* carries torch\.int64; give values"):
            patch(x)


def test_a_controller_a_row_is_never_one_a_step():
    rows = random(N, D)
    change = VectorController(rows, HOOK)(torch.zeros(N, N, D))
    assert torch.equal(change, rows[:, None].expand(N, N, D))
    with pytest.raises(ValueError, match="3 controllers for 4 rows"):
        VectorController(random(3, D), HOOK)(torch.zeros(N, 3, D))


KINDS: dict[str, Callable[[], Intervention]] = {
    "replace": lambda: ReplacePatch(torch.tensor(0.5), HOOK),
    "zero": lambda: AblatePatch(HOOK, steps=[1]),
    "vector": lambda: VectorController(random(D) / 100, HOOK),
    "low rank": lambda: LowRankController(random(2, D), random(D, 2), HOOK),
    "full": lambda: FullController(random(D, D), HOOK),
    "subspace": lambda: SubspacePatch(random(2, D), HOOK),
    "masked": lambda: Mask(ReplacePatch(torch.tensor(0.5), HOOK), rows=[1]),
    "composed": lambda: Compose(AblatePatch(HOOK), VectorController(random(D), HOOK)),
    "sequence": lambda: Sequence(AblatePatch(HOOK), VectorController(random(D), HOOK), 2),
    "projected": lambda: ProjectOut(ReplacePatch(torch.tensor(0.5), HOOK), random(1, D)),
    "together": lambda: Together(ReplacePatch(torch.tensor(0.5), HOOK)),
}


@pytest.mark.parametrize("dtype", [*HALF, torch.float32, torch.float64])
@pytest.mark.parametrize("build", KINDS.values(), ids=KINDS)
def test_whole_factors_are_exact_in_every_precision(build, dtype):
    """Far from 0: in bfloat16 numbers around 300 are 2 apart, in float32 those around 3e8 32."""
    f = build()
    size = {torch.float16: 300.0, torch.bfloat16: 300.0}.get(dtype, 3e8)
    x = (size + random(N, N, D)).to(dtype)
    x[0, 0, 0] = -0.0
    y, other = f(x), VectorController(random(D), HOOK)
    for same, expected in (
        (Scale(f, 1), y),
        (1 * f, y),
        (Sum(f), y),
        (Compose(f), y),
        (Interpolate(f, other, 0), y),
        (Interpolate(other, f, 1), y),
        (Mask(f), y),
        (Scale(f, 0), x),
        (0.0 * f, x),
        (Mask(f, steps=[]), x),
    ):
        bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[dtype.itemsize]
        assert torch.equal(same(x).view(bits), expected.view(bits))


@pytest.mark.parametrize("dtype", HALF)
def test_arithmetic_in_half_precision_is_that_of_float32_rounded_once(dtype):
    x, value = (300 + random(N, N, D)).to(dtype), random(N, N, D).to(dtype)
    f, g = ReplacePatch(value, HOOK), AblatePatch(HOOK)
    wide, v = x.float(), value.float()
    cases: list[tuple[Any, Tensor]] = [
        (0.5 * f, wide + 0.5 * (v - wide)),
        (-1 * f, 2 * wide - v),
        (3 * f, wide + 3 * (v - wide)),
        (f + g - g, v),
        (Sum(f, g, -1 * g), v),
        (Interpolate(f, g, 0.25), 0.75 * v),
        (Interpolate(Mask(f, steps=[]), f, 0.75), 0.25 * wide + 0.75 * v),
        (InterpolatePatch(value, HOOK, 0.75), 0.25 * wide + 0.75 * v),
    ]
    for intervention, expected in cases:
        found = intervention(x)
        assert found.dtype == dtype
        # A last place in float32 may decide which way the rounding goes.
        gap = torch.finfo(dtype).eps * 1.001
        torch.testing.assert_close(found.float(), expected, atol=1e-4, rtol=gap)


@pytest.mark.parametrize("dtype", HALF)
def test_a_direction_taken_out_in_half_precision_is_gone_but_for_rounding(dtype):
    x, direction = (30 * random(N, N, 64)).to(dtype), random(64, seed=1)
    unit = direction.double() / direction.double().norm()
    expected = x.double() - (x.double() @ unit)[..., None] * unit
    gap = torch.finfo(dtype).eps / 2 * 1.001
    removed = SubspacePatch(direction[None], HOOK)(x)
    torch.testing.assert_close(removed.double(), expected, atol=1e-4, rtol=gap)


def test_a_change_is_reported_in_at_least_single_precision():
    x = torch.full((1, 1, 2), 300.0, dtype=torch.bfloat16)
    change = ReplacePatch(torch.tensor(0.5), HOOK).delta(x)
    assert change.dtype == torch.float32 and (change == -299.5).all()
