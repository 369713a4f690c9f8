"""CompILE: what its encoder reads, its loss in the hard limit, what trains what, its options."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from irl_lens.config.compile import CompileConfig
from irl_lens.envs.spaces import ContinuousActions, DiscreteActions, ObservationSpec, RealColumn
from irl_lens.models.causal import MetaState
from irl_lens.models.compile.encoder import Noise
from irl_lens.models.compile.model import CompILE
from irl_lens.models.compile.sub_policy import SubPolicyPath

CONFIG = CompileConfig(segments=3, rate=3.0, latent=2, hidden=6, width=5)
SPEC = ObservationSpec(("one", "other"), (3, 4), (0, 3))
ACTIONS = DiscreteActions(3)
LENGTHS = torch.tensor([7, 4, 1])
MASK = torch.arange(7) < LENGTHS[:, None]


@pytest.fixture
def model() -> CompILE:
    torch.manual_seed(0)
    model = CompILE(CONFIG, SPEC, ACTIONS)
    for parameter in model.encoder.boundary.parameters():  # so that boundaries differ
        nn.init.normal_(parameter)
    return model


@pytest.fixture
def shown() -> tuple[Tensor, Tensor]:
    """Observations and actions, zeros on padding."""
    torch.manual_seed(1)
    observations = torch.stack([torch.randint(3, (3, 7)), torch.randint(3, 7, (3, 7))], dim=-1)
    return observations * MASK[..., None], torch.randint(3, (3, 7)) * MASK


def noise() -> Noise:
    generator = torch.Generator().manual_seed(2)
    uniform = torch.rand(3, 3, 8, generator=generator)
    return Noise(uniform, torch.randn(3, 3, 2, generator=generator))


def losses_of(actions: Tensor):
    return lambda outputs: F.cross_entropy(outputs, actions[MASK], reduction="none")


def test_a_pass_is_an_lstm_that_begins_where_its_mask_does(model: CompILE) -> None:
    encoder, inputs = model.encoder, torch.randn(8, 2, 6)
    drive = F.linear(inputs, encoder.cell.weight_ih, encoder.cell.bias_ih + encoder.cell.bias_hh)
    kept = (torch.arange(8) >= torch.tensor([[0], [3]])).float()
    found = encoder._read(drive, kept)
    for row, first in ((0, 0), (1, 3)):
        state = (torch.zeros(1, 6), torch.zeros(1, 6))
        for place in range(first, 8):
            state = encoder.cell(inputs[place, row][None], state)
            torch.testing.assert_close(found[row, place], state[0][0])
        assert (found[row, :first] == 0).all()


def test_padding_changes_nothing(model: CompILE, shown: tuple[Tensor, Tensor]) -> None:
    together = model.encoder(*shown, MASK)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model.encoder(*(x[row : row + 1, :length] for x in shown), MASK[:1, :length])
        torch.testing.assert_close(alone.mu[:, 0], together.mu[:, row])
        torch.testing.assert_close(alone.masks[:, 0], together.masks[:, row, : length + 1])


def test_without_noise_every_step_has_one_segment_and_its_code(
    model: CompILE, shown: tuple[Tensor, Tensor]
) -> None:
    observations, actions = shown
    terms, segments = model.terms(observations, actions, MASK, losses_of(actions), None)
    assert set(segments.masks.unique().tolist()) == {0.0, 1.0}
    assert len(segments.held()[0].unique()) > 1  # else there is little to see
    codes = segments.codes[segments.held(), torch.arange(3)[:, None]]
    stream = model.policy.embed(observations)
    outputs = model.act(stream[MASK], codes[MASK])
    nll = F.cross_entropy(outputs, actions[MASK], reduction="sum") / 3
    torch.testing.assert_close(terms.nll, nll)
    # The termination is asked about the code of the step before, and is to say if it has ended.
    before, ended = codes[:, :-1], segments.held()[:, 1:] != segments.held()[:, :-1]
    logits = model.options.stop_logits(stream[:, 1:], before)
    told = F.binary_cross_entropy_with_logits(logits, ended.float(), reduction="none")
    torch.testing.assert_close(terms.stop, told[MASK[:, 1:]].sum() / 3)


def test_gradients_reach_everything_and_the_termination_alone_its_own(
    model: CompILE, shown: tuple[Tensor, Tensor]
) -> None:
    terms, _ = model.terms(*shown, MASK, losses_of(shown[1]), noise())
    named = dict(model.named_parameters())
    own = {f"options.{part}" for part in ("stream.weight", "stream.bias", "code.weight")}
    own |= {"options.out.weight", "options.out.bias"}
    rest = terms.nll + terms.kl_codes + terms.kl_boundaries
    for term, wanted in ((terms.stop, own), (rest, named.keys() - own)):
        gradients = torch.autograd.grad(
            term, tuple(named.values()), retain_graph=True, allow_unused=True
        )
        pairs = zip(named, gradients, strict=True)
        assert {name for name, each in pairs if each is not None and each.any()} == wanted
        assert all(each is None or each.isfinite().all() for each in gradients)


def test_divergences_are_those_of_the_distributions(
    model: CompILE, shown: tuple[Tensor, Tensor]
) -> None:
    terms, segments = model.terms(*shown, MASK, losses_of(shown[1]), noise())
    one = torch.distributions.Normal(segments.mu, segments.log_sigma.exp())
    zero = torch.distributions.Normal(torch.zeros(()), torch.ones(()))
    kl = torch.distributions.kl_divergence(one, zero).sum((0, 2)).mean()
    torch.testing.assert_close(terms.kl_codes, kl)
    assert float(terms.kl_boundaries.detach()) > 0


@pytest.mark.parametrize("actions", [ACTIONS, ContinuousActions(2, -1.0, 1.0)])
def test_in_a_rollout_it_acts_as_in_training(actions: DiscreteActions | ContinuousActions) -> None:
    torch.manual_seed(0)
    spec = ObservationSpec(("one",), (3,), (0,), (RealColumn("x", 2.0),))
    model = CompILE(CONFIG, spec, actions)
    seen = torch.stack([torch.randint(3, (4, 1)).float(), torch.randn(4, 1)], dim=-1)
    code, path = torch.randn(4, 2), SubPolicyPath(model.policy)
    point = model.policy.hook_stream
    point.add_hook(lambda tensor, hook: tensor + model.options.decoder.delta(code[:, None], tensor))
    cache = path.cache(4, 9)
    outputs = path.logits(seen, cache=cache)[:, 0]
    assert cache.length == 1
    point.remove_hooks()
    torch.testing.assert_close(outputs, model.act(model.policy.embed(seen[:, 0]), code))
    assert outputs.shape[-1] == path.action_head.outputs


def test_options_stop_by_what_is_seen_and_the_code_in_force(model: CompILE) -> None:
    options, stream = model.options, torch.randn(3, 5)
    start = options.start(3)
    assert torch.equal(options.gate(stream, start), torch.ones(3))
    code = torch.randn(3, 2)
    after = options.advance(stream, start, code)
    assert isinstance(after, MetaState) and after.steps == 1 and torch.equal(after.code, code)
    expected = options.stop_logits(stream, code).sigmoid()
    torch.testing.assert_close(options.gate(stream, after), expected)
    kept = after.keep(torch.tensor([2, 0]))
    torch.testing.assert_close(options.gate(stream[[2, 0]], kept), expected[[2, 0]])


def test_planted_segments_are_found() -> None:
    """Two stretches of one action each: only the code can say which, and when it changes."""
    torch.manual_seed(0)
    config = CompileConfig(segments=2, rate=4.0, latent=4, hidden=24, width=16, temperature=0.7)
    model = CompILE(config, ObservationSpec(("nothing",), (1,), (0,)), DiscreteActions(4))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    steps, rows = 8, 64
    for _ in range(120):
        first = torch.randint(4, (rows, 1))
        second = (first + torch.randint(1, 4, (rows, 1))) % 4
        cut = torch.randint(2, 7, (rows, 1))
        actions = torch.where(torch.arange(steps) < cut, first, second)
        mask = torch.ones_like(actions, dtype=torch.bool)
        seen = torch.zeros(rows, steps, 1, dtype=torch.int64)
        loss = partial(F.cross_entropy, target=actions.flatten(), reduction="none")
        drawn = Noise(torch.rand(2, rows, steps + 1), torch.randn(2, rows, 4))
        terms, segments = model.terms(seen, actions, mask, loss, drawn)
        optimizer.zero_grad()
        model.loss(terms).backward()
        optimizer.step()
    terms, segments = model.terms(seen, actions, mask, loss, None)
    found = segments.boundaries[0].argmax(-1)
    assert (found == cut[:, 0]).float().mean() > 0.9
    assert float(terms.nll.detach()) / steps < 0.2
