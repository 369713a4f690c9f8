from __future__ import annotations

import torch
from torch import nn

from irl_lens.models.recurrence import GRU


def _as_torch(gru: GRU, lane: int) -> nn.GRU:
    """PyTorch's GRU with the weights of one lane."""
    reference = nn.GRU(gru.inputs, gru.size, batch_first=True)
    weights = {
        "weight_ih_l0": gru.input_weight[lane].T,
        "weight_hh_l0": gru.state_weight[lane].T,
        "bias_ih_l0": gru.input_bias[lane],
        "bias_hh_l0": gru.state_bias[lane],
    }
    reference.load_state_dict({name: weight.detach() for name, weight in weights.items()})
    return reference


def test_every_lane_is_pytorchs_gru() -> None:
    torch.manual_seed(0)
    gru, x = GRU(3, 5, lanes=2), torch.randn(2, 7, 4, 3)
    states = gru(x)
    for lane in range(2):
        expected = _as_torch(gru, lane)(x[lane].transpose(0, 1))[0].transpose(0, 1)
        torch.testing.assert_close(states[lane], expected)


def test_the_hand_written_backward_is_the_gradient() -> None:
    torch.manual_seed(1)
    gru = GRU(2, 3, lanes=2).double()
    x = torch.randn(2, 4, 3, 2, dtype=torch.double, requires_grad=True)
    parameters = tuple(gru.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: gru(x), (x, *parameters))


def test_steps_one_by_one_give_the_scan() -> None:
    torch.manual_seed(2)
    gru, x = GRU(3, 4, lanes=2), torch.randn(2, 6, 5, 3)
    state = torch.zeros(5, 4)
    for t in range(6):
        state = gru.step(x[1, t], state, lane=1)
    torch.testing.assert_close(state, gru(x)[1, -1])
