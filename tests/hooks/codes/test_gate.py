"""The gate: the integrated equation, bit-exact holding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irl_lens.hooks import Gate, first_switch, switches

BETA = torch.tensor([[1.0, 0.1, 0.7, 0.2, 0.5], [1.0, 0.0, 0.4, 0.4, 0.3]])


def test_soft_gate_is_the_integrated_equation():
    proposals = torch.randn(2, 5, 3)
    z = Gate().integrate(proposals, BETA)
    previous = torch.zeros(2, 3)
    for step in range(5):
        beta = BETA[:, step, None]
        previous = beta * proposals[:, step] + (1 - beta) * previous
        assert torch.equal(z[:, step], previous)


def test_gradients_pass_through_the_soft_gate():
    proposals, beta = torch.randn(2, 5, 3, requires_grad=True), BETA.clone().requires_grad_()
    Gate().integrate(proposals, beta).square().sum().backward()
    assert proposals.grad is not None and beta.grad is not None and beta.grad[:, 1:].all()


def test_hard_gate_holds_bit_exactly():
    proposals = torch.randn(2, 5, 3)
    proposals[0, 0, 0] = -0.0
    proposals[0, 1] = float("nan")  # never read
    z = Gate(hard=True).integrate(proposals, BETA)
    source = torch.tensor([[0, 0, 2, 2, 4], [0, 0, 0, 0, 0]])
    expected = proposals[torch.arange(2)[:, None], source]
    assert torch.equal(z.view(torch.int32), expected.view(torch.int32))


BITS = {torch.float16: torch.int16, torch.bfloat16: torch.int16, torch.float32: torch.int32}


@settings(deadline=None)
@given(st.data())
def test_a_hard_gate_holds_any_bits(data):
    """Infinities, quiet and signalling NaNs, subnormals, negative zeros: copied, never computed."""
    dtype, bits = data.draw(st.sampled_from(list(BITS.items())))
    rows, steps = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 8))
    info = torch.iinfo(bits)
    size = (steps + 1) * rows * 2
    drawn = data.draw(st.lists(st.integers(info.min, info.max), min_size=size, max_size=size))
    values = torch.tensor(drawn, dtype=bits).view(dtype).reshape(rows, steps + 1, 2)
    start, proposals = values[:, 0], values[:, 1:]
    beta = torch.tensor(
        data.draw(st.lists(st.floats(0, 1), min_size=rows * steps, max_size=rows * steps))
    ).reshape(rows, steps)
    z = Gate(hard=True).integrate(proposals, beta, start)
    for row in range(rows):
        held = start[row]
        for step in range(steps):
            held = proposals[row, step] if beta[row, step] >= 0.5 else held
            assert torch.equal(z[row, step].view(bits), held.view(bits))
    z_previous = start
    for step in range(steps):
        z_previous = Gate(hard=True).step(z_previous, proposals[:, step], beta[:, step])
        assert torch.equal(z_previous.view(bits), z[:, step].view(bits))


def test_steps_and_a_start_are_the_whole():
    proposals = torch.randn(2, 5, 3)
    for gate in (Gate(), Gate(hard=True)):
        whole = gate.integrate(proposals, BETA)
        rest = gate.integrate(proposals[:, 2:], BETA[:, 2:], start=whole[:, 1])
        assert torch.equal(rest, whole[:, 2:])
        assert torch.equal(gate.step(whole[:, 1], proposals[:, 2], BETA[:, 2]), whole[:, 2])


def test_spans_must_agree():
    with pytest.raises(ValueError, match=r"proposals span \(2, 4\).*beta \(2, 5\)"):
        Gate().integrate(torch.zeros(2, 4, 3), BETA)


def test_switches():
    assert switches(BETA).sum(1).tolist() == [3, 1]
    assert first_switch(BETA).tolist() == [2, 5]
    assert first_switch(BETA, after=2).tolist() == [4, 5]
    assert torch.equal(first_switch(BETA >= 0.5), first_switch(BETA))
