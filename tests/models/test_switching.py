from __future__ import annotations

import torch
from torch import Tensor

from irl_lens.models.switching import SwitchingUnit

D_MODEL, HISTORY, LATENT, HIDDEN = 6, 4, 3, 5


def _unit() -> SwitchingUnit:
    torch.manual_seed(0)
    return SwitchingUnit(D_MODEL, HISTORY, LATENT, HIDDEN).double()


def _inputs(steps: int = 6, rows: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    return tuple(  # type: ignore[return-value]
        torch.randn(steps, rows, size, dtype=torch.double, requires_grad=True)
        for size in (D_MODEL, HISTORY, LATENT)
    )


def _plain(unit: SwitchingUnit, e: Tensor, h: Tensor, proposals: Tensor) -> tuple[Tensor, Tensor]:
    """The equations of the paper, one step after the other."""
    z = torch.zeros_like(proposals[0])
    codes, gates = [], []
    for t in range(len(e)):
        beta = unit(e[t], h[t], z) if t else torch.ones_like(e[0, :, 0])
        z = beta[:, None] * proposals[t] + (1 - beta[:, None]) * z
        codes.append(z)
        gates.append(beta)
    return torch.stack(codes), torch.stack(gates)


def test_integration_is_the_plain_loop_with_its_gradients() -> None:
    unit, inputs = _unit(), _inputs()
    wanted = (*inputs, *unit.parameters())
    for got, expected in zip(unit.integrate(*inputs), _plain(unit, *inputs), strict=True):
        torch.testing.assert_close(got, expected)
        weights = torch.randn_like(got)
        gradients = (
            torch.autograd.grad((value * weights).sum(), wanted, retain_graph=True)
            for value in (got, expected)
        )
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other)


def test_the_hand_written_backward_is_the_gradient() -> None:
    unit, inputs = _unit(), _inputs(steps=4, rows=2)
    assert torch.autograd.gradcheck(
        lambda *a: unit.integrate(*a[:3]), (*inputs, *unit.parameters())
    )


def test_the_gate_reads_the_integrated_code_and_not_the_last_proposal() -> None:
    unit, (e, h, proposals) = _unit(), _inputs()
    _, beta = unit.integrate(e, h, proposals)
    with torch.no_grad():  # so nearly shut that no later proposal enters the code
        unit.out.bias.fill_(-40.0)
        changed = proposals.clone()
        changed[1] += 5.0
        _, shut = unit.integrate(e, h, proposals)
        _, shut_changed = unit.integrate(e, h, changed)
        torch.testing.assert_close(shut, shut_changed, rtol=1e-9, atol=0)
        # Through the first code, which is what is held, every later gate changes.
        changed = proposals.clone()
        changed[0] += 5.0
        _, held = unit.integrate(e, h, changed)
    assert (held[1:] / shut[1:] - 1).abs().min() > 1e-6
    assert (beta[1:] != 1).all()


def test_an_open_gate_takes_the_proposal_and_a_shut_one_holds_the_code() -> None:
    unit, (e, h, proposals) = _unit(), _inputs()
    with torch.no_grad():
        unit.out.bias.fill_(50.0)
        torch.testing.assert_close(unit.integrate(e, h, proposals)[0], proposals.detach())
        unit.out.bias.fill_(-50.0)
        codes, _ = unit.integrate(e, h, proposals)
    torch.testing.assert_close(codes, proposals[0].detach().expand_as(codes))
