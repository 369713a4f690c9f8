"""Indices are whole numbers: never a mask or a float that is taken for something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from irl_lens.hooks import (
    AblatePatch,
    ActivationMean,
    Address,
    CodeController,
    ControllerBank,
    Gate,
    LinearDecoder,
    Mask,
    ReplacePatch,
    Sequence,
    Together,
    TransplantPatch,
    VectorController,
    circularly_shifted,
    forced,
    replayed,
    shuffled,
    silenced,
)
from irl_lens.hooks.core.activations import positions
from irl_lens.hooks.core.address import indices

ROWS, STEPS, D = 4, 4, 2
HOOK, PATTERN = "blocks.1.hook_resid_post", "blocks.1.attn.hook_pattern"
X = torch.zeros(ROWS, STEPS, D)
BETA = torch.tensor([[1.0, 0.2, 0.9, 0.1]] * ROWS)
add = VectorController(torch.ones(D), HOOK)
bank = ControllerBank.trainable(VectorController, "ab", D, HOOK)

TAKERS: dict[str, Callable[[Any], Any]] = {
    "mask rows": lambda given: Mask(add, rows=given),
    "mask steps": lambda given: Mask(add, steps=given),
    "patch rows": lambda given: AblatePatch(PATTERN, rows=given),
    "patch steps": lambda given: ReplacePatch(torch.tensor(1.0), PATTERN, steps=given),
    "patch heads": lambda given: AblatePatch(PATTERN, heads=given),
    "patch keys": lambda given: AblatePatch(PATTERN, keys=given),
    "address": lambda given: Address.at(rows=given),
    "transplanted heads": lambda given: TransplantPatch(X, HOOK, {}, heads=given),
    "layers": lambda given: Together(add).in_layers(given),
    "positions": lambda given: TransplantPatch(X, HOOK, {(given[0], 0): (0, 0)}),
    "source positions": lambda given: TransplantPatch(X, HOOK, {(0, 0): (0, given[-1])}),
    "forced": lambda given: forced(BETA, given),
    "silenced": lambda given: silenced(BETA, given),
    "replayed": lambda given: replayed(BETA, BETA, where=given),
}
NONE: dict[str, Any] = {
    "mask": torch.tensor([False, False, True, True]),
    "list of bools": [True, True],
    "array of bools": np.array([False, True]),
    "bools of NumPy": [np.True_, np.True_],
    "bools of torch": [torch.tensor(True), torch.tensor(True)],
    "floats": [1.0, 1.0],
    "broken": [1.9, 1.9],
    "tensor of floats": torch.tensor([1.0, 2.0]),
    "array of floats": np.array([1.0, 1.0]),
    "floats of NumPy": [np.float64(1.0), np.float32(1.0)],
    "text": "11",
    "texts": ["1", "1"],
    "two axes": torch.tensor([[1, 1]]),
    "negative": [-1, -1],
}


@pytest.mark.parametrize("given", NONE)
@pytest.mark.parametrize("taker", TAKERS)
def test_what_is_no_index_is_refused(taker, given):
    value = NONE[given]
    with pytest.raises(ValueError, match=r"no index|no list|before the|must be torch\.bool"):
        TAKERS[taker](value)


@pytest.mark.parametrize("single", [2, torch.tensor(2), np.int64(2)])
def test_a_single_number_is_no_list(single):
    with pytest.raises(ValueError, match="is no list of indices; give one"):
        indices("row", single)
    with pytest.raises(ValueError, match="class True is a bool, no index"):
        VectorController.from_probe(torch.eye(4), True, HOOK)


@pytest.mark.parametrize(
    "given",
    [
        [1, 3],
        (3, 1, 1),
        {1, 3},
        range(1, 4, 2),
        torch.tensor([1, 3]),
        torch.tensor([3, 1], dtype=torch.int16),
        np.array([1, 3]),
        np.array([1, 3], dtype=np.uint8),
        [np.int32(1), torch.tensor(3)],
    ],
)
def test_whole_numbers_of_any_kind_are_indices(given):
    acts = Mask(add, rows=given)(X).any(-1).any(-1)
    assert acts.tolist() == [False, True, False, True]
    assert Mask(add, rows=iter(given))(X).any(-1).any(-1).tolist() == acts.tolist()
    assert Mask(add, steps=given)(X)[0].any(-1).tolist() == acts.tolist()
    assert forced(0 * BETA, given)[0].bool().tolist() == acts.tolist()


def test_the_remedy_for_a_mask_works():
    mask = torch.tensor([False, False, True, True])
    assert Mask(add, rows=mask.nonzero().flatten())(X).any(-1).any(-1).tolist() == mask.tolist()


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float32])
def test_a_mask_is_boolean(dtype):
    ones = torch.ones(ROWS, STEPS, dtype=dtype)
    for take in (
        lambda: ActivationMean(HOOK).add(X, ones),
        lambda: positions({HOOK: X}, HOOK, ones),
        lambda: Mask(add, where=ones),
        lambda: forced(BETA, ones),
    ):
        with pytest.raises(ValueError, match=rf"is {dtype} \(4, 4\); .*torch.bool"):
            take()


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32, torch.float64])
def test_labels_lengths_and_places_are_integers(dtype):
    lengths = torch.ones(ROWS, dtype=dtype)
    for take in (
        lambda: bank.labelled(torch.ones(ROWS, STEPS, dtype=dtype)),
        lambda: bank.select(torch.ones(ROWS, dtype=dtype)),
        lambda: circularly_shifted(BETA, lengths),
        lambda: shuffled(BETA, lengths),
        lambda: TransplantPatch(X, HOOK, torch.zeros(1, 4, dtype=dtype)),
        lambda: Sequence(add, add, torch.ones(ROWS, dtype=dtype)),
    ):
        with pytest.raises(ValueError, match=rf"{dtype}.*give|give .*{dtype}"):
            take()


def test_what_stands_for_rows_and_steps_has_both_axes():
    """With as many steps as rows, or as wide, one axis could be taken for another."""
    with pytest.raises(ValueError, match=r"labels are \(4,\)"):
        bank.labelled(torch.zeros(ROWS, dtype=torch.long))
    with pytest.raises(ValueError, match=r"z is \(4, 4\)"):
        CodeController(LinearDecoder(4, D), torch.zeros(ROWS, 4), HOOK)
    with pytest.raises(ValueError, match=r"start is \(4,\); it must be \(4, 4\)"):
        Gate().integrate(torch.zeros(ROWS, STEPS, 4), BETA, start=torch.zeros(4))
    for take in (ActivationMean(HOOK).add, lambda x: AblatePatch(HOOK, "mean", x)):
        with pytest.raises(ValueError, match=r"carries \(4, 4\), not \[rows, steps"):
            take(torch.zeros(ROWS, 4))
