"""The gate: the integrated equation, bit-exact holding, changed traces."""

from __future__ import annotations

import pytest
import torch

from irl_lens.hooks import Gate, first_switch, forced, replayed, shifted, silenced, switches

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


def test_changed_traces():
    before = BETA.clone()
    assert forced(BETA, [1])[:, 1].tolist() == [1, 1]
    assert torch.equal(forced(BETA, [1])[:, 2:], BETA[:, 2:])
    assert silenced(BETA, [2, 4]).gt(0.45).sum().item() == 2
    assert silenced(BETA, BETA < 1).sum() == 2
    assert torch.equal(replayed(BETA, BETA[1:]), BETA[[1, 1]])
    assert torch.equal(replayed(BETA, BETA.flip(0), [2])[:, 2], BETA.flip(0)[:, 2])
    assert torch.equal(BETA, before)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (0, [1.0, 0.1, 0.7, 0.2, 0.5]),
        (1, [1.0, 0.0, 0.1, 0.7, 0.2]),
        (-1, [1.0, 0.7, 0.2, 0.5, 0.0]),
        (9, [1.0, 0.0, 0.0, 0.0, 0.0]),
        (-9, [1.0, 0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_shifted(by, expected):
    assert shifted(BETA, by)[0].tolist() == torch.tensor(expected).tolist()


def test_places_outside_are_refused():
    for change in (forced, silenced):
        with pytest.raises(ValueError, match="step 5 is outside the sequence of 5"):
            change(BETA, [5])
        with pytest.raises(ValueError, match=r"mask spans \(2, 4\)"):
            change(BETA, torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="cut or pad the record"):
        replayed(BETA, BETA[:, :4])
