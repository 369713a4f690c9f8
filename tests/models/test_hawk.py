"""The recurrent layer: one path for steps and sequences."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from irl_lens.models.hawk import RGLRU, HawkLayer


def test_steps_equal_the_sequence() -> None:
    torch.manual_seed(0)
    layer, x = HawkLayer(8), torch.randn(3, 7, 8)
    whole, end = layer(x, layer.initial(3))
    state, steps = layer.initial(3), []
    for t in range(7):
        y, state = layer(x[:, t : t + 1], state)
        steps.append(y)
    torch.testing.assert_close(torch.cat(steps, dim=1), whole)
    torch.testing.assert_close(state, end)


def test_the_future_is_not_seen() -> None:
    torch.manual_seed(0)
    layer, x = HawkLayer(8), torch.randn(2, 6, 8)
    changed = x.clone()
    changed[:, 4:] += 1
    before, after = (layer(v, layer.initial(2))[0] for v in (x, changed))
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_the_past_is_remembered_beyond_the_convolution() -> None:
    torch.manual_seed(0)
    layer, x = HawkLayer(8), torch.randn(2, 9, 8)
    changed = x.clone()
    changed[:, 0] += 1
    before, after = (layer(v, layer.initial(2))[0] for v in (x, changed))
    assert not torch.allclose(before[:, 8], after[:, 8], atol=1e-5)


def test_recurrence_is_the_written_equation() -> None:
    torch.manual_seed(0)
    unit, x, h = RGLRU(4), torch.randn(1, 5, 4), torch.randn(1, 4)
    expected = h
    for t in range(5):
        r, i = unit.gates(x[:, t]).sigmoid().chunk(2, dim=-1)
        a = torch.exp(-8 * F.softplus(unit.decay) * r)
        expected = a * expected + torch.sqrt(1 - a**2) * i * x[:, t]
    torch.testing.assert_close(unit(x, h)[1], expected)


def test_the_sum_of_shifted_products_is_the_grouped_convolution() -> None:
    torch.manual_seed(0)
    layer, window = HawkLayer(8), torch.randn(2, 3 + 5, 8)
    expected = layer.convolution(window.mT).mT
    assert expected.shape == (2, 5, 8)
    torch.testing.assert_close(layer._convolved(window), expected)


def test_initial_decay_spans_the_stated_range() -> None:
    decay = torch.exp(-8 * F.softplus(RGLRU(256).decay))
    assert 0.9 <= decay.min() < 0.91
    assert 0.99 < decay.max() <= 0.999 + 1e-6
