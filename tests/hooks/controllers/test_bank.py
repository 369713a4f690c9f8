"""Banks: names, selection, and the efficient application of labels."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from irl_lens.hooks import (
    ControllerBank,
    FullController,
    LowRankController,
    VectorController,
    load,
    save,
)

D = 16
HOOK = "blocks.1.hook_resid_post"
LABELS = torch.tensor([[0, 0, 1, 1, -1, 2], [-1] * 6, [2, 1, 0, -1, -1, 0]])


def banks() -> dict[str, ControllerBank]:
    generator = torch.Generator().manual_seed(0)
    vector = ControllerBank.trainable(VectorController, "abc", D, HOOK)
    nn.init.normal_(vector.stack.tensors()["v"], generator=generator)
    return {
        "low rank": ControllerBank.trainable(
            LowRankController, "abc", D, HOOK, rank=4, init=0.5, generator=generator
        ),
        "full": ControllerBank.trainable(
            FullController, iter("abc"), D, HOOK, init=0.5, generator=generator
        ),
        "vector": vector,
    }


@pytest.fixture(params=["low rank", "full", "vector"])
def bank(request) -> ControllerBank:
    return banks()[request.param]


def test_stacked_parameters():
    low = banks()["low rank"]
    shapes = {name: tuple(parameter.shape) for name, parameter in low.named_parameters()}
    assert shapes == {"stack.A": (3, 4, D), "stack.B": (3, D, 4)}


def test_labelled_applies_the_named_controller(bank):
    x = torch.randn(3, 6, D)
    y = bank.labelled(LABELS)(x)
    torch.testing.assert_close(y, bank.select(LABELS)(x))
    for label, name in enumerate("abc"):
        where = label == LABELS
        torch.testing.assert_close(y[where], bank[name](x)[where])


def test_label_minus_one_is_bit_identical(bank):
    x = torch.randn(3, 6, D)
    x[:, :, 0] = -0.0
    y = bank.labelled(LABELS)(x)
    none = LABELS < 0
    assert torch.equal(y[none].view(torch.int32), x[none].view(torch.int32))
    assert torch.equal(bank.select(LABELS)(x)[none], x[none])


def test_one_row_of_labels_stands_for_all(bank):
    x = torch.randn(3, 6, D)
    row = bank.labelled(LABELS[:1])(x)
    assert torch.equal(row, bank.labelled(LABELS[:1].expand(3, 6))(x))


def test_gradients_go_to_the_labelled_controllers_alone(bank):
    labels = torch.tensor([[0, 2, -1]])
    for controller in (bank.labelled(labels), bank.select(labels)):
        bank.zero_grad()
        controller(torch.randn(1, 3, D)).square().sum().backward()
        for parameter in bank.parameters():
            sizes = parameter.grad.flatten(1).abs().sum(1)
            assert sizes[0] > 0 and sizes[1] == 0 and sizes[2] > 0


def test_training_moves_it(bank, model, tokens):
    target = torch.randn(3, 6, 11)
    optimizer = torch.optim.AdamW(bank.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        with bank.labelled(LABELS).attached(model):
            losses.append((model(tokens) - target).square().mean())
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0]


def test_names():
    bank = banks()["full"]
    assert len(bank) == 3 and bank.names == ("a", "b", "c") and bank.index("c") == 2
    assert bank.hook_name == bank["a"].hook_name == HOOK
    with pytest.raises(ValueError, match=r"'d'; there are \('a', 'b', 'c'\)"):
        bank["d"]
    with pytest.raises(ValueError, match="all different"):
        ControllerBank("aab", bank.stack)
    with pytest.raises(ValueError, match="one name"):
        ControllerBank("ab", bank.stack)


@pytest.mark.parametrize("label", [-2, 3])
def test_labels_outside_the_bank_are_refused(bank, label):
    labels = torch.tensor([[0, label]])
    for use in (bank.labelled, bank.select):
        with pytest.raises(ValueError, match=rf"labels span .*{label}.* the labels 0\.\.2"):
            use(labels)


def test_it_reads_like_a_dictionary(bank):
    assert list(bank) == list(bank.keys()) == ["a", "b", "c"]
    assert "b" in bank and "d" not in bank and 0 not in bank
    x = torch.randn(2, 3, D)
    named, pairs = dict(bank), dict(bank.items())
    for name, controller in zip("abc", bank.values(), strict=True):
        for same in (bank[name], named[name], pairs[name]):
            assert torch.equal(controller(x), same(x))


def test_order_is_that_of_the_names(bank):
    turned = ControllerBank("cab", bank.stack.at([2, 0, 1]))
    assert list(turned) == ["c", "a", "b"] and turned.index("a") == 1
    x = torch.randn(2, 3, D)
    for name in "abc":
        assert torch.equal(turned[name](x), bank[name](x))


def test_a_bank_of_controllers_that_exist(bank):
    again = ControllerBank({name: bank[name] for name in "cab"})
    assert again.names == ("c", "a", "b") and again.hook_name == HOOK
    x = torch.randn(3, 6, D)
    labels = torch.tensor([1, 2, 0, -1])[LABELS]
    torch.testing.assert_close(again.labelled(labels)(x), bank.labelled(LABELS)(x))
    again.labelled(labels)(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in bank.parameters())


def test_controllers_that_differ_make_no_bank(bank):
    one, other = bank["a"], banks()["vector" if "v" not in bank.stack.tensors() else "full"]["a"]
    tensors = one.tensors()
    elsewhere = type(one)(**tensors, hook_name="blocks.0.hook_resid_post")
    unlike = {"a": one, "b": other}, {"a": one, "b": elsewhere}
    for wrong in (*unlike, {}, {"a": bank.stack}, "names alone"):
        with pytest.raises(ValueError, match=r"a bank takes .* of one kind, hook point and shape"):
            ControllerBank(wrong)


def change(bank: ControllerBank) -> torch.Tensor:
    """What each controller does to the unit vectors and to zero, [n, entries]."""
    probes = torch.cat([torch.eye(D), torch.zeros(1, D)])[None]
    return torch.stack([controller.delta(probes).flatten() for controller in bank.values()])


def test_nearest_neighbours(bank):
    entries = change(bank).detach()
    for name, number in zip("abc", range(3), strict=True):
        cosines = torch.cosine_similarity(entries[number], entries, dim=-1)
        expected = sorted(zip("abc", cosines.tolist(), strict=True), key=lambda pair: -pair[1])
        names, found = zip(*bank.nearest(bank[name]), strict=True)
        assert names == tuple(n for n, _ in expected) and names[0] == name
        assert found == pytest.approx([c for _, c in expected], abs=1e-4)
        assert bank.nearest(name) == [pair for pair in bank.nearest(bank[name]) if pair[0] != name]


def test_nothing_is_near_what_it_cannot_be_compared_with(bank):
    with pytest.raises(ValueError, match="no controller is called 'd'"):
        bank.nearest("d")
    with pytest.raises(ValueError, match=r"\(3,\) controllers to compare with"):
        bank.nearest(bank.stack)
    other = banks()["vector" if "v" not in bank.stack.tensors() else "full"]["a"]
    with pytest.raises(ValueError, match="only controllers of one kind"):
        bank.nearest(other)


def test_saved_and_loaded_as_one_set(tmp_path, bank):
    loaded = load(save(bank, tmp_path))
    assert isinstance(loaded, ControllerBank) and loaded.names == bank.names
    for name, controller in loaded.items():
        for key, tensor in controller.tensors().items():
            assert torch.equal(tensor, bank[name].tensors()[key])
    assert [p.shape for p in loaded.parameters()] == [p.shape for p in bank.parameters()]
    assert [name for name, _ in loaded.nearest("a")] == [name for name, _ in bank.nearest("a")]
