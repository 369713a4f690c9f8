"""When a sequence changes: steps, gate traces, latched predicates in windows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from irl_lens.hooks import (
    AblatePatch,
    Gate,
    ReplacePatch,
    Sequence,
    VectorController,
    first_switch,
    save,
    starting_at,
)

HOOK = "blocks.1.hook_resid_post"
X = torch.tensor([[0.0, 3, 0, 3, 0], [0, 0, 0, 0, 3], [3, 0, 0, 0, 0], [0, 0, 0, 0, 0]])[..., None]
LATE = torch.tensor([[0, 1, 1, 1, 1], [0, 0, 0, 0, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]]) == 1


def fires(x: Tensor) -> Tensor:
    return x[..., 0] > 2


def sequence(until) -> Sequence:
    return Sequence(AblatePatch(HOOK), ReplacePatch(torch.ones(1, 1, 1), HOOK), until)


def late(intervention: Sequence, x: Tensor) -> Tensor:
    """Where `then` acted."""
    return intervention(x)[..., 0] == 1


def test_a_predicate_is_latched():
    assert torch.equal(late(sequence(fires), X), LATE)


@pytest.mark.parametrize("sizes", [[1, 1, 1, 1, 1], [2, 3], [1, 3, 1]])
def test_rows_that_changed_are_remembered_and_forgotten_at_the_next_sequence(sizes):
    one = sequence(fires)
    for x, expected in ((X, LATE), (X.flip(0), LATE.flip(0)), (X[:2], LATE[:2])):
        start, parts = 0, []
        for part in x.split(sizes, 1):
            with starting_at(start):
                parts.append(late(one, part))
            start += part.shape[1]
        assert torch.equal(torch.cat(parts, 1), expected)
    assert torch.equal(late(one, X), LATE)
    assert torch.equal(late(one, X), LATE)


def test_windows_that_do_not_follow_one_another_are_refused():
    one = sequence(fires)
    with (
        starting_at(2),
        pytest.raises(ValueError, match=r"last asked up to step 0.* begins at step 2"),
    ):
        one(X[:, 2:])
    with starting_at(0):
        one(X[:, :2])
    for step in (1, 3):
        with (
            starting_at(step),
            pytest.raises(ValueError, match=rf"up to step 2.* begins at step {step}"),
        ):
            one(X[:, :1])
    with starting_at(2):
        with pytest.raises(ValueError, match="of 4 rows; this window has 3 rows"):
            one(X[:3, 2:])
        one(X[:, 2:])


def test_a_predicate_that_answers_otherwise_is_refused():
    for wrong, said in (
        (lambda x: x > 2, r"torch.bool \(4, 5, 1\)"),
        (lambda x: x[..., 0], r"torch.float32 \(4, 5\)"),
        (lambda x: x[:, 0, 0] > 2, r"torch.bool \(4,\)"),
    ):
        with pytest.raises(ValueError, match=rf"the predicate says {said}.*\(4, 5\)"):
            sequence(wrong)(X)


def test_a_predicate_that_is_no_part_is_not_saved(tmp_path):
    for predicate in (fires, nn.Linear(1, 1)):
        with pytest.raises(ValueError, match="no Part cannot be saved"):
            save(sequence(predicate), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_latch_works_on_in_grad_mode_after_inference_mode():
    v = nn.Parameter(torch.ones(1))
    one = Sequence(VectorController(v, HOOK), VectorController(2 * v, HOOK), fires)
    with torch.inference_mode(), starting_at(0):
        one(X[:, :2])
    with starting_at(2):
        one(X[:, 2:]).sum().backward(inputs=[v])
    changed = int(LATE[:, 2:].sum())
    assert v.grad is not None and v.grad.item() == 2 * changed + (12 - changed)


BETA = torch.tensor(
    [[1, 0.1, 0.7, 0.2, 0.5], [1, 0, 0.4, 0.4, 0.3], [0, 0.5, 0, 0, 1], [0, 0, 0, 0, 0.6]]
)


def test_a_trace_changes_at_its_first_switch():
    traced, stepped = sequence(BETA), sequence(first_switch(BETA))
    assert torch.equal(traced(X), stepped(X))
    assert late(traced, X).sum(1).tolist() == [3, 0, 4, 1]
    assert torch.equal(sequence(BETA >= 0.5)(X), traced(X))
    assert torch.equal(late(sequence(BETA[:1]), X), late(traced, X)[:1].expand(4, 5))
    assert BETA[0, 0] == 1


def test_a_trace_says_nothing_of_other_steps():
    traced = sequence(BETA)
    for steps in (4, 6):
        with pytest.raises(ValueError, match=f"holds 5 steps, .* ends at step {steps}"):
            traced(torch.zeros(4, steps, 1))
    with starting_at(4):
        assert torch.equal(late(traced, X[:, 4:])[:, 0], BETA[:, 1:].amax(1) >= 0.5)
    with pytest.raises(ValueError, match="holds 4 rows"):
        sequence(BETA)(X[:3])


@pytest.mark.parametrize("until", [3, torch.tensor(3), torch.tensor([3]), [3, 3, 3, 3]])
def test_steps(until):
    assert torch.equal(late(sequence(until), X), (torch.arange(5) >= 3).expand(4, 5))


@pytest.mark.parametrize(
    ("until", "message"),
    [
        (2.0, r"until is torch.float32 \(\); give a step, one a row, a gate's trace"),
        (torch.rand(5), r"torch.float32 \(5,\)"),
        (torch.zeros(2, 3, 4), r"\(2, 3, 4\)"),
        (torch.zeros(0, dtype=torch.long), r"torch.int64 \(0,\)"),
        (True, r"torch.bool"),
        (Gate(), "until is a Gate; give"),
        ("soon", "until is a str; give"),
    ],
)
def test_what_is_no_moment_is_refused(until, message):
    with pytest.raises(ValueError, match=message):
        sequence(until)


def test_attention_patterns_have_their_steps_third():
    name = "blocks.0.attn.hook_pattern"
    ones = ReplacePatch(torch.ones(1, 1, 1, 1), name)
    pattern = torch.zeros(2, 3, 5, 5)
    third = torch.arange(5) == 2
    for until in (2, third[None], lambda x: third.expand(2, 5)):
        y = Sequence(AblatePatch(name), ones, until)(pattern)
        assert torch.equal(y, (torch.arange(5) >= 2).float()[:, None].expand(2, 3, 5, 5))
